"""Which tables of a run can be cut into windows, and why the others cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.arithmetic import CUMULATIVE, WHY_NOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import LeftOut


def why_not_cut(declaration: TableDeclaration) -> str | None:
    """Return why a table has no windows; None where it has: two snapshots tell what came between them."""
    if any(key.type == "user-stack" for key in declaration.keys):
        return (
            "its user stacks get their symbols anew for each snapshot, and a process that ended has none left"
        )
    if declaration.kind in CUMULATIVE or declaration.kind == "value":
        # A value is shown as it is when a window ends.
        return None
    return WHY_NOT[declaration.kind]


def left_out(declarations: Iterable[TableDeclaration]) -> Iterator[LeftOut]:
    """Return the tables that have no windows, each with the reason."""
    for declaration in declarations:
        why = why_not_cut(declaration)
        if why is not None:
            yield {"table": declaration.name, "reason": why}
