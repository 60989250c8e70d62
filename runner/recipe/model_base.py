"""What all parts of a recipe's model share: names, texts, and that nothing unknown is taken."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
MapName = Annotated[str, StringConstraints(pattern=r"^@[a-z][a-z0-9_]*$", max_length=40)]


def _printable(text: str) -> str:
    if not all(each.isprintable() or each in "\n\t" for each in text):
        raise ValueError("a text that people read has no control characters")
    return text


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(_printable)]
Probe = Annotated[
    str, StringConstraints(pattern=r"^(tracepoint:\w+:\w+|k(ret)?probe:\w+|f(entry|exit):\w+)$")
]


class Strict(BaseModel):
    """A part of a recipe: no key that it does not know, no change after it was read."""

    # What checks a part is made where a part alone is read: nobody does that with most of them.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def location_text(location: tuple[Any, ...]) -> str:
    """Return where in a recipe an error is, as `outputs[0].unit`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
