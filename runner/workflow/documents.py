"""The documents of a case, shape by shape: what was planned, and what is concluded (`ebpf-recipe/case/v1`).

Additive changes only within v1. `null` says "not known". The same plan and captures give the same case, byte
by byte.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

Status = Literal["established", "open", "refuted", "not-measured"]
"""`open`: neither shown nor excluded; what speaks for it, if anything, stands in its evidence."""
Says = Literal["establishes", "suggests", "refutes", "nothing", "undecided"]
"""`undecided`: the capture does not decide its conditions; the reason says why."""
Scope = Literal["target", "host"]
"""Of whom a number is: of the target that was asked for, or of the whole host."""
Stage = Literal["scan", "detail"]
Company = Literal["any", "attached", "none"]


NOBODY = (
    "nothing of the target was seen: it is not there, it slept all the time, "
    "or it does nothing that these recipes see"
)
"""Why of a target of which nothing was seen nothing is refuted."""


class Rule(TypedDict):
    """Declared evidence, as the recipe had it, with the objective's numbers in its conditions."""

    hypothesis: str
    says: Literal["establishes", "suggests", "refutes"]
    when: list[str]
    reason: str


class PlannedStep(TypedDict):
    """One run of a recipe."""

    name: str
    """Its capture is `captures/NAME.json`."""
    recipe: str
    layer: str
    stage: Stage
    beside: Company
    scope: Scope
    arguments: list[str]
    """Of `ebpf-recipe run RECIPE`, without how long it is and where it goes."""
    seconds: float
    budget: str
    """What it may cost while it runs."""
    shortened: NotRequired[str]
    """Why its window is shorter than the others."""
    predicted_ratio: NotRequired[float | None]
    """What it will cost, as a share of all processors, by the rates of its events; null where not known."""
    rules: list[Rule]
    event_units: dict[str, str]
    """Units of the fields of its events."""


class LeftOut(TypedDict):
    """A recipe that is not run, and why."""

    recipe: str
    why: str
    hypotheses: list[str]


class PlannedSign(TypedDict):
    """A line of the host's own counters that speaks for a hypothesis."""

    sign: str
    says: Literal["establishes", "suggests"]
    reason: str


class PlannedRemedy(TypedDict):
    """A change to try."""

    title: str
    commands: list[str]
    revert: list[str]
    caution: str | None
    remedy: NotRequired[str]
    """Its id, where `ebpf-recipe experiment` can try it."""
    given: NotRequired[dict[str, str]]
    """Values of its parameters."""


class PlannedHypothesis(TypedDict):
    """A cause that is looked for."""

    id: str
    title: str
    layer: str
    description: str
    signs: list[PlannedSign]
    parts: list[str]
    shows_as: list[str]
    details: list[str]
    remedies: list[PlannedRemedy]
    next: str


class Plan(TypedDict):
    """What an investigation was going to do, written before anything was traced."""

    schema: Literal["ebpf-recipe/case-plan/v1"]
    program: str
    """The release of ebpf-recipe that made it."""
    symptom: str
    title: str
    target: dict[str, list[str]]
    slo: str
    budget: str
    depth: int
    seconds: float
    made_at: str
    bpftrace: str
    """The path of the binary."""
    host: dict[str, Any]
    rates: dict[str, float]
    """Events per second of each tracepoint of the scan, as perf counted them before it."""
    scan: list[PlannedStep]
    details: list[PlannedStep]
    """Those that may be run, when a hypothesis leads."""
    left_out: list[LeftOut]
    hypotheses: list[PlannedHypothesis]


class ConditionResult(TypedDict):
    """What a capture says of one condition."""

    condition: str
    verdict: Literal["pass", "fail", "inconclusive"]
    measured: dict[str, Any] | None
    reason: str | None


class Evidence(TypedDict):
    """What one capture, or one of the host's counters, says of a hypothesis."""

    capture: str
    """The name of the step."""
    recipe: str | None
    """Null of a sign."""
    sign: str | None
    scope: Scope
    says: Says
    conditions: list[ConditionResult]
    text: str
    """Of a sign what was counted; else what the conditions found, in words."""
    reason: str
    strength: float | None
    """How many times what was measured is of what the first condition asks for."""


class HypothesisResult(TypedDict):
    """What is known of a cause."""

    id: str
    title: str
    layer: str
    rank: int
    status: Status
    why: str
    behind: list[str]
    """Those of the established ones that are behind it: what is seen of it is theirs, or some of it."""
    evidence: list[Evidence]


class Part(TypedDict):
    """A part of the time of the target's threads."""

    part: str
    seconds: float
    share: list[float | None]
    """Bounds of its share of the time in which they worked, or waited for something that is no idleness."""


class Account(TypedDict):
    """Where the time of the target's threads went, in one window."""

    capture: str
    window_seconds: float | None
    busy_seconds: list[float]
    """Bounds: without and with what may be idleness (`lock`, `network`)."""
    parts: list[Part]
    throttled: list[float | None]
    """Seconds that a CPU limit held it back: bounds; part of `queued`."""
    unexplained_seconds: float
    idle_seconds: float
    notes: list[str]


class Finding(TypedDict):
    """The rows of a capture that stand out."""

    capture: str
    recipe: str
    scope: Scope
    table: str
    unit: str | None
    rows: list[dict[str, Any]]
    """`what` (keys in words) and `value` (in words), the greatest first."""


class NotMeasured(TypedDict):
    """What was not looked at, and why."""

    what: str
    why: str


class RemedyResult(TypedDict):
    """A change to try, with its commands filled in."""

    hypothesis: str
    title: str
    commands: list[str]
    revert: list[str]
    caution: str | None
    remedy: NotRequired[str]
    """Its id, where `ebpf-recipe experiment --case DIR --remedy ID` can try it."""
    given: NotRequired[dict[str, str]]
    """Values of its parameters that are known; those in capitals are not."""


class Tried(TypedDict):
    """A remedy of the case that was tried in an experiment."""

    hypothesis: str
    remedy: str
    parameters: dict[str, str]
    started: str
    verdict: str | None
    reason: str
    proves: bool
    """It is better with the change: the cause is proven."""
    directory: str


class Cost(TypedDict):
    """What the investigation itself took."""

    budget: str
    measured_ratio: float | None
    """Most that runs at one time took together, as a share of all processors; null: it was not measured."""
    seconds_traced: float


class Case(TypedDict):
    """What is concluded."""

    schema: Literal["ebpf-recipe/case/v1"]
    symptom: str
    title: str
    target: dict[str, list[str]]
    slo: str
    host: dict[str, Any]
    verdict: Literal["established", "nothing-established", "not-measured"]
    complete: bool
    """All that was planned was run."""
    hypotheses: list[HypothesisResult]
    """The first by rank first."""
    account: Account | None
    findings: list[Finding]
    not_measured: list[NotMeasured]
    remedies: list[RemedyResult]
    tried: NotRequired[list[Tried]]
    """Experiments with its remedies, in their order; not there before the first."""
    cost: Cost
    next: str
    """The command to type."""
