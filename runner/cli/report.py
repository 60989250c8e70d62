"""`ebpf-recipe report`: a saved capture as a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def report_capture(
    path: Annotated[Path, typer.Argument(metavar="PATH", readable=False, help="A capture.")],
) -> None:
    """Print a saved capture as tables."""
    from runner.capture.read import read_capture
    from runner.report.terminal import print_capture

    print_capture(read_capture(path), sys.stdout, in_color=sys.stdout.isatty())
