"""`--junit`: gates or a comparison as JUnit XML in a file, beside whatever else is printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.capture.document import Capture
    from runner.cli.output import Destination

Junit = Annotated[
    Path | None,
    typer.Option(
        "--junit", metavar="FILE", readable=False, help="Also write JUnit XML, for CI.", show_default=False
    ),
]


def junit_destination(path: Path | None) -> Destination | None:
    """Return where JUnit XML goes, checked before anything is measured; None where it is not asked for.

    :raises NotWritten: It cannot be written there.
    """
    from runner.cli.output import Destination

    return None if path is None else Destination(path, option="--junit")


def write_gates(destination: Destination | None, captures: Iterable[Capture]) -> None:
    """Write the gates of captures, where that is asked for.

    :raises NotWritten: They could not be written; the message says where they were kept instead.
    """
    if destination is not None:
        from runner.report.junit import junit_of_gates

        destination.write(junit_of_gates(captures))
