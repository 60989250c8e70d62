"""An experiment made ready: everything that can be known before anything is changed or measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.capture.condition import Limit, parse_condition, parse_subject
from runner.compare.comparing import Wanted
from runner.compare.margin import parse_margin
from runner.errors import ValueRefused
from runner.recipe.catalogue import find_recipe
from runner.recipe.durations import parse_duration, parse_with_unit
from runner.recipe.parameters import TARGET_FILTERS
from runner.recipe.remedies import find_remedy
from runner.recipe.thresholds import check_gates
from runner.workflow.experiment.change import change_of_remedy, change_of_specs
from runner.workflow.experiment.measuring import Load, Measured
from runner.workflow.experiment.model import argv_of
from runner.workflow.experiment.schedule import schedule
from runner.workflow.experiment.state import work_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.workflow.experiment.change import Change
    from runner.workflow.experiment.model import ChangeSpec, Experiment, MeasureSpec
    from runner.workflow.experiment.schedule import Run


_OF_RUNS = {"bpftrace", "budget", "buffer-pages", "by", "check-reads", "max-map-keys", "overhead"}
"""Options of a run that may stand in an experiment; the others it gives itself, or they end what it needs."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is going to be done.

    :param measures: Each with what is asked of its runs; the first decides.
    :param case: Whose remedy it is: the directory of the case and the hypothesis.
    """

    id: str
    title: str
    change: Change
    load: Load
    measures: Sequence[tuple[Measured, Wanted]]
    runs: list[Run]
    warm_up: int
    settle_seconds: float
    case: tuple[str, str] | None = None


def prepare(
    experiment: Experiment, directory: Path, bpftrace: str | None, case: tuple[str, str] | None = None
) -> Prepared:
    """Check an experiment, and return what it will do.

    :param directory: Of its file: `$SOURCE` of its settings.
    :param bpftrace: The binary for all runs.
    :raises EbpfRecipeError: Something in it cannot be.
    """
    options = () if bpftrace is None else (f"--bpftrace={bpftrace}",)
    measures = [_measure(each, options) for each in experiment.measure]
    outcomes = max(max(1, len(wanted.primaries)) for _, wanted in measures)
    load = Load(
        tuple(argv_of(experiment.load)) if experiment.load is not None else (),
        experiment.duration,
        tuple(argv_of(experiment.prepare)) if experiment.prepare is not None else (),
    )
    if experiment.duration is not None:
        parse_duration("duration", experiment.duration)
    return Prepared(
        experiment.id,
        experiment.title,
        change_of(experiment.change, experiment.title, directory),
        load,
        measures,
        schedule(experiment.rounds, outcomes),
        experiment.warm_up,
        0.0 if experiment.settle == "0s" else parse_with_unit("settle", experiment.settle),
        case,
    )


def change_of(spec: ChangeSpec, title: str, directory: Path) -> Change:
    """Return the change that an experiment's file describes.

    :raises ValueRefused: There is no such remedy, or a value of it is wrong.
    """
    if spec.remedy is not None:
        return change_of_remedy(find_remedy(spec.remedy), spec.given, spec.netns, work_directory())
    own = {"SOURCE": str(directory.resolve()), "WORK": str(work_directory())}
    return change_of_specs(title, spec.settings, spec.netns, own, spec.requires)


def _measure(spec: MeasureSpec, options: tuple[str, ...]) -> tuple[Measured, Wanted]:
    recipe = find_recipe(spec.recipe).recipe
    gates = [parse_condition(text) for text in spec.gates]
    check_gates(recipe, [each for each in gates if isinstance(each, Limit)])
    wanted = Wanted(
        primaries=[parse_subject(text, what="primary") for text in spec.primary],
        margin=None if spec.margin is None else parse_margin(spec.margin),
        gates=gates,
    )
    known = {each.name for each in recipe.parameters} | TARGET_FILTERS.keys() | _OF_RUNS
    unknown = sorted(spec.given.keys() - known)
    if unknown:
        raise ValueRefused(
            f"{spec.recipe} has no --{', --'.join(unknown)} in an experiment",
            hint=f"ebpf-recipe run {spec.recipe} --help",
        )
    words = [spec.recipe, *options]
    for name, given in spec.given.items():
        words += [f"--{name}={value}" for value in (given if isinstance(given, list) else [given])]
    return Measured(spec.recipe, tuple(words)), wanted
