"""A recipe, typed: every field that a recipe file may have, and what it means."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from runner.capture.buckets import Buckets, LinearBuckets, LogBuckets
from runner.capture.declaration import (
    COMM_BYTES,
    STACK_DEPTH,
    WORD_BYTES,
    EventDeclaration,
    FieldDeclaration,
    FieldType,
    KernelEnum,
    KeyDeclaration,
    KeyType,
    Kind,
    TableDeclaration,
    Unit,
)
from runner.recipe.parameters import (
    CALLED_FUNCTION,
    INTEGER_BOUNDS,
    PARAMETER_TYPES,
    TARGET_FILTERS,
    ParameterType,
    integer_type,
)
from runner.recipe.vocabulary import Layer, Stage, Status, Symptom

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
MapName = Annotated[str, StringConstraints(pattern=r"^@[a-z][a-z0-9_]*$", max_length=40)]
Title = Annotated[str, StringConstraints(min_length=10, max_length=60, pattern=r"^[ -~]*$")]


def _printable(text: str) -> str:
    if not all(each.isprintable() or each in "\n\t" for each in text):
        raise ValueError("a text that people read has no control characters")
    return text


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(_printable)]
Probe = Annotated[
    str, StringConstraints(pattern=r"^(tracepoint:\w+:\w+|k(ret)?probe:\w+|f(entry|exit):\w+)$")
]


def _known_parameter_type(name: str) -> str:
    if name not in PARAMETER_TYPES:
        raise ValueError(f"no such parameter type; there are {', '.join(sorted(PARAMETER_TYPES))}")
    return name


def _known_filter(name: str) -> str:
    if name not in TARGET_FILTERS:
        raise ValueError(f"no such target filter; there are {', '.join(TARGET_FILTERS)}")
    return name


def _one_of(names: Iterable[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": sorted(names)})


Filter = Annotated[str, AfterValidator(_known_filter), _one_of(TARGET_FILTERS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Strict):
    """A value that the person who runs the recipe may give."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=30)]
    type: Annotated[str, AfterValidator(_known_parameter_type), _one_of(PARAMETER_TYPES)]
    description: Text
    repeatable: bool = False
    default: Text | None = None
    """What it is where it is not given, in the words of the command line."""
    minimum: int | None = None
    """Of an integer; and `maximum`, both inclusive."""
    maximum: int | None = None
    required: bool = False
    """Without it there is nothing to run."""
    returns: bool = False
    """Of a function: where it returns is probed too, so that it is no tracepoint."""

    @model_validator(mode="after")
    def _bounds_and_default_fit(self) -> Self:
        if self.required and self.default is not None:
            raise ValueError("what has a default is not required")
        if self.returns and self.type != "function":
            raise ValueError("only a function returns")
        if self.type != "integer" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("only an integer has a minimum and a maximum")
        lowest, highest = INTEGER_BOUNDS
        least = lowest if self.minimum is None else self.minimum
        most = highest if self.maximum is None else self.maximum
        if not lowest <= least <= most <= highest:
            raise ValueError(f"minimum and maximum are in this order and from {lowest} to {highest}")
        if self.default is not None:
            try:
                self.kind.parse(self.default)
            except ValueError as error:
                raise ValueError(f"its default {self.default!r}: {error}") from error
        return self

    @property
    def kind(self) -> ParameterType:
        """Return how the parameter is written and parsed."""
        if self.type == "integer":
            return integer_type(self.minimum, self.maximum)
        if self.returns:
            return CALLED_FUNCTION
        return PARAMETER_TYPES[self.type]


class Target(_Strict):
    """Which target filters the recipe honours, and how; why it cannot honour the others."""

    honours: dict[Filter, Text] = {}
    refuses: dict[Filter, Text] = {}

    @model_validator(mode="after")
    def _every_filter_once(self) -> Self:
        both = self.honours.keys() & self.refuses.keys()
        if both:
            raise ValueError(f"both honoured and refused: {', '.join(sorted(both))}")
        missing = TARGET_FILTERS.keys() - self.honours.keys() - self.refuses.keys()
        if missing:
            raise ValueError(f"neither honoured nor refused: {', '.join(sorted(missing))}")
        return self


class Guard(_Strict):
    """One condition on the host: features are tested, never version numbers."""

    probe: Probe | None = None
    field: Annotated[str, StringConstraints(pattern=r"^\w+$")] | None = None
    """With `probe`: the probe has this field."""
    bpftrace: str | None = None
    """A feature of bpftrace (`bpftrace/version.py`)."""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.probe is None) == (self.bpftrace is None):
            raise ValueError("a guard asks for a probe (or a field of one) or for a feature of bpftrace")
        if self.field is not None and self.probe is None:
            raise ValueError("a field needs the probe that has it")
        return self

    def __str__(self) -> str:
        if self.field is not None:
            return f"{self.probe} has the field {self.field}"
        return self.probe or f"bpftrace has {self.bpftrace}"


class Variant(_Strict):
    """One way to measure the recipe's quantity; the first whose guards hold is used."""

    id: Id
    when: tuple[Guard, ...] = ()
    description: Text


class Requires(_Strict):
    """What no variant can do without."""

    btf: bool = False
    probes: tuple[Probe, ...] = ()


class Enumeration(_Strict):
    """An enumeration of the kernel, whose names the running kernel is asked for."""

    member: Annotated[str, StringConstraints(pattern=r"^\w+$")]
    """The name of one of its members, by which it is found."""
    prefix: Annotated[str, StringConstraints(pattern=r"^\w*$")] = ""
    """What rows leave out at the beginning of a name, and `suffix` at its end."""
    suffix: Annotated[str, StringConstraints(pattern=r"^\w*$")] = ""
    tracepoint: Annotated[str, StringConstraints(pattern=r"^\w+:\w+$")]
    """A tracepoint whose format has the names, for hosts where only a shell can look."""


class Key(_Strict):
    """One key of a table."""

    name: Name
    type: KeyType
    owner: bool = False
    bytes: Annotated[int, Field(ge=WORD_BYTES, le=8 * WORD_BYTES, multiple_of=WORD_BYTES)] | None = None
    """Of a string: how many of its bytes are kept."""
    depth: Annotated[int, Field(ge=1, le=STACK_DEPTH)] | None = None
    """Of a stack: how many of its innermost frames are kept."""
    enum: Enumeration | None = None
    description: Text | None = None

    @model_validator(mode="after")
    def _sizes_fit_the_type(self) -> Self:
        if (self.type == "string") != (self.bytes is not None):
            raise ValueError("a string, and nothing else, says how many bytes of it are kept (bytes: 32)")
        if self.depth is not None and self.type not in ("kernel-stack", "user-stack"):
            raise ValueError("only a stack has a depth")
        if (self.type == "enum") != (self.enum is not None):
            raise ValueError("a key of type enum, and nothing else, says which one (enum: {member: …})")
        return self

    def declaration(self) -> KeyDeclaration:
        """Return what the decoder needs to know."""
        enum = self.enum
        return KeyDeclaration(
            self.name,
            self.type,
            self.owner,
            self.bytes or COMM_BYTES,
            self.depth or STACK_DEPTH,
            None if enum is None else KernelEnum(enum.member, enum.prefix, enum.suffix),
        )


class Linear(_Strict):
    """Buckets of one width, and one open bucket at each end."""

    minimum: int
    maximum: int
    step: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        width = self.maximum - self.minimum
        if width <= 0 or width % self.step or width // self.step > 1000:
            raise ValueError("from minimum to maximum there are 1 to 1000 whole steps")
        return self


class Threshold(_Strict):
    """From where on a table's number is worth a look."""

    statistic: Literal["rate", "total", "p50", "p95", "p99", "p999"]
    """`rate` is the total per second of the window."""
    above: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """In the table's unit."""
    meaning: Text


class Output(_Strict):
    """One table of the capture: the map that carries it, what it counts, in what unit.

    Kind `avg` cannot be merged or compared: `stats` has count and total besides the average.
    """

    name: Name
    map: MapName
    kind: Kind
    unit: Unit
    keys: tuple[Key, ...] = ()
    total_of: Name | None = None
    unfollowed_of: Name | None = None
    """This table counts events that the named one misses, for a scratch map had no room to follow them."""
    events_of: Name | None = None
    """This table counts the events of that name: some that are printed may not arrive."""
    unreturned_of: Name | None = None
    """This table counts calls that the named one misses, for the kernel did not follow them to their return;
    a variant that sees every return has no need of it."""
    unsigned: bool = False
    """The values are unsigned 64-bit integers."""
    bits: Annotated[int, Field(ge=0, le=5)] | None = None
    """Of a histogram: each power of two is cut into 2^bits parts; 2 unless given."""
    linear: Linear | None = None
    """Of a histogram: buckets of one width instead."""
    interval_ms: Annotated[int, Field(ge=1)] | None = None
    """Of a time series: how long each of its points is."""
    direction: Literal["lower", "higher", "neutral"] = "neutral"
    """Which way is better."""
    threshold: Threshold | None = None
    description: Text

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Self:
        if self.kind == "avg":
            raise ValueError("an average without its count cannot be merged or compared: use stats")
        if self.kind != "histogram" and (self.bits is not None or self.linear is not None):
            raise ValueError("only a histogram has bits or linear buckets")
        if self.linear is not None and (self.bits is not None or self.unsigned):
            raise ValueError("linear buckets have no bits and hold signed values")
        if (self.kind == "time-series") != (self.interval_ms is not None):
            raise ValueError("a time series, and nothing else, has an interval (interval_ms: 100)")
        if self.kind == "count" and self.unsigned:
            raise ValueError("a count is unsigned as it is")
        if self.threshold is not None and (self.threshold.statistic[0] == "p") != (self.kind == "histogram"):
            raise ValueError("the threshold of a histogram is a quantile, of anything else a rate or total")
        names = [key.name for key in self.keys]
        if len(set(names)) < len(names):
            raise ValueError("two keys have one name")
        types = [key.type for key in self.keys]
        if "socket" in types and self.kind not in ("count", "sum"):
            raise ValueError(
                "a socket may turn out to be another process's: only a count or a sum can be moved"
            )
        if types.count("kernel-stack") > 1 or "user-stack" in types[:-1]:
            # Up to bpftrace 0.23 nothing but its place tells where a stack with hostile symbols ends.
            raise ValueError("a table has one kernel-stack at most, and a user-stack is its last key")
        return self

    def _buckets(self) -> Buckets | None:
        if self.kind != "histogram":
            return None
        if self.linear is not None:
            return LinearBuckets(self.linear.minimum, self.linear.maximum, self.linear.step)
        return LogBuckets() if self.bits is None else LogBuckets(self.bits)

    def declaration(self) -> TableDeclaration:
        """Return what the decoder needs to know."""
        return TableDeclaration(
            name=self.name,
            map=self.map,
            kind=self.kind,
            unit=self.unit,
            keys=tuple(key.declaration() for key in self.keys),
            total_of=self.total_of,
            unfollowed_of=self.unfollowed_of,
            events_of=self.events_of,
            unreturned_of=self.unreturned_of,
            unsigned=self.unsigned,
            buckets=self._buckets(),
            interval_ns=None if self.interval_ms is None else self.interval_ms * 1_000_000,
        )


class EventField(_Strict):
    """One field of an event."""

    name: Name
    type: FieldType
    unit: Unit | None = None
    enum: Enumeration | None = None
    bytes: Annotated[int, Field(ge=WORD_BYTES, le=8 * WORD_BYTES, multiple_of=WORD_BYTES)] | None = None
    """Of a string: how many of its bytes are kept."""
    description: Text | None = None

    @model_validator(mode="after")
    def _type_is_one_of_events(self) -> Self:
        if self.type in ("socket", "ksym", "kernel-stack", "user-stack"):
            raise ValueError(f"an event has no {self.type}")
        self.key()
        return self

    def key(self) -> Key | None:
        """Return the key of a table that travels in the same way, where there is one."""
        if self.type in ("text", "path", "arguments"):
            return None
        return Key(name=self.name, type=self.type, bytes=self.bytes, enum=self.enum)

    def declaration(self) -> FieldDeclaration:
        """Return what the decoder needs to know."""
        key = self.key()
        return FieldDeclaration(self.name, self.type, self.unit, None if key is None else key.declaration())


class Event(_Strict):
    """Something that the program reports as it happens, in a line of its own."""

    name: Name
    fields: Annotated[tuple[EventField, ...], Field(min_length=1)]
    description: Text

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        names = [field.name for field in self.fields]
        if len(set(names)) < len(names):
            raise ValueError("two fields have one name")
        if sum(field.type == "text" for field in self.fields) > 1:
            # Programs of bpftrace up to 0.22 have 512 bytes for all that they print at once.
            raise ValueError("an event has one text at most")
        return self

    def declaration(self) -> EventDeclaration:
        """Return what the decoder needs to know."""
        return EventDeclaration(self.name, tuple(field.declaration() for field in self.fields))


class PrimaryOutcome(_Strict):
    """The number that decides a comparison of two captures."""

    table: Name
    statistic: Literal["rate", "total", "p50", "p95", "p99", "p999"]
    better: Literal["lower", "higher"]


class Sampling(_Strict):
    """Samples that come by the clock: so many are expected, and the kernel drops some silently.

    An idle processor may or may not be sampled; so only those that hit a task count (`pid != 0`).
    """

    table: Name
    """The table without keys that counts the samples of tasks."""
    hertz: Annotated[int, Field(ge=1, le=10_000)] | Name
    """How often on each processor, or the parameter that says it."""


class Ticks(_Strict):
    """Intervals of the program that must all have come: the kernel drops some silently."""

    table: Name
    """The table without keys that counts the intervals."""
    milliseconds: Annotated[int, Field(ge=1)]
    """How long each of them is."""


class Related(_Strict):
    """Another recipe to look at."""

    id: Id
    type: Literal["details", "similar", "derived", "obsoletes"]


class OverheadNote(_Strict):
    """What the recipe costs: a level, and why."""

    level: Literal["low", "medium", "high"]
    reason: Text


class Recipe(_Strict):
    """A recipe: one YAML file, and the template of the same name."""

    schema_version: Literal[1] = Field(alias="schema")
    id: Id
    title: Title
    status: Status
    layer: Layer
    stage: Stage
    symptoms: tuple[Symptom, ...] = ()
    description: Text
    author: Text
    date: date
    references: tuple[Annotated[str, StringConstraints(pattern=r"^https?://\S+$")], ...]
    parameters: tuple[Parameter, ...] = ()
    target: Target
    requires: Requires = Requires()
    features: dict[Id, Guard] = {}
    """What the template may ask of the host: `has("name")`."""
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    instead: Text | None = None
    """What measures the like where the host has none of the variants' probes."""
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    events: tuple[Event, ...] = ()
    scratch_maps: tuple[MapName, ...] = ()
    """Maps that the program keeps for itself; they are cleared, not reported."""
    max_map_keys: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Room for keys in each map, where bpftrace's own default (4096) is too small."""
    bookkeeping: tuple[Probe, ...] = ()
    """Probes that count nothing but remember owners: an event that they miss shows as an unattributed row."""
    sampling: Sampling | None = None
    ticks: Ticks | None = None
    progress: Name | None = None
    """The table without keys that says how many events there were so far."""
    primary: PrimaryOutcome
    caveats: Annotated[tuple[Text, ...], Field(min_length=1)]
    overhead: OverheadNote
    related: tuple[Related, ...] = ()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        tables = {output.name: output for output in self.outputs}
        for output in self.outputs:
            other = output.unfollowed_of
            if other is not None and (output.keys or output.kind != "count" or other not in tables):
                raise ValueError(f"output {output.name}: unfollowed_of names an output; a count without keys")
            other = output.unreturned_of
            if other is not None and (output.keys or output.kind != "count" or other not in tables):
                raise ValueError(f"output {output.name}: unreturned_of names an output; a count without keys")
            if output.total_of is None:
                continue
            if output.keys or output.kind != "count" or output.total_of not in tables:
                raise ValueError(f"output {output.name}: total_of names another output; a count without keys")
            if tables[output.total_of].kind not in ("count", "histogram", "stats"):
                raise ValueError(f"output {output.name}: {output.total_of} does not count events")
        counted = sorted(output.events_of for output in self.outputs if output.events_of is not None)
        if counted != sorted(event.name for event in self.events):
            raise ValueError("events: each has one output that counts it (events_of), and no output another")
        if any(output.events_of and (output.keys or output.kind != "count") for output in self.outputs):
            raise ValueError("events_of: such an output is a count without keys")
        if self.primary.table not in tables:
            raise ValueError(f"primary: no output is called {self.primary.table}")
        if self.progress is not None and (self.progress not in tables or tables[self.progress].keys):
            raise ValueError("progress: names an output without keys")
        if self.sampling is not None and (
            self.sampling.table not in tables or tables[self.sampling.table].keys
        ):
            raise ValueError("sampling: table names an output without keys")
        parameters = {parameter.name: parameter for parameter in self.parameters}
        functions = [parameter for parameter in self.parameters if parameter.type == "function"]
        has_key = any(key.type == "function" for output in self.outputs for key in output.keys)
        if len(functions) > 1 or (has_key and not functions):
            raise ValueError("parameters: one is a function where a key is, and no more than one")
        if self.sampling is not None and isinstance(self.sampling.hertz, str):
            rate = parameters.get(self.sampling.hertz)
            if rate is None or rate.type != "integer" or rate.default is None:
                raise ValueError("sampling: hertz is a number, or an integer parameter with a default")
        if self.ticks is not None and (self.ticks.table not in tables or tables[self.ticks.table].keys):
            raise ValueError("ticks: table names an output without keys")
        for what, names in (
            ("outputs", [output.name for output in self.outputs]),
            ("maps", [output.map for output in self.outputs] + list(self.scratch_maps)),
            ("parameters", [parameter.name for parameter in self.parameters] + list(TARGET_FILTERS)),
            ("variants", [variant.id for variant in self.variants]),
            ("events", [event.name for event in self.events]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{what}: {', '.join(sorted(twice))} stands twice")
        return self

    def guards(self) -> tuple[Guard, ...]:
        """Return every question that the recipe asks of a host."""
        needed = tuple(Guard(probe=probe) for probe in self.requires.probes)
        return (*needed, *self.features.values(), *(g for variant in self.variants for g in variant.when))

    def enums(self) -> tuple[Enumeration, ...]:
        """Return the enumerations whose names the kernel is asked for."""
        keys: list[Key | EventField] = [key for output in self.outputs for key in output.keys]
        keys += [field for event in self.events for field in event.fields]
        return tuple({key.enum.member: key.enum for key in keys if key.enum is not None}.values())

    @property
    def prints_texts(self) -> bool:
        """Whether its events have texts whose length is not known beforehand."""
        return any(field.type in ("text", "path") for event in self.events for field in event.fields)

    def asks_for_devices(self) -> bool:
        """Whether it has to do with block devices, whose names and numbers the host is asked for."""
        keys = any(key.type == "device" for output in self.outputs for key in output.keys)
        fields = any(field.type == "device" for event in self.events for field in event.fields)
        return keys or fields or any(parameter.type == "device" for parameter in self.parameters)

    def map_names(self) -> frozenset[str]:
        """Return every map that the program may use."""
        return frozenset(output.map for output in self.outputs) | frozenset(self.scratch_maps)


def location_text(location: tuple[Any, ...]) -> str:
    """Return where in a recipe an error is, as `outputs[0].unit`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
