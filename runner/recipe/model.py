"""A recipe, typed: every field that a recipe file may have, and what it means."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from runner.recipe.model_base import Id, MapName, Name, Probe, Strict, Text
from runner.recipe.model_cost import OverheadNote
from runner.recipe.model_event import Event, EventField
from runner.recipe.model_evidence import Company, Evidence, Support
from runner.recipe.model_given import Parameter, Target
from runner.recipe.model_output import Enumeration, Key, Output
from runner.recipe.parameters import TARGET_FILTERS
from runner.recipe.vocabulary import Layer, Stage, Status, Symptom

Title = Annotated[str, StringConstraints(min_length=10, max_length=60, pattern=r"^[ -~]*$")]


class Guard(Strict):
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

    @property
    def feature(self) -> str:
        """Return what it asks for, as a name."""
        if self.field is not None:
            return f"the field {self.field} of {self.probe}"
        return self.probe or f"{self.bpftrace} of bpftrace"


class Variant(Strict):
    """One way to measure the recipe's quantity; the first whose guards hold is used."""

    id: Id
    when: tuple[Guard, ...] = ()
    description: Text


class Requires(Strict):
    """What no variant can do without."""

    btf: bool = False
    probes: tuple[Probe, ...] = ()


class PrimaryOutcome(Strict):
    """The number of a run that decides comparisons: fixed before anything is recorded.

    Quantiles are bounds, and no number. `above` is the share of a histogram's events from the threshold on
    that another output counts (`above_of`); `mean-log2` the mean of log2 of its values; `rate` per second.
    """

    table: Name
    statistic: Literal["rate", "above", "mean-log2"]
    better: Literal["lower", "higher"]


class Sampling(Strict):
    """Samples that come by the clock: so many are expected, and the kernel drops some silently.

    An idle processor may or may not be sampled; so only those that hit a task count (`pid != 0`).
    """

    table: Name
    """The table without keys that counts the samples of tasks."""
    hertz: Annotated[int, Field(ge=1, le=10_000)] | Name
    """How often on each processor, or the parameter that says it."""
    parts: tuple[Name, ...] = ()
    """Counts that have the same samples by keys, each in one of them: the sum of all is the table's."""


class Ticks(Strict):
    """Intervals of the program that must all have come: the kernel drops some silently."""

    table: Name
    """The table without keys that counts the intervals."""
    milliseconds: Annotated[int, Field(ge=1)]
    """How long each of them is."""


class Related(Strict):
    """Another recipe to look at."""

    id: Id
    type: Literal["details", "similar", "derived", "obsoletes"]


class Recipe(Strict):
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
    features: Annotated[dict[Id, Guard], Field(default_factory=dict)]
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
    beside: Company = "any"
    supports: tuple[Support, ...] = ()
    refutes: tuple[Evidence, ...] = ()
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
            other = output.unseen_of
            if other is not None and (output.keys or output.kind != "count" or other not in tables):
                raise ValueError(f"output {output.name}: unseen_of names an output; a count without keys")
            pair = output.above_of
            if pair is not None and (
                output.kind != "count"
                or pair.table not in tables
                or pair.parameter not in [parameter.name for parameter in self.parameters]
            ):
                raise ValueError(f"output {output.name}: above_of names an output and a parameter; a count")
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
        if self.sampling is not None and any(
            name not in tables or tables[name].kind != "count" for name in self.sampling.parts
        ):
            raise ValueError("sampling: parts name outputs that count")
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

    @property
    def split_by(self) -> str | None:
        """Return what a task's cgroup is a key as (`--by`); None where it is none."""
        parts: list[Key | EventField] = [key for output in self.outputs for key in output.keys]
        parts += [field for event in self.events for field in event.fields]
        return next((part.name for part in parts if part.type == "cgroup"), None)

    def map_names(self) -> frozenset[str]:
        """Return every map that the program may use."""
        return frozenset(output.map for output in self.outputs) | frozenset(self.scratch_maps)
