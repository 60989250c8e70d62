"""`ebpf-recipe report`: a saved capture as a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def report_capture(
    path: Annotated[Path, typer.Argument(metavar="PATH", readable=False, help="A capture; - is stdin.")],
) -> None:
    """Print a saved capture as tables."""
    from runner.capture.read import read_capture
    from runner.cli.output import print_text
    from runner.report.terminal import format_capture

    source = Path("/dev/stdin") if str(path) == "-" else path
    print_text(format_capture(read_capture(source), in_color=sys.stdout.isatty()))
