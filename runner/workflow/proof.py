"""A case's remedies, tried: which recipes show it, and what the experiment proves of the cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import NotUnderstood, NotWritten, ValueRefused
from runner.recipe.catalogue import find_recipe
from runner.recipe.remedies import find_remedy
from runner.workflow.case_folder import CaseFolder
from runner.workflow.experiment.folder import encode_experiment
from runner.workflow.investigate import concluded
from runner.workflow.option_words import options_of
from runner.workflow.tried import EXPERIMENTS, tried_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.workflow.documents import Case, Plan
    from runner.workflow.experiment.document import ExperimentResult

_MOST_MEASURES = 3
_BEGIN_NEW = "it is damaged: begin a new case"


@dataclass(frozen=True, slots=True)
class TriedRemedy:
    """A remedy that a case proposes, and what measures it.

    :param measures: As an experiment's file has them; what spoke for the cause, the most telling first.
    """

    remedy: str
    given: dict[str, str]
    hypothesis: str
    measures: list[dict[str, Any]]


def tried_of_case(path: Path, remedy: str | None, given: Mapping[str, str]) -> TriedRemedy:
    """Return what a case says of one of its remedies.

    :param remedy: Its id; None where there is one only.
    :param given: Values in place of those that the case knows.
    :raises ValueRefused: The case proposes no such remedy, is not concluded, or is another user's.
    :raises NotUnderstood: It is damaged.
    """
    folder = CaseFolder(path)
    plan = folder.read_plan()
    folder.check_ours()
    read = folder.read_case()
    if read is None:
        raise ValueRefused(
            f"{path}: nothing was concluded yet", hint=f"ebpf-recipe investigate --resume --case {path}"
        )
    # One that is damaged would keep the verdict out of the case.
    tried_in(path)
    case = read[0]
    proposed = {each["remedy"]: each for each in case["remedies"] if "remedy" in each}
    there = f"it proposes {', '.join(proposed)}" if proposed else "it proposes none that a command changes"
    if remedy is None:
        if len(proposed) != 1:
            raise ValueRefused(f"{path}: which --remedy? {there}")
        (remedy,) = proposed
    if remedy not in proposed:
        raise ValueRefused(
            f"{path} does not propose the remedy {remedy}: {there}",
            hint="without --case any remedy can be tried",
        )
    found = proposed[remedy]
    values = {**found.get("given", {}), **given}
    parameters = {each.name: each for each in find_remedy(remedy).remedy.parameters}
    unknown = [name for name, value in values.items() if name not in given and value == name.upper()]
    if unknown:
        named = " ".join(f"--with {name}=…" for name in unknown)
        about = "; ".join(f"{name}: {parameters[name].description}" for name in unknown if name in parameters)
        raise ValueRefused(f"the case does not know {', '.join(unknown)} ({about})", hint=named)
    measures = _measures(plan, case, found["hypothesis"]) or _usual(remedy, case)
    return TriedRemedy(remedy, values, found["hypothesis"], measures)


def note_experiment(folder: CaseFolder, result: ExperimentResult) -> Case:
    """Keep an experiment in its case, and return the case concluded anew with it; that is not written yet.

    :param folder: The case, which is ours alone.
    :raises NotWritten: It cannot be written.
    """
    stamp = result["started"].replace(":", "").replace("-", "").partition(".")[0]
    kept = folder.path / EXPERIMENTS
    try:
        kept.mkdir(exist_ok=True)
    except OSError as error:
        raise NotWritten(f"{kept}: {error.strerror}") from error
    folder.write_text(f"{EXPERIMENTS}/{stamp}-{result['id']}.json", encode_experiment(result).decode())
    folder.log("tried", result["reason"], remedy=result["change"]["remedy"], verdict=result["verdict"])
    return concluded(folder, folder.read_plan())


def _measures(plan: Plan, case: Case, hypothesis: str) -> list[dict[str, Any]]:
    """Return the runs of the case that spoke for a hypothesis, as measures: those that show it first."""
    steps = {step["name"]: step for step in (*plan["scan"], *plan["details"])}
    result = next((each for each in case["hypotheses"] if each["id"] == hypothesis), None)
    if result is None:
        raise NotUnderstood(
            f"the case has a remedy for {hypothesis}, and no such hypothesis", hint=_BEGIN_NEW
        )
    names: list[str] = []
    for says in ("establishes", "suggests"):
        names += [each["capture"] for each in result["evidence"] if each["says"] == says and each["recipe"]]
    found = []
    for name in dict.fromkeys(names):
        if name not in steps:
            raise NotUnderstood(
                f"the case has evidence of {name}, which its plan does not have", hint=_BEGIN_NEW
            )
        step = steps[name]
        found.append({"recipe": step["recipe"], "with": options_of(step["arguments"])})
    return found[:_MOST_MEASURES]


def _usual(remedy: str, case: Case) -> list[dict[str, Any]]:
    """Return what measures a remedy where the host's own counters alone spoke for the cause."""
    name = find_remedy(remedy).remedy.measure[0]
    honoured = find_recipe(name).recipe.target.honoured()
    target = {option: values for option, values in case["target"].items() if option in honoured}
    return [{"recipe": name, "with": target}]
