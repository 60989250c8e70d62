"""From evidence to what is known of each cause: its status, why, and its rank among the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.evidence import why_unfit
from runner.capture.percent import in_percent
from runner.capture.signs import RULES, absent_signs, signs_of
from runner.workflow.account import RECIPE, least_share, stands_out
from runner.workflow.documents import NOBODY
from runner.workflow.evidence import evidence_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.capture.document import Capture
    from runner.workflow.documents import (
        Account,
        ConditionResult,
        Evidence,
        HypothesisResult,
        Plan,
        PlannedHypothesis,
        PlannedSign,
        PlannedStep,
        Scope,
        Status,
    )

_ORDER: Mapping[Status, int] = {"established": 0, "open": 1, "not-measured": 2, "refuted": 3}


def judged(
    plan: Plan, taken: Sequence[tuple[PlannedStep, Capture]], account: Account | None
) -> list[HypothesisResult]:
    """Return what is known of every hypothesis of a plan, the first by rank first.

    :param taken: The captures that there are, each with its step, in the order of the plan.
    """
    evidence: dict[str, list[Evidence]] = {each["id"]: [] for each in plan["hypotheses"]}
    is_seen = is_target_seen(plan, taken)
    for step, capture in taken:
        for hypothesis, one in evidence_of(step, capture):
            if hypothesis in evidence:
                evidence[hypothesis].append(one if is_seen else _of_nobody(one))
    for each in plan["hypotheses"]:
        evidence[each["id"]] += _parts(each, account)
        evidence[each["id"]] += _signs(each, taken, has_target=bool(plan["target"]), is_seen=is_seen)
    results = [_result(each, evidence[each["id"]], plan) for each in plan["hypotheses"]]
    parts = {each["id"]: each["parts"] for each in plan["hypotheses"]}
    results.sort(
        key=lambda each: (
            _ORDER[each["status"]],
            not has_support(each),
            -_strength(each),
            -least_share(account, parts[each["id"]]),
            each["id"],
        )
    )
    results = _causes_first(results, {each["id"]: each["shows_as"] for each in plan["hypotheses"]})
    for rank, result in enumerate(results, 1):
        result["rank"] = rank
    return results


def _causes_first(
    results: Sequence[HypothesisResult], shows_as: Mapping[str, Sequence[str]]
) -> list[HypothesisResult]:
    """Put what is established before that as which it shows, and say so there."""
    ordered: list[HypothesisResult] = []
    placed: set[str] = set()

    def place(result: HypothesisResult) -> None:
        if result["id"] in placed:
            return
        placed.add(result["id"])
        causes = [
            each
            for each in results
            if each["status"] == "established"
            and each is not result
            and result["id"] in shows_as[each["id"]]
            and result["status"] in ("established", "open")
        ]
        result["behind"] = [each["id"] for each in causes]
        if result["status"] == "established":
            for each in causes:
                place(each)
        ordered.append(result)

    for result in results:
        place(result)
    return ordered


def _parts(hypothesis: PlannedHypothesis, account: Account | None) -> list[Evidence]:
    """Return that the parts of the target's time that are its own are worth a look."""
    share = stands_out(account, hypothesis["parts"])
    if share is None or account is None:
        return []
    return [
        {
            "capture": account["capture"],
            "recipe": RECIPE,
            "sign": None,
            "scope": "target",
            "says": "suggests",
            "conditions": [],
            "text": f"{' and '.join(hypothesis['parts'])}: {in_percent(share)} of that time at least",
            "reason": "A quarter or more of the time in which its threads worked or were kept from it is "
            "worth a look; whether it makes a tail, the longest waits say.",
            "strength": share,
        }
    ]


def is_target_seen(plan: Plan, taken: Sequence[tuple[PlannedStep, Capture]]) -> bool:
    """Whether anything that was captured is the target's doing; also where there is no target."""
    return not plan["target"] or any(
        step["scope"] == "target" and _has_seen(capture) for step, capture in taken
    )


def _has_processes(capture: Capture) -> bool:
    """Whether processes of the target were found when its companions were read: their places are named."""
    return any("cgroup" in each or "pid" in each for each in capture["companions"])


def _has_seen(capture: Capture) -> bool:
    """Whether anything in a capture of a target is the target's doing."""
    rows: list[Any] = [row for table in capture["tables"] for row in table["rows"]]
    return bool(capture["events"]) or any(
        not row.get("unattributed") and (row.get("value") or row.get("count") or row.get("points"))
        for row in rows
    )


def _of_nobody(evidence: Evidence) -> Evidence:
    """Return evidence without what excludes a cause: of whom nothing is seen, nothing is excluded.

    There is no such process, or all its threads slept from before the window to its end: in a deadlock too.
    """
    if evidence["says"] != "refutes" or evidence["scope"] != "target":
        return evidence
    conditions: list[ConditionResult] = [
        {**each, "verdict": "inconclusive", "reason": NOBODY} for each in evidence["conditions"]
    ]
    return {**evidence, "says": "undecided", "conditions": conditions}


def has_support(result: HypothesisResult) -> bool:
    """Whether anything speaks for it."""
    return any(each["says"] in ("establishes", "suggests") for each in result["evidence"])


def _strength(result: HypothesisResult) -> float:
    """Return how strong its strongest evidence is: what is enough first, the target's before the host's."""
    found = [
        (each["strength"] or 1.0)
        * (1.0 if each["scope"] == "host" else 1e6)
        * (1e12 if each["says"] == "establishes" else 1.0)
        for each in result["evidence"]
        if each["says"] in ("establishes", "suggests")
    ]
    return max(found, default=0.0)


def _signs(
    hypothesis: PlannedHypothesis,
    taken: Sequence[tuple[PlannedStep, Capture]],
    *,
    has_target: bool,
    is_seen: bool,
) -> list[Evidence]:
    """Return what the host's own counters say: once for each place, by the capture that ran longest."""
    found: dict[tuple[str, str], tuple[float, Evidence]] = {}
    for step, capture in taken:
        seconds = capture["window"]["duration_seconds"] or 0.0
        for sign in signs_of(capture):
            planned = next((each for each in hypothesis["signs"] if each["sign"] == sign.code), None)
            if planned is None:
                continue
            place: Mapping[str, Any] = sign.place or {}
            # Control groups are read where processes were asked for, and are theirs.
            scope: Scope = "target" if has_target and "cgroup" in place else "host"
            where = str(place.get("cgroup", place.get("pid", "")))
            one: Evidence = {
                "capture": step["name"],
                "recipe": None,
                "sign": sign.code,
                "scope": scope,
                "says": planned["says"],
                "conditions": [],
                "text": (f"control group {where}: " if "cgroup" in place else "") + sign.text,
                "reason": planned["reason"],
                "strength": None,
            }
            key = (sign.code, where)
            if key not in found or found[key][0] < seconds:
                found[key] = (seconds, one)
    seen = {code for code, _ in found}
    # Counters of a network namespace or a control group are the target's where a run was asked for it.
    own = [
        (step, capture)
        for step, capture in taken
        if not has_target or (step["scope"] == "target" and (is_seen or _has_processes(capture)))
    ]
    absent = [
        missing
        for planned in hypothesis["signs"]
        if planned["says"] == "establishes" and planned["sign"] not in seen and planned["sign"] in RULES
        if (missing := _absent(planned, taken if RULES[planned["sign"]].is_of_host else own)) is not None
    ]
    return [*(one for _, one in found.values()), *absent]


def _absent(sign: PlannedSign, taken: Sequence[tuple[PlannedStep, Capture]]) -> Evidence | None:
    """Return that a sign that would be enough was looked for and did not happen, by the longest capture."""
    looked = [
        (step, capture)
        for step, capture in taken
        if why_unfit(capture, has_keys=False) is None and sign["sign"] in absent_signs(capture)
    ]
    if not looked:
        return None
    step, _ = max(looked, key=lambda each: each[1]["window"]["duration_seconds"] or 0.0)
    return {
        "capture": step["name"],
        "recipe": None,
        "sign": sign["sign"],
        "scope": "host",
        "says": "refutes",
        "conditions": [],
        "text": f"not seen: {RULES[sign['sign']].when}",
        "reason": sign["reason"],
        "strength": None,
    }


def _result(hypothesis: PlannedHypothesis, evidence: list[Evidence], plan: Plan) -> HypothesisResult:
    status, why = _status(evidence, has_target=bool(plan["target"]))
    if not evidence and hypothesis["signs"]:
        names = ", ".join(sign["sign"] for sign in hypothesis["signs"])
        why = f"the kernel has no counters of it for what was asked for ({names})"
    return {
        "id": hypothesis["id"],
        "title": hypothesis["title"],
        "layer": hypothesis["layer"],
        "rank": 0,
        "status": status,
        "why": why,
        "behind": [],
        "evidence": evidence,
    }


def _status(evidence: Sequence[Evidence], *, has_target: bool) -> tuple[Status, str]:
    """Return what is known, and why that and no more."""

    def says(word: str, scope: Scope | None = None) -> list[Evidence]:
        return [each for each in evidence if each["says"] == word and scope in (None, each["scope"])]

    shown = says("establishes", "target") if has_target else says("establishes")
    against = says("refutes", "target") if has_target else says("refutes")
    on_host, likely = says("establishes", "host"), says("suggests", "target")
    if against and (shown or (has_target and on_host and likely)):
        return "open", "one measurement shows it, another one excludes it: they contradict each other"
    if shown:
        return "established", _because(shown)
    if has_target and on_host and likely:
        return "established", f"{_because(on_host)}; and of the target: {_because(likely)}"
    if says("refutes") and not likely and not on_host and not (not has_target and says("suggests")):
        return "refuted", _because(says("refutes"))
    if on_host:
        return "open", f"seen on the host, and nothing shows that it is the target's: {_because(on_host)}"
    if says("suggests"):
        return "open", f"likely, not shown: {_because(says('suggests'))}"
    if not evidence:
        return "not-measured", "nothing was measured that speaks for it or against it"
    if all(each["says"] == "undecided" for each in evidence):
        reasons = dict.fromkeys(
            one["reason"] or one["condition"]
            for each in evidence
            for one in each["conditions"]
            if one["verdict"] == "inconclusive"
        )
        return "not-measured", f"what was measured decides nothing: {'; '.join(reasons)}"
    return "open", "nothing speaks for it; what was measured does not exclude it"


def _because(evidence: Sequence[Evidence]) -> str:
    return "; ".join(each["text"] for each in evidence)
