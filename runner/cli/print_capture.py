"""One capture of a whole run, printed in the form that is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.capture.document import Capture
    from runner.cli.output import Destination
    from runner.cli.several import Several


def print_capture(
    capture: Capture, form: str, destination: Destination, several: Several | None = None
) -> None:
    """Print a capture, or keep it with others.

    :param form: `auto`, `table`, `json` or `jsonl`.
    :param several: Takes captures as JSON, where there are more than this one.
    """
    from runner.capture.encode import encode_capture
    from runner.capture.stream import encode_line
    from runner.cli.output import print_text
    from runner.report.terminal import format_capture

    has_terminal = sys.stdout.isatty()
    on_terminal = destination.path is None and has_terminal
    is_table = form == "table" or (form == "auto" and on_terminal)
    if several is not None:
        several.take([capture])
        if is_table:
            print_text(format_capture(capture, in_color=has_terminal))
        return
    if form == "table" and destination.path is not None and destination.path.suffix == ".json":
        destination.write(encode_capture(capture))
        print_text(format_capture(capture, in_color=has_terminal))
        return
    if is_table:
        destination.write(format_capture(capture, in_color=on_terminal).encode())
        return
    if form == "jsonl":
        destination.write(encode_line(capture))
        return
    destination.write(encode_capture(capture))
    if form == "auto" and has_terminal:
        print_text(format_capture(capture, in_color=True))
