"""A case for people: what is established and what is not, on a terminal and as Markdown."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Literal

from runner.capture.percent import in_percent
from runner.report.words import printable
from runner.workflow.documents import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.workflow.documents import Account, Case, Cost, Evidence, HypothesisResult

Kind = Literal["title", "heading", "text", "item", "under", "code"]
Block = tuple[Kind, str]

_COLUMNS = 100
_MARKS: Mapping[Kind, str] = {
    "title": "# ",
    "heading": "## ",
    "text": "",
    "item": "- ",
    "under": "  - ",
}
_SPECIAL = re.compile(r"[\\`*|~\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown obeys within a line; an underscore does nothing within a word."""

_STATES = {
    "running": "on a processor",
    "queued": "waiting for a processor",
    "disk": "waiting for a disk",
    "blocked": "waiting in the kernel",
    "lock": "in futex (a lock, or idle)",
    "network": "in a call on a socket (a peer, or idle)",
}
_VERDICTS = {
    "nothing-established": "Nothing is established.",
    "not-measured": "Nothing could be measured that decides anything.",
}


def case_as_markdown(case: Case) -> str:
    """Return a case as Markdown."""
    lines: list[str] = []
    before: Kind | None = None
    depth = 0
    for kind, text in _blocks(case):
        is_other = kind != before and ("code" in (kind, before) or before not in ("item", "under"))
        if kind in ("title", "heading", "text") or is_other:
            lines.append("")
        if kind == "code":
            # Deeper by four than what it belongs to; else it would be read as text, and lose its asterisks.
            lines.append(" " * (depth + 4) + text)
        else:
            lines.append(f"{_MARKS[kind]}{_escaped(text)}")
            depth = {"item": 2, "under": 4}.get(kind, 0)
        before = kind
    return "\n".join(lines).strip() + "\n"


def case_as_text(case: Case, folder: Path | None = None) -> str:
    """Return a case for a terminal.

    :param folder: Where it is kept.
    """
    lines: list[str] = []
    for kind, text in _blocks(case):
        match kind:
            case "title":
                lines += [text, ""]
            case "heading":
                lines += ["", text]
            case "text":
                lines += textwrap.wrap(text, _COLUMNS)
            case "item":
                lines += textwrap.wrap(text, _COLUMNS, initial_indent="  ", subsequent_indent="    ")
            case "under":
                lines += textwrap.wrap(text, _COLUMNS, initial_indent="    ", subsequent_indent="      ")
            case "code":
                lines.append(f"      {text}")
    if folder is not None:
        lines += ["", f"kept in {printable(str(folder))}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Return text in which nothing is a mark of Markdown: names of processes and files stand in it."""
    return _SPECIAL.sub(r"\\\g<0>", text).replace("&", "&amp;").replace("<", "&lt;")


def _blocks(case: Case) -> Iterator[Block]:
    for kind, text in _raw_blocks(case):
        yield kind, printable(text)


def _raw_blocks(case: Case) -> Iterator[Block]:
    target = " ".join(f"--{name} {value}" for name, values in case["target"].items() for value in values)
    yield "title", f"{case['symptom']}{' ' + target if target else ''}: {case['title']}"
    established = [each for each in case["hypotheses"] if each["status"] == "established"]
    if established:
        told = "; ".join(
            f"{each['title'][0].lower()}{each['title'][1:]} ({each['id']})" for each in established
        )
        told = f"Established: {told}."
    elif any(each["why"] == NOBODY for each in case["not_measured"]):
        told = f"{NOBODY[0].upper()}{NOBODY[1:]}."
    else:
        told = _VERDICTS[case["verdict"]]
    yield "text", told + ("" if case["complete"] else " Not all that was planned was run.")
    host = case["host"]
    where = [str(host.get("hostname")), f"Linux {host.get('kernel')}", f"{host.get('cpus')} processors"]
    yield "text", f"{', '.join(where)}, bpftrace {host.get('bpftrace')}; what is in time: {case['slo']}."
    by_status = {
        status: [each for each in case["hypotheses"] if each["status"] == status]
        for status in ("established", "open", "refuted", "not-measured")
    }
    if by_status["established"]:
        yield "heading", "Established"
        for each in by_status["established"]:
            yield from _hypothesis(each)
    likely = [each for each in by_status["open"] if _speaks_for(each)]
    if likely:
        yield "heading", "Open: something speaks for it, and it is not shown"
        for each in likely:
            yield from _hypothesis(each)
    if case["account"] is not None:
        yield from _account(case["account"])
    if case["findings"]:
        yield "heading", "What stands out"
        for found in case["findings"]:
            of = "the target" if found["scope"] == "target" else "the host"
            yield "item", f"{found['recipe']}, {found['table']} of {of}:"
            for row in found["rows"]:
                yield "under", f"{row['what']}: {row['value']}"
    if by_status["refuted"]:
        yield "heading", "Refuted"
        for each in by_status["refuted"]:
            yield "item", f"{each['title']} ({each['id']}): {each['why']}"
    silent = [each for each in by_status["open"] if not _speaks_for(each)]
    if silent:
        yield "heading", "Nothing speaks for it, and it is not excluded"
        for each in silent:
            yield "item", f"{each['title']} ({each['id']})"
    if case["not_measured"]:
        yield "heading", "Not measured"
        for missing in case["not_measured"]:
            yield "item", f"{missing['what']}: {missing['why']}"
    if case["remedies"]:
        yield "heading", "What may help: one change at a time, measured before and after"
        yield "text", "Words in capitals are yours to fill in."
        for remedy in case["remedies"]:
            yield "item", f"{remedy['title']} ({remedy['hypothesis']})"
            for command in remedy["commands"]:
                yield "code", command
            if remedy["revert"]:
                yield "under", "the way back:"
                for command in remedy["revert"]:
                    yield "code", command
            if remedy["caution"]:
                yield "under", remedy["caution"]
            if "remedy" in remedy:
                given = "".join(
                    f" --with {n}=…" for n, value in remedy.get("given", {}).items() if value == n.upper()
                )
                yield "under", "tried under your load, and put back:"
                yield "code", f"ebpf-recipe experiment --case DIR --remedy {remedy['remedy']}{given} -- LOAD"
    if case.get("tried"):
        yield "heading", "Tried"
        for tried in case["tried"]:
            given = " ".join(f"{name}={value}" for name, value in tried["parameters"].items())
            proof = "proven" if tried["proves"] else "not proven" if tried["verdict"] else "no verdict"
            told = f"with {tried['remedy']} {given} it is {tried['verdict'] or 'not known'}"
            yield "item", f"{tried['hypothesis']}: {proof}: {told}: {tried['reason']}"
    yield "heading", "Next"
    yield "code", case["next"]
    cost = case["cost"]
    if cost["measured_ratio"] is not None:
        yield (
            "text",
            (
                f"The tracing took {in_percent(cost['measured_ratio'])} of all processors at most, of a "
                f"budget of {cost['budget']}, starts of bpftrace not counted."
                + (" That is more: what a run costs shows when it runs." if _is_over(cost) else "")
            ),
        )


def _is_over(cost: Cost) -> bool:
    return (
        cost["measured_ratio"] is not None
        and cost["measured_ratio"] > float(cost["budget"].rstrip("%")) / 100
    )


def _hypothesis(result: HypothesisResult) -> Iterator[Block]:
    yield "item", f"{result['rank']}. {result['title']} ({result['id']}, {result['layer']})"
    for each in result["evidence"]:
        if each["says"] in ("establishes", "suggests", "refutes"):
            yield "under", f"{_source(each)} {_verb(result, each)}: {each['reason']} [{each['text']}]"
    if result["behind"]:
        yield "under", f"What is seen of it is, or some of it, that of {', '.join(result['behind'])}."


def _verb(result: HypothesisResult, evidence: Evidence) -> str:
    if evidence["says"] == "establishes":
        # What the host has is not the target's before something of the target says so.
        is_open = result["status"] != "established" and evidence["scope"] == "host"
        return "shows it of the host, not of the target" if is_open else "shows it"
    return "speaks for it" if evidence["says"] == "suggests" else "speaks against it"


def _source(evidence: Evidence) -> str:
    of = "of the target" if evidence["scope"] == "target" else "of the host"
    if evidence["sign"] is not None:
        return f"the kernel's own count {of} ({evidence['sign']})"
    return f"{evidence['recipe']} {of}"


def _speaks_for(result: HypothesisResult) -> bool:
    return any(each["says"] in ("establishes", "suggests") for each in result["evidence"])


def _account(account: Account) -> Iterator[Block]:
    low, high = account["busy_seconds"]
    window = account["window_seconds"]
    yield "heading", "Where the time of its threads went"
    yield (
        "text",
        (
            f"All threads added up, in {window:.1f} s they were at work, or kept from it, for {low:.2f} s"
            + (f" to {high:.2f} s (the more with waits that may be idleness)" if high - low >= 0.01 else "")
            + f"; idle for {account['idle_seconds']:.1f} s, and for {account['unexplained_seconds']:.1f} s "
            "nobody knows what for."
            if window is not None
            else ""
        ),
    )
    for part in account["parts"]:
        least, most = part["share"]
        shown = in_percent(least or 0.0)
        if most is not None and in_percent(most) != shown:
            shown += f" to {in_percent(most)}"
        yield "item", f"{_STATES.get(part['part'], part['part'])}: {part['seconds']:.3f} s, {shown}"
    throttled = account["throttled"][1]
    if throttled:
        yield "item", f"of the waits for a processor up to {throttled:.3f} s are its own CPU limit"
    for note in account["notes"]:
        yield "item", f"note: {note}"
