"""The capture document, shape by shape, as the JSON that it is (schema `ebpf-recipe/capture/v1`).

Additive changes only within v1. A field that is absent says nothing; `null` says "not known", which
is what a capture decoded from saved output has where only a run would know. These are types for the
checker and the JSON Schema; a run builds plain dictionaries and imports none of this.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from runner.capture.declaration import Better, KeyType, Kind, Unit

Grade = Literal["usable", "degraded", "void"]
EndedBy = Literal["duration", "workload", "interrupt", "limit", "crash", "script", "target", "budget"]
"""`script`: a foreign script called exit(); `target`: the processes or cgroups that were asked for ended;
`budget`: it took more of the processors than it was allowed (--budget)."""


class TextBytes(TypedDict):
    """A string that is not UTF-8: readable text with U+FFFD, and the exact bytes."""

    text: str
    base64: str


class Frame(TypedDict):
    """One frame of a stack; `address` stands where no symbol was found."""

    symbol: NotRequired[str | TextBytes]
    offset: NotRequired[int]
    """Bytes from the beginning of the symbol (of the module, beside a build id)."""
    module: NotRequired[str | TextBytes]
    source: NotRequired[str | TextBytes]
    line: NotRequired[int]
    inlined: NotRequired[bool]
    address: NotRequired[str]
    build_id: NotRequired[str]


Stack = list[Frame]
"""Innermost frame first."""

KeyValue = int | bool | str | TextBytes | Stack | None
"""`null` for the keys of an owner that is not known (the row is marked `unattributed`), and for the
process of a socket that several processes of one name hold."""


class Row(TypedDict):
    """What the rows of every kind share."""

    key: dict[str, KeyValue]
    unattributed: NotRequired[bool]
    """True where the owner that the table's keys name could not be found; never a bystander."""
    damaged: NotRequired[list[str]]
    """Keys that came out of bpftrace damaged and could not be recovered exactly."""
    ambiguous: NotRequired[list[str]]
    """Of a foreign script's output: what can be read in more than one way (keys, `value`, `buckets`). A key
    that could be cut into its parts in several ways stands in the first of them as it was printed."""


class ScalarRow(Row):
    """A row of kind count, sum, min, max, avg or value: one number (or, of a foreign script, any value)."""

    value: Any


class StatsRow(Row):
    """A row of kind stats. `average` is bpftrace's integer quotient, rounded toward zero."""

    count: int
    average: int
    total: int


class Bucket(TypedDict):
    """One bucket of a histogram; the bounds are inclusive, `null` is open."""

    lower: int | None
    upper: int | None
    count: int


Bounds = list[int | None]
"""[lower, upper], inclusive: the quantile lies there, with bucket width and sampling error (95 %) in it."""


class Quantiles(TypedDict):
    """Bounds of quantiles; `null` where fewer than 10 events lie beyond."""

    p50: Bounds | None
    p95: Bounds | None
    p99: Bounds | None
    p999: Bounds | None


class HistogramRow(Row):
    """A row of kind histogram."""

    count: int
    buckets: list[Bucket]
    quantiles: Quantiles


class Point(TypedDict):
    """One interval of a time series; `value` is `null` where nothing was recorded."""

    time: str
    value: int | None


class TimeSeriesRow(Row):
    """A row of kind time-series."""

    points: list[Point]


class KeyColumn(TypedDict):
    """Name and type of one key of a table."""

    name: str
    type: KeyType | None


class AbovePair(TypedDict):
    """What of another table is counted apart."""

    table: str
    parameter: str
    """The parameter of the recipe that says from where on."""


class Table(TypedDict):
    """One bpftrace map, decoded. `unit` is `null` for scripts that declare none."""

    name: str
    map: str
    kind: Kind
    unit: Unit | None
    since: NotRequired[str]
    """Of a window: when its map was read before (the first time: when the probes were attached), and `until`,
    when it was read now. bpftrace reads one map after the other, so each table's window is its own."""
    until: NotRequired[str]
    total_of: NotRequired[str]
    """This table counts what the named one counts, without keys."""
    events_of: NotRequired[str]
    """This table counts the events of that name."""
    unfollowed_of: NotRequired[str]
    """This table counts events that the named one misses, for a map of the program had no room."""
    unreturned_of: NotRequired[str]
    """This table counts calls that the named one misses, for the kernel did not follow their return."""
    unseen_of: NotRequired[str]
    """This table counts events that the named one misses, for the kernel did not run the program then."""
    above_of: NotRequired[AbovePair]
    """This table counts what of the named one is as large as the parameter's value, or larger."""
    better: NotRequired[Better]
    """Which way its numbers are better, where the recipe says so."""
    keys: list[KeyColumn]
    rows: list[ScalarRow] | list[StatsRow] | list[HistogramRow] | list[TimeSeriesRow]


class Primary(TypedDict):
    """The outcome that decides a comparison."""

    table: str
    statistic: str
    better: Better


class RecipeReference(TypedDict):
    """Which recipe ran, and which of its variants, and why that one."""

    id: str
    digest: str
    variant: str
    variant_reason: NotRequired[str]
    by: NotRequired[str]
    """What of a task's cgroup is a key of tables and a field of events: `pod`, `container`, `cgroup`."""
    hierarchy: NotRequired[str]
    """In which hierarchy of cgroups that is: `v2`, or a controller of version 1."""
    primary: Primary | None


class FunctionFound(TypedDict):
    """Where a function that was asked for by its name is."""

    function: str
    """The words of the command line."""
    path: str
    """The file, as bpftrace was given it: of a process in a container below `/proc/PID/root`."""
    location: str
    """Symbol, address or offset in the file, as bpftrace was given it."""
    build_id: str | None


class CgroupFound(TypedDict):
    """Which cgroup was meant by a filter of the command line."""

    filter: str
    """Option and value: `pod default/web`."""
    hierarchy: str
    """`v2`, or a controller of the hierarchy of version 1."""
    path: str | TextBytes
    """Below the root of that hierarchy."""
    id: int
    exact: bool
    """Without the cgroups below it."""


class Program(TypedDict):
    """The bpftrace program that ran, exactly."""

    text: str
    sha256: str
    name: NotRequired[str]
    """The name of a script's file."""
    functions: NotRequired[list[FunctionFound]]
    """Those of files, where the recipe takes functions."""
    cgroups: NotRequired[list[CgroupFound]]
    """Those that were asked for: a pod may have several."""


class Host(TypedDict):
    """Where it ran; offline decoding knows little of it."""

    hostname: str | None
    kernel: str | None
    arch: str | None
    cpus: int | None
    bpftrace: str | None
    boot_id: str | None


class Work(TypedDict):
    """How much a command says that it did ($EBPF_RECIPE_WORK)."""

    count: int
    unit: str | None


class Workload(TypedDict):
    """The command that ran while the run lasted; a negative code is the signal that ended it."""

    argv: list[str | TextBytes]
    exit_code: int | None
    """`null` where it was ended because the duration was over."""
    ended: NotRequired[Literal["runner"]]
    """The run was over before the command was, which was ended with it."""
    work: NotRequired[Work]
    """Where it says so: all that it did, from its start to its end."""


class LeftOut(TypedDict):
    """A table of the run that a window lacks."""

    table: str
    reason: str


class Window(TypedDict):
    """When it was measured (UTC, RFC 3339) and what ended it."""

    started_at: str | None
    attached_at: str | None
    """When the last probe was attached; the first was up to 50 ms earlier and counted meanwhile."""
    ended_at: str | None
    duration_seconds: float | None
    ended_by: EndedBy | None
    workload: NotRequired[Workload]
    recorded: NotRequired[bool]
    """True where a recording was decoded again: nothing was measured now."""
    index: NotRequired[int]
    """Place of this window among those of its run, from 0."""
    left_out: NotRequired[list[LeftOut]]
    """Of a window among others: tables that it lacks; the capture of the whole run has them."""


class Problem(TypedDict):
    """One thing that makes the result less than it looks."""

    code: str
    count: int | None
    """How many events, keys or rows it concerns; `null` where that cannot be known."""
    detail: str
    cure: NotRequired[str]
    """What to do about it."""


class Quality(TypedDict):
    """Whether the result can be relied on; void data passes no gate and proves nothing."""

    grade: Grade
    problems: list[Problem]


class BudgetUse(TypedDict):
    """What a run with a budget took of it: shares of all processors together, while the window lasted."""

    ratio: float
    """The budget."""
    cpus: int
    """How many processors ran."""
    outcome: Literal["kept", "refused", "stopped", "exceeded", "unmeasured"]
    """`refused`: it was above the budget from the first moment on, and ended with it; `stopped`: later;
    `unmeasured`: it was ended because what it took could not be measured."""
    first_moment_ratio: float | None
    """What the first moment (0.5 s) took."""
    measured_ratio: float | None
    """What the window took in the mean: the sum of the four that follow."""
    inside_ratio: float | None
    """Time inside our BPF programs."""
    around_ratio: float | None
    """What calling them took beside that: their runs, times what a benchmark says of such a probe."""
    tracer_ratio: float | None
    """Processor time of bpftrace."""
    runner_ratio: float | None
    """Processor time of ebpf-recipe."""
    deciding_ratio: NotRequired[float]
    """Where it was refused or stopped: what was too much."""


class Overhead(TypedDict):
    """What the tracing cost; `covers` says what the figures include.

    `cpu_ratio` is CPU seconds inside BPF per second, of one processor: `bpf_seconds / measured_seconds`.
    """

    bpf_seconds: float | None
    probe_runs: int | None
    ns_per_run: float | None
    cpu_ratio: float | None
    measured_seconds: NotRequired[float | None]
    """How much of the window `bpf_seconds` and `probe_runs` were counted in."""
    map_bytes: NotRequired[int | None]
    tracer_cpu_seconds: NotRequired[float | None]
    tracer_rss_bytes: NotRequired[int | None]
    covers: NotRequired[str]
    budget: NotRequired[BudgetUse]
    """Where the run had one (--budget)."""


class Companion(TypedDict):
    """A fact about the host read beside the run, before and after it; docs/companions.md has them all."""

    name: str
    source: str
    """The file or command that says it."""
    unit: Unit | None
    before: Any
    """When the probes were attached, before the workload; `null` where it could not be read then."""
    after: Any
    """When the window ended; `null` where it could not be read, or is read once."""
    cgroup: NotRequired[str | TextBytes]
    """The control group that it is of."""
    pid: NotRequired[int]
    """A process in whose network namespace it was read; without it that was the runner's."""
    cpu: NotRequired[int]
    """The processor that it is of; without it, all of them together."""


class Event(TypedDict):
    """One event that a recipe reports as it happens."""

    name: str
    time: str | None
    """When it happened (UTC, RFC 3339)."""
    time_seconds: float | None
    """Since `attached_at`; the first probes were attached up to 50 ms earlier."""
    fields: dict[str, Any]
    cut: NotRequired[list[str]]
    """Fields that are longer than what is kept of them."""
    damaged: NotRequired[list[str]]
    """Fields of which a part was lost on its way: they are `null`."""


class Message(TypedDict):
    """Anything else that bpftrace printed, in its order."""

    type: str
    """bpftrace's word for it (printf, time, cat, join, syscall, warnf …) or `text`."""
    text: str | TextBytes
    data: NotRequired[Any]
    probe_source: NotRequired[str]


class Measured(TypedDict):
    """Where a statistic lies: bounds, both inclusive, equal where it is exact; `null` is open."""

    lower: int | float | None
    upper: int | float | None
    unit: str
    """The table's, `ratio` of shares, `events`; of rates per second (`packets/s`)."""


class GateResult(TypedDict):
    """What a run says of a condition that it was given (--gate)."""

    gate: str
    verdict: Literal["pass", "fail", "inconclusive"]
    counts_as: Literal["pass", "fail"]
    """What it is to the exit code: an inconclusive one as --inconclusive says, but never a pass where there
    is nothing that it could be decided by."""
    measured: Measured | None
    reason: str | None
    """Why it is inconclusive."""


class Capture(TypedDict):
    """One run, or one window of it."""

    schema: Literal["ebpf-recipe/capture/v1"]
    id: str
    """Sorts by time of creation."""
    run_id: str
    """Shared by the windows of one run and the capture of all of it; else equal to `id`."""
    recipe: RecipeReference | None
    parameters: dict[str, Any]
    target: dict[str, list[str | int | TextBytes]]
    program: Program | None
    host: Host
    window: Window
    quality: Quality
    overhead: Overhead | None
    tables: list[Table]
    events: list[Event]
    messages: list[Message]
    companions: list[Companion]
    gates: NotRequired[list[GateResult]]
    """Where there were some: of the whole run, in the captures of its windows too."""
