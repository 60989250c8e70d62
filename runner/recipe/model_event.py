"""What a recipe reports as it happens: events and their fields."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from runner.capture.declaration import WORD_BYTES, EventDeclaration, FieldDeclaration, FieldType, Unit
from runner.recipe.model_base import Name, Strict, Text
from runner.recipe.model_output import Enumeration, Key


class EventField(Strict):
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

    @classmethod
    def of_cgroup(cls, name: str) -> "EventField":
        """Return the field that `--by` adds."""
        return cls.model_construct(name=name, type="cgroup")

    def key(self) -> Key | None:
        """Return the key of a table that travels in the same way, where there is one."""
        if self.type in ("text", "path", "arguments"):
            return None
        if self.type == "cgroup":
            return Key.of_cgroup(self.name)
        return Key(name=self.name, type=self.type, bytes=self.bytes, enum=self.enum)

    def declaration(self) -> FieldDeclaration:
        """Return what the decoder needs to know."""
        key = self.key()
        return FieldDeclaration(self.name, self.type, self.unit, None if key is None else key.declaration())


class Event(Strict):
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
