"""The conclusions of a case: of its plan and its captures, and of nothing else."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from runner.recipe.model_hypothesis import fill_in
from runner.workflow.account import RECIPE, account_of
from runner.workflow.documents import NOBODY
from runner.workflow.findings import findings_of
from runner.workflow.judging import has_support, is_target_seen, judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.capture.document import Capture
    from runner.workflow.documents import (
        Account,
        Case,
        HypothesisResult,
        NotMeasured,
        Plan,
        PlannedHypothesis,
        PlannedStep,
        RemedyResult,
        Tried,
    )

SCHEMA = "ebpf-recipe/case/v1"


def leading(plan: Plan, results: Sequence[HypothesisResult]) -> list[HypothesisResult]:
    """Return the hypotheses that are followed: the first by rank that something speaks for."""
    found = [each for each in results if each["status"] in ("established", "open") and has_support(each)]
    return found[: plan["depth"]]


def detail_steps(plan: Plan, taken: Sequence[tuple[PlannedStep, Capture]]) -> list[PlannedStep]:
    """Return what is to be run after the scan: the details of the leading hypotheses, each once."""
    results = judged(plan, taken, _account(taken))
    wanted = {each["id"]: each["details"] for each in plan["hypotheses"]}
    recipes = dict.fromkeys(name for each in leading(plan, results) for name in wanted[each["id"]])
    scanned = {step["recipe"] for step in plan["scan"]}
    return [
        step for name in recipes for step in plan["details"] if step["recipe"] == name and name not in scanned
    ]


def conclude(
    plan: Plan,
    taken: Sequence[tuple[PlannedStep, Capture]],
    failures: Mapping[str, str],
    *,
    is_complete: bool,
    tried: Sequence[Tried] = (),
) -> Case:
    """Return what may be concluded.

    :param taken: The captures that there are, each with its step, in the order of their steps.
    :param failures: Why a step has no capture, by the step's name.
    :param is_complete: All that was planned was run.
    :param tried: Experiments with its remedies.
    """
    account = _account(taken)
    results = judged(plan, taken, account)
    established = [each for each in results if each["status"] == "established"]
    known = _known(plan, taken)
    texts = {each["id"]: each for each in plan["hypotheses"]}
    is_measured = is_target_seen(plan, taken) and any(each["status"] != "not-measured" for each in results)
    followed = {each["id"] for each in leading(plan, results)}
    case: Case = {
        "schema": "ebpf-recipe/case/v1",
        "symptom": plan["symptom"],
        "title": plan["title"],
        "target": plan["target"],
        "slo": plan["slo"],
        "host": plan["host"],
        "verdict": "established" if established else "nothing-established" if is_measured else "not-measured",
        "complete": is_complete,
        "hypotheses": results,
        "account": account,
        "findings": [
            found
            for step, capture in taken
            if step["stage"] == "detail" or _speaks_for(step, results, followed)
            for found in findings_of(step, capture)
        ],
        "not_measured": _not_measured(plan, taken, failures, results),
        "remedies": [
            remedy for each in established for remedy in _remedies(each["id"], texts[each["id"]], known)
        ],
        "cost": {
            "budget": plan["budget"],
            "measured_ratio": _cost(taken),
            "seconds_traced": round(sum(c["window"]["duration_seconds"] or 0.0 for _, c in taken), 3),
        },
        "next": _next(plan, results, established, known),
    }
    if tried:
        case["tried"] = list(tried)
    return case


def _account(taken: Sequence[tuple[PlannedStep, Capture]]) -> Account | None:
    found = [each for each in taken if each[0]["recipe"] == RECIPE and each[0]["scope"] == "target"]
    return account_of(*found[0]) if found else None


def _speaks_for(step: PlannedStep, results: Sequence[HypothesisResult], followed: set[str]) -> bool:
    return any(
        one["capture"] == step["name"]
        and one["recipe"] is not None
        and one["says"] in ("establishes", "suggests")
        for each in results
        if each["id"] in followed
        for one in each["evidence"]
    )


def _not_measured(
    plan: Plan,
    taken: Sequence[tuple[PlannedStep, Capture]],
    failures: Mapping[str, str],
    results: Sequence[HypothesisResult],
) -> list[NotMeasured]:
    found: list[NotMeasured] = [{"what": each["recipe"], "why": each["why"]} for each in plan["left_out"]]
    found += [
        {"what": f"{step['recipe']}, for a part of the scan", "why": step["shortened"]}
        for step in plan["scan"]
        if "shortened" in step
    ]
    by_name = {step["name"]: step for step in (*plan["scan"], *plan["details"])}
    found += [
        {"what": by_name[name]["recipe"], "why": why} for name, why in failures.items() if name in by_name
    ]
    for step, capture in taken:
        for problem in capture["quality"]["problems"]:
            if capture["quality"]["grade"] == "void":
                found.append({"what": step["recipe"], "why": f"{problem['code']}: {problem['detail']}"})
    if taken and not is_target_seen(plan, taken):
        found.insert(0, {"what": target_words(plan["target"]), "why": NOBODY})
    found += [
        {"what": each["title"], "why": each["why"]} for each in results if each["status"] == "not-measured"
    ]
    return found


def _remedies(name: str, hypothesis: PlannedHypothesis, known: Mapping[str, str]) -> Iterator[RemedyResult]:
    for each in hypothesis["remedies"]:
        found: RemedyResult = {
            "hypothesis": name,
            "title": each["title"],
            "commands": [fill_in(text, known) for text in each["commands"]],
            "revert": [fill_in(text, known) for text in each["revert"]],
            "caution": None if each["caution"] is None else fill_in(each["caution"], known),
        }
        if "remedy" in each:
            # Nobody quotes them: they are no words of a shell.
            bare = {
                place: shlex.split(value)[0] for place, value in known.items() if value and place != "target"
            }
            found["remedy"] = each["remedy"]
            found["given"] = {name: fill_in(value, bare) for name, value in each.get("given", {}).items()}
        yield found


def target_words(target: Mapping[str, Sequence[str]]) -> str:
    """Return the target as it is typed."""
    return " ".join(f"--{name} {shlex.quote(value)}" for name, values in target.items() for value in values)


def _known(plan: Plan, taken: Sequence[tuple[PlannedStep, Capture]]) -> dict[str, str]:
    """Return what is filled in in commands: the target, its control group, the device that took longest.

    Each as a shell has to be told it: whoever makes a control group chooses its name.
    """
    known = {"target": target_words(plan["target"])}
    known |= _limit(taken)
    # The slowest of those disks that the target's own requests went to, where that is known; else the host's.
    own, times = _requests(taken, "bitesize", "target"), _requests(taken, "biolatency", "host")
    candidates = {name: times.get(name, 0) for name in own} if own and times else own or times
    device = max(candidates, key=lambda name: candidates[name], default=None)
    if device is not None:
        known["device"] = shlex.quote(device)
    return known


def _requests(taken: Sequence[tuple[PlannedStep, Capture]], recipe: str, scope: str) -> dict[str, int]:
    """Return what a recipe added up of the requests to each disk: bytes, or time."""
    totals: dict[str, int] = {}
    for step, capture in taken:
        if step["recipe"] != recipe or step["scope"] != scope:
            continue
        rows: list[Any] = [row for t in capture["tables"] if t["name"] == "requests" for row in t["rows"]]
        for row in rows:
            device = row["key"].get("device")
            if isinstance(device, str):
                totals[device] = totals.get(device, 0) + row.get("total", 0)
    return totals


def _limit(taken: Sequence[tuple[PlannedStep, Capture]]) -> dict[str, str]:
    """Return the control group that its limit held back, its files on this host, and how to lift it."""
    for _, capture in taken:
        for each in capture["companions"]:
            group = each.get("cgroup")
            if not _rose(each) or not isinstance(group, str):
                continue
            quota = next(
                (
                    other["source"]
                    for other in capture["companions"]
                    if other["name"] == "cpu_quota" and other.get("cgroup") == group
                ),
                None,
            )
            known = {"cgroup": shlex.quote(group), "throttled": shlex.quote(each["source"])}
            if quota is not None:
                # cpu.max of cgroup v2, cpu.cfs_quota_us of v1.
                known |= {
                    "quota": shlex.quote(quota),
                    "unlimited": "max" if quota.endswith("cpu.max") else "-1",
                }
            return known
    return {}


def _rose(companion: Any) -> bool:
    before, after = companion["before"], companion["after"]
    return companion["name"] == "cpu_throttled_periods" and None not in (before, after) and after > before


def _cost(taken: Sequence[tuple[PlannedStep, Capture]]) -> float | None:
    """Return the most that runs at one time took together: those beside others, and one of the others."""
    known = [
        (step["beside"], ratio)
        for step, capture in taken
        if capture["overhead"] is not None
        and (ratio := capture["overhead"].get("budget", {}).get("measured_ratio")) is not None
    ]
    if not known:
        return None
    together = sum(ratio for beside, ratio in known if beside == "any")
    one = max((ratio for beside, ratio in known if beside != "any"), default=0.0)
    return round(together + one, 6)


def _next(
    plan: Plan,
    results: Sequence[HypothesisResult],
    established: Sequence[HypothesisResult],
    known: Mapping[str, str],
) -> str:
    texts = {each["id"]: each for each in plan["hypotheses"]}
    followed = established or leading(plan, results)
    if followed:
        return fill_in(texts[followed[0]["id"]]["next"], known)
    longer = max(60, round(plan["seconds"] * 3))
    words = f"ebpf-recipe investigate {plan['symptom']} {known['target']} -d {longer}s --case DIR"
    return " ".join(words.split())
