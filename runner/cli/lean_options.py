"""Options that are not given need no converter: to make all of them takes as long as to read a recipe."""

from __future__ import annotations

from typing import Any

from typer.core import TyperOption


class LeanOption(TyperOption):
    """An option whose converter is made where there is something to convert."""

    def process_value(self, ctx: Any, value: Any) -> Any:
        """Return what the converter makes of a value; of none the same as it would."""
        if value is None and not self.required and self.callback is None:
            return () if self.multiple or self.nargs == -1 else None
        return super().process_value(ctx, value)


def leave_out_converters(command: Any) -> None:
    """Make a command's options such ones, in place."""
    for parameter in command.params:
        if type(parameter) is TyperOption:
            parameter.__class__ = LeanOption
