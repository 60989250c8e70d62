"""The comparison document, shape by shape, as the JSON that it is (schema `ebpf-recipe/comparison/v1`).

Additive changes only within v1. `null` says "not known", and of a bound "open". The same captures give the
same document, byte by byte.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from runner.capture.document import Bucket, GateResult, KeyValue, Quantiles

Word = Literal["better", "worse", "same", "changed", "inconclusive"]
SideName = Literal["before", "after"]
Statistic = Literal["above", "mean-log2", "rate", "per-work", "mean"]
"""`above`: the share of events from a threshold on; `mean-log2`: the mean of log2 of the events' values, in
octaves; `rate`: per second; `per-work`: per unit of the work that the command did; `mean`: of stats."""
Measure = Literal["ratio", "share", "octaves", "amount"]
"""What a shift is: after over before; a difference of shares, of log2, of anything else in its own unit."""
ProblemCode = Literal[
    "unreadable",
    "not-a-capture",
    "void",
    "unfit",
    "duplicate",
    "overlapping",
    "other-recipe",
    "other-program",
    "other-parameters",
    "other-target",
    "other-host",
    "other-kernel",
    "other-bpftrace",
    "other-unit",
    "degraded",
    "no-outcome",
    "drift",
    "load-unknown",
]


class Series(TypedDict):
    """What the windows of a run say of the first outcome, where there are enough of them (8)."""

    windows: int
    drift: float | None
    """From the first window to the last, in the outcome's unit."""
    has_drift: bool
    autocorrelation: float | None
    effective: float | None
    """How many independent windows they are worth."""


class Run(TypedDict):
    """One independent run: its own start of the load and of bpftrace."""

    run_id: str
    files: list[str]
    """Where its captures were read, as they were given."""
    started_at: str | None
    seconds: float | None
    windows: int
    """How many of its captures are windows of it; 0 where it is one capture."""
    work: int | None
    """Units of work that its command did."""
    values: list[float | None]
    """One number of each primary outcome, in the order of `tables`."""
    series: NotRequired[Series]


class Side(TypedDict):
    """The runs of a side, in the order of their beginning."""

    runs: list[Run]
    hosts: list[str]
    left_out: int
    """Runs, and files that could not be read, that decide nothing; `problems` says why."""


class Design(TypedDict):
    """How the runs of both sides were recorded, and what can be decided by them."""

    kind: Literal["unpaired", "abba", "windows"]
    """`windows`: one run against one, and only what their windows say."""
    blocks: int
    alpha: float
    can_decide: bool
    interleaved: bool | None
    """Runs of both sides took turns; null where it is not known when they were."""


class Load(TypedDict):
    """What each side did per second, in the mean of its runs."""

    unit: str
    """`events` of the first primary table, or the unit of the commands' work."""
    before: float
    after: float
    differs: bool
    """By more than 10 %."""
    drift: NotRequired[float | None]
    """From the first run to the last on a fitted line, as a ratio less 1; null where runs are not in blocks
    of ABBA, or one had no load."""
    drifts: NotRequired[bool]
    """By more than 10 %, and not by chance: then no outcome has a verdict."""
    variation: NotRequired[float | None]
    """Standard deviation over mean of the runs of a side: of the side that varied more; null where runs are
    not in blocks of ABBA."""
    varies: NotRequired[bool]
    """By more than 10 %: then no outcome has a verdict."""


class Margin(TypedDict):
    """Shifts that are taken for none."""

    measure: Measure
    lower: float
    upper: float


class Row(TypedDict):
    """What is said of one outcome: a verdict on a primary one; of others whether it seems to have changed."""

    name: str
    """The table."""
    key: dict[str, KeyValue]
    """Empty: all rows together. A value that stands for several is `*`; `other` is all that is rare."""
    statistic: Statistic
    threshold: NotRequired[str]
    """Of `above`: from where on, as it is written in gates (`10ms`)."""
    unit: str
    """Of before and after: `ratio` of shares, `octaves`, `packets/s`."""
    primary: bool
    better: Literal["lower", "higher"] | None
    verdict: Word
    """Of a row that is not primary `changed` (found at a false discovery rate of 5 %) or `inconclusive`."""
    before: float | None
    """Mean of the runs."""
    after: float | None
    shift: float | None
    """In the margin's measure; of rows that are not primary after over before, of octaves a difference."""
    p_value: float | None
    """Two-sided, of no difference; of rows that are not primary, of this one alone."""
    adjusted: NotRequired[float]
    """Of rows that are not primary: the false discovery rate at which it would be found."""
    margin: NotRequired[Margin]
    interval: NotRequired[list[float | None]]
    """Of the shift, at level 1 - alpha."""
    p_beyond: NotRequired[float]
    p_same: NotRequired[float]
    shown: NotRequired[dict[str, str]]
    """In words: `before` and `after`, of primary rows also `shift`, `interval`, `margin`. Of a mean log2 the
    first two are geometric means, in the unit of the table."""
    reason: NotRequired[str]
    anew: NotRequired[str | None]
    """What to record, where it is inconclusive."""
    runs_needed: NotRequired[int | None]


class Distribution(TypedDict):
    """All events of a side in one histogram."""

    count: int
    buckets: list[Bucket]
    quantiles: Quantiles


class DistributionPair(TypedDict):
    """The histograms of both sides, for the eye: verdicts come from runs."""

    name: str
    unit: str | None
    before: Distribution
    after: Distribution


class ComparisonProblem(TypedDict):
    """What is to be known of a capture, a run or a side."""

    code: ProblemCode
    side: SideName | None
    files: list[str]
    detail: str
    left_out: bool
    """It decides nothing."""


class Comparison(TypedDict):
    """Two sets of captures, and what may be said of their difference."""

    schema: Literal["ebpf-recipe/comparison/v1"]
    verdict: Word
    reason: str
    anew: str | None
    recipe: dict[str, Any]
    """`id`, `variant`, `digest` of the recipe that recorded both sides; `id` null of a script."""
    parameters: dict[str, Any]
    design: Design
    load: Load | None
    sides: dict[SideName, Side]
    tables: list[Row]
    """Primary outcomes first."""
    distributions: list[DistributionPair]
    problems: list[ComparisonProblem]
    gates: list[GateResult]
