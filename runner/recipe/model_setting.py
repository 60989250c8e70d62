"""A setting of the host that can be read, changed, checked and put back: what changes are made of."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from runner.recipe.model_base import Strict, Text

Form = Literal["text", "choice", "mask", "cpus"]
"""How the state of a file is compared: `text` but for blanks; `choice` is what stands in brackets (`none
[mq-deadline]`); `mask` of processors, but for zeros in front of its groups (`00000003`, `3`); `cpus`, however
their ranges are written (`0,1`, `0-1`)."""


def _as_text(value: Any) -> Any:
    """Take YAML's numbers for the texts that they are written as."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Value = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(min_length=1),
    WithJsonSchema({"type": ["string", "number"], "minLength": 1}),
]


def _of_one_line(text: str) -> str:
    if not all(each.isprintable() or each == "\t" for each in text):
        raise ValueError("a value is one line of printable text")
    return text


def _stays_below(name: str) -> str:
    if ".." in name.split("/"):
        raise ValueError("a sysctl is below /proc/sys")
    return name


OneLine = Annotated[Value, AfterValidator(_of_one_line)]


class FileSpec(Strict):
    """A file that holds one value: written, and read again."""

    file: Annotated[Text, StringConstraints(pattern=r"^/")]
    value: OneLine
    form: Form = "text"
    persists: bool = False
    """It is still so after the host was started anew."""


class SysctlSpec(Strict):
    """A value below /proc/sys."""

    sysctl: Annotated[
        Text, StringConstraints(pattern=r"^[A-Za-z0-9_.$@/{}-]+$"), AfterValidator(_stays_below)
    ]
    value: OneLine


class CommandSpec(Strict):
    """Anything else, by texts for `sh -e`."""

    name: Text
    read: Text
    """Prints the state."""
    apply: Text
    verify: Text | None = None
    """Succeeds where it is applied; without it the state has to be another one than before."""
    revert: Text
    """Puts $BEFORE back, which `read` printed before anything was changed."""
    gone: Text | None = None
    """Succeeds where there is nothing left to put back: the process has ended, the interface is gone."""
    counters: Text | None = None
    """Prints lines of a name and an integer: what the change itself counted, read before it is put back."""
    persists: bool = False

    @model_validator(mode="after")
    def _reverts_to_what_was(self) -> Self:
        if "BEFORE" not in self.revert:
            raise ValueError("revert: it puts back what was there before, which is in $BEFORE")
        return self


def _kind(value: Any) -> str | None:
    if isinstance(value, Strict):
        return {FileSpec: "file", SysctlSpec: "sysctl"}.get(type(value), "name")
    kinds = [each for each in ("file", "sysctl", "name") if isinstance(value, dict) and each in value]
    return kinds[0] if len(kinds) == 1 else None


SettingSpec = Annotated[
    Annotated[FileSpec, Tag("file")]
    | Annotated[SysctlSpec, Tag("sysctl")]
    | Annotated[CommandSpec, Tag("name")],
    Discriminator(
        _kind,
        custom_error_type="setting_kind",
        custom_error_message="a setting has one of the keys file, sysctl, name",
    ),
]
"""Values of parameters stand in their texts as `$KIB` or `${KIB}`: the parameter's name in capitals."""


class Requirement(Strict):
    """What the host must have, or the change is refused."""

    check: Text
    """A text for `sh -e` that succeeds where it has."""
    reason: Text
    """Why it is refused where it has not, and what would mend that."""


def texts_of(setting: FileSpec | SysctlSpec | CommandSpec) -> list[str]:
    """Return all texts of a setting that values stand in."""
    dumped = setting.model_dump(exclude={"form", "persists"})
    return [each for each in dumped.values() if each is not None]
