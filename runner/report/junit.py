"""JUnit XML of comparisons, gates and runbooks, as Jenkins' junit-10.xsd has it and GitLab reads it.

GitLab shows the text of a failure and not its message, and of testcases with one name and class the first
alone: both are the same here, and names of a suite do not repeat.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

from runner.errors import ExitCode
from runner.report.comparison_words import (
    UNREADABLE,
    design_words,
    evidence_words,
    load_words,
    outcome_name,
    primaries,
    problem_text,
    recipe_words,
)
from runner.report.gates import gate_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.capture.document import Capture, GateResult
    from runner.compare.document import Comparison, Row, Word
    from runner.workflow.runbook.document import RunbookRun, StepResult

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 can hold (production 2, Char)."""


Outcome = Literal["pass", "failure", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class _Case:
    """One testcase: what was asked, what came of it, and why.

    :param seconds: How long it took.
    """

    group: str
    name: str
    outcome: Outcome
    text: str
    kind: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class _Suite:
    name: str
    seconds: float
    cases: list[_Case] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    output: str = ""
    timestamp: str | None = None
    host: str | None = None


def junit_of_comparison(comparison: Comparison) -> bytes:
    """Return a comparison as a test suite: a testcase for each primary outcome, gate and unreadable file.

    A worse outcome and a gate that counts as failed are failures, what is inconclusive was skipped, files
    that could not be read are errors. The time is that of all runs, in seconds.
    """
    recipe = recipe_words(comparison)
    group = f"ebpf-recipe.compare.{comparison['recipe'].get('id') or 'script'}"
    runs = [run for side in ("before", "after") for run in comparison["sides"][side]["runs"]]
    suite = _Suite(f"compare {recipe}", sum(run["seconds"] or 0.0 for run in runs))
    suite.properties = {
        "verdict": comparison["verdict"],
        "reason": comparison["reason"],
        "recipe": recipe,
        "runs": design_words(comparison),
        "load": load_words(comparison["load"]),
    }
    rows = primaries(comparison)
    suite.cases += [_case_of_outcome(row, group, comparison) for row in rows]
    if not rows:
        # That nothing could be said of anything is not to be missing.
        suite.cases.append(_Case(group, "verdict", _outcome(comparison["verdict"]), _why(comparison)))
    suite.cases += _cases_of_gates(comparison["gates"], group)
    suite.cases += [
        _Case(
            group, f"readable {', '.join(problem['files'])}", "error", problem_text(problem), problem["code"]
        )
        for problem in comparison["problems"]
        if problem["code"] in UNREADABLE and problem["left_out"]
    ]
    suite.output = "\n".join(problem_text(problem) for problem in comparison["problems"])
    return _document([suite])


def _case_of_outcome(row: Row, group: str, comparison: Comparison) -> _Case:
    verdict = row["verdict"]
    anew = row.get("anew")
    lines = [f"{verdict}: {row.get('reason') or 'no reason is known'}"]
    lines += [f"record anew: {anew}"] if anew else []
    lines.append(evidence_words(comparison, row))
    return _Case(group, outcome_name(row), _outcome(verdict), "\n".join(lines), verdict)


def _outcome(verdict: Word) -> Outcome:
    return "failure" if verdict == "worse" else "skipped" if verdict == "inconclusive" else "pass"


def _why(comparison: Comparison) -> str:
    lines = [f"{comparison['verdict']}: {comparison['reason']}"]
    return "\n".join([*lines, f"record anew: {comparison['anew']}"] if comparison["anew"] else lines)


def junit_of_gates(captures: Iterable[Capture]) -> bytes:
    """Return the gates of captures as test suites: one for each run, whose windows have its gates in common.

    The run itself is a testcase too, an error where it is void or its command failed. Times are seconds.
    """
    runs: dict[str, list[Capture]] = {}
    for capture in captures:
        runs.setdefault(capture["run_id"], []).append(capture)
    return _document([_suite_of_run(each) for each in runs.values()])


def _suite_of_run(captures: Sequence[Capture]) -> _Suite:
    first = captures[0]
    recipe = first["recipe"]["id"] if first["recipe"] else "script"
    group = f"ebpf-recipe.{recipe}.{first['run_id']}"
    seconds = [capture["window"]["duration_seconds"] or 0.0 for capture in captures]
    suite = _Suite(f"{recipe} {first['run_id']}", sum(seconds))
    suite.timestamp, suite.host = first["window"]["started_at"], first["host"]["hostname"]
    for capture, taken in zip(captures, seconds, strict=True):
        index = capture["window"].get("index")
        name = "run" if index is None else f"window {index + 1}"
        problems = _lines_of_problems(capture)
        failed = _why_failed(capture)
        text = "\n".join([*([failed] if failed else []), *problems])
        suite.cases.append(_Case(group, name, "error" if failed else "pass", text, "unusable", taken))
    gates = next((capture["gates"] for capture in captures if capture.get("gates")), [])
    suite.cases += _cases_of_gates(gates, group)
    return suite


def junit_of_runbook(run: RunbookRun) -> bytes:
    """Return a run of a runbook as a test suite: a testcase for each step and round. Times are seconds.

    A gate and a repeat that failed are failures, any other step that failed is an error. A failure that
    decides nothing is told, and is neither.
    """
    runbook = run["runbook"]
    group = f"ebpf-recipe.runbook.{runbook['id']}"
    suite = _Suite(f"runbook {runbook['id']}", _seconds_between(run["started"], run["ended"]))
    suite.timestamp, suite.host = run["started"], run["host"]
    suite.properties = {"outcome": run["outcome"], "reason": run["reason"] or "", "work": run["work"]}
    suite.properties |= {name: str(value) for name, value in run["parameters"].items() if value is not None}
    for step in run["steps"]:
        round_ = f", round {step['round']}" if step["round"] is not None else ""
        taken = _seconds_between(step["started"], step["ended"])
        suite.cases.append(
            _Case(
                group,
                f"{step['name']} ({step['kind']}{round_})",
                _outcome_of_step(step),
                step["reason"] or "",
                step["kind"],
                taken,
            )
        )
    return _document([suite])


def _outcome_of_step(step: StepResult) -> Outcome:
    if step["outcome"] == "failed" and not step["is_ignored"]:
        return "failure" if step["exit_code"] == ExitCode.NEGATIVE else "error"
    return "skipped" if step["outcome"] == "skipped" else "pass"


def _seconds_between(started: str, ended: str | None) -> float:
    if ended is None:
        return 0.0
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def _why_failed(capture: Capture) -> str | None:
    """Return why a run proves nothing, whatever was asked of it."""
    if capture["quality"]["grade"] == "void":
        return "the capture is void"
    workload = capture["window"].get("workload")
    if workload is not None and workload["exit_code"]:
        return f"the command failed (exit code {workload['exit_code']})"
    return None


def _lines_of_problems(capture: Capture) -> list[str]:
    return [f"{problem['code']}: {problem['detail']}" for problem in capture["quality"]["problems"]]


def _cases_of_gates(gates: Iterable[GateResult], group: str) -> Iterator[_Case]:
    for gate in gates:
        outcome: Outcome = "skipped" if gate["verdict"] == "inconclusive" else "pass"
        if gate["counts_as"] == "fail":
            outcome = "failure"
        yield _Case(group, f"gate {gate['gate']}", outcome, gate_line(gate), gate["verdict"])


def _document(suites: Sequence[_Suite]) -> bytes:
    root = ET.Element("testsuites", _counts([case for suite in suites for case in suite.cases]))
    root.attrib.pop("skipped")  # the schema has it of a suite alone
    root.set("name", "ebpf-recipe")
    root.set("time", _seconds(sum(suite.seconds for suite in suites)))
    for suite in suites:
        root.append(_element(suite))
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _element(suite: _Suite) -> ET.Element:
    element = ET.Element("testsuite", {"name": _clean(suite.name), **_counts(suite.cases)})
    element.set("time", _seconds(suite.seconds))
    if suite.timestamp:
        element.set("timestamp", _clean(suite.timestamp))
    if suite.host:
        element.set("hostname", _clean(suite.host))
    if suite.properties:
        properties = ET.SubElement(element, "properties")
        for name, value in suite.properties.items():
            ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    taken: set[str] = set()
    for case in suite.cases:
        names = (f"{case.name} ({number})" if number > 1 else case.name for number in itertools.count(1))
        name = next(name for name in map(_clean, names) if name not in taken)
        taken.add(name)
        made = ET.SubElement(element, "testcase", {"classname": _clean(case.group), "name": name})
        made.set("time", _seconds(case.seconds))
        text = _clean(case.text)
        if case.outcome == "pass":
            if text:
                ET.SubElement(made, "system-out").text = text
            continue
        told = ET.SubElement(
            made, case.outcome, {"type": case.kind or case.outcome, "message": text.split("\n", 1)[0]}
        )
        told.text = text
    if suite.output:
        ET.SubElement(element, "system-out").text = _clean(suite.output)
    return element


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
    }


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _clean(text: str) -> str:
    """Return text that XML 1.0 can hold: what it forbids is shown as an escape."""
    return _FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
