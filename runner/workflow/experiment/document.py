"""The document of an experiment, as the JSON that it is (schema `ebpf-recipe/experiment/v1`).

Additive changes only within v1. Times are UTC; `null` says "not known" or "not yet".
"""

from typing import Any, Literal

from typing_extensions import TypedDict

from runner.compare.document import SideName, Word

SCHEMA = "ebpf-recipe/experiment/v1"

Ending = Literal["running", "finished", "failed", "interrupted"]
HostState = Literal["as-before", "changed", "kept", "not-as-before"]
"""`changed`: the change is switched on just now; `kept`: it is better and was to stay; `not-as-before`:
something could not be put back, or somebody else changed it."""


class SettingResult(TypedDict):
    """A setting that the change has."""

    name: str
    before: str
    after: str | None
    """What it was while the change was on."""
    change: list[str]
    """The commands that change it by hand."""
    revert: list[str]
    became: Literal["as-before", "put-back", "gone", "left", "failed"] | None
    """When it was put back for the last time."""


class TriedChange(TypedDict):
    """What was tried."""

    title: str
    remedy: str | None
    parameters: dict[str, str]
    netns: str | None
    settings: list[SettingResult]
    counters: dict[str, int]
    """What the change itself counted in all runs with it, by name."""


class Design(TypedDict):
    """How it was tried."""

    order: str
    """`ABBA BAAB ABBA`: A without the change, B with it."""
    runs: int
    """That are compared."""
    warm_up: int
    seconds_predicted: float | None
    """Of all runs, by the first warm-up."""
    load: list[str]
    duration: str | None
    prepare: list[str]
    settle_seconds: float


class RunResult(TypedDict):
    """A run."""

    number: int
    """From 1; of a warm-up 0."""
    side: SideName
    started: str
    seconds: float
    captures: list[str]
    """Files in the directory, one of each recipe."""


class Comparison(TypedDict):
    """What the runs say of one recipe."""

    recipe: str
    words: list[str]
    """Of `ebpf-recipe run`."""
    verdict: Word
    reason: str
    anew: str | None
    """What to record, where it is inconclusive."""
    outcomes: list[dict[str, Any]]
    """The primary rows of the comparison: `name`, `statistic`, `verdict`, `before`, `after`, `shift`, …"""
    load: dict[str, Any] | None
    gates: list[dict[str, Any]]
    problems: list[str]
    file: str
    """Where the whole comparison stands, in the directory."""


class ExperimentResult(TypedDict):
    """An experiment, as far as it came."""

    schema: Literal["ebpf-recipe/experiment/v1"]
    id: str
    title: str
    program: str
    """The release of ebpf-recipe."""
    host: dict[str, Any]
    directory: str
    case: str | None
    """The case whose remedy it is."""
    hypothesis: str | None
    started: str
    ended: str | None
    seconds: float | None
    change: TriedChange
    design: Design
    runs: list[RunResult]
    comparisons: list[Comparison]
    verdict: Word | None
    """Of the first recipe; null where it did not come to one."""
    reason: str
    ending: Ending
    state: HostState
    exit_code: int | None
    next: str | None
    """The command to type."""
