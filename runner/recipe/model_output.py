"""One table of a recipe: the map that carries it, its kind, unit and keys."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from runner.capture.buckets import Buckets, LinearBuckets, LogBuckets
from runner.capture.declaration import (
    COMM_BYTES,
    STACK_DEPTH,
    WORD_BYTES,
    KernelEnum,
    KeyDeclaration,
    KeyType,
    Kind,
    TableDeclaration,
    Unit,
)
from runner.recipe.model_base import MapName, Name, Strict, Text


class Enumeration(Strict):
    """An enumeration of the kernel, whose names the running kernel is asked for."""

    member: Annotated[str, StringConstraints(pattern=r"^\w+$")]
    """The name of one of its members, by which it is found."""
    prefix: Annotated[str, StringConstraints(pattern=r"^\w*$")] = ""
    """What rows leave out at the beginning of a name, and `suffix` at its end."""
    suffix: Annotated[str, StringConstraints(pattern=r"^\w*$")] = ""
    tracepoint: Annotated[str, StringConstraints(pattern=r"^\w+:\w+$")]
    """A tracepoint whose format has the names, for hosts where only a shell can look."""


class Key(Strict):
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
        if self.type == "cgroup":
            raise ValueError("cgroups become a key of any recipe that honours them by --by")
        if (self.type == "enum") != (self.enum is not None):
            raise ValueError("a key of type enum, and nothing else, says which one (enum: {member: …})")
        return self

    @classmethod
    def of_cgroup(cls, name: str) -> "Key":
        """Return the key that `--by` adds."""
        return cls.model_construct(name=name, type="cgroup")

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


class Linear(Strict):
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


class Threshold(Strict):
    """From where on a table's number is worth a look."""

    statistic: Literal["rate", "total", "p50", "p95", "p99", "p999"]
    """`rate` is the total per second of the window."""
    above: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """In the table's unit."""
    meaning: Text


class AboveOf(Strict):
    """What of another output is counted apart: exactly, where its buckets tell it between bounds."""

    table: Name
    parameter: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=30)]
    """The parameter that says from where on; a gate `TABLE.above(10ms)` sets it."""


class Output(Strict):
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
    unseen_of: Name | None = None
    """This table counts events that the named one misses, for the kernel did not run the program when they
    came, as a later event of the same thing shows."""
    above_of: AboveOf | None = None
    """This table counts what of the named one is as large as the parameter's value, or larger."""
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
            unseen_of=self.unseen_of,
            above_of=None if self.above_of is None else (self.above_of.table, self.above_of.parameter),
            better=None if self.direction == "neutral" else self.direction,
            unsigned=self.unsigned,
            buckets=self._buckets(),
            interval_ns=None if self.interval_ms is None else self.interval_ms * 1_000_000,
        )
