"""`ebpf-recipe decode`: what some bpftrace printed somewhere, as a capture."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.bpftrace.output_format import OutputFormat
    from runner.bpftrace.script import Script
    from runner.capture.document import Capture, Message
    from runner.cli.output import Destination
    from runner.decode import Decoder

_CHUNK = 1 << 20
_LONGEST_SCRIPT = 1 << 20
_SHOWN_MESSAGES = 100
"""Messages that a table on a terminal shows; JSON has them all."""


class Format(StrEnum):
    """How the capture is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


class Input(StrEnum):
    """What bpftrace was asked to print."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


def decode_output(
    path: Annotated[
        Path, typer.Argument(metavar="[FILE]", readable=False, help="What bpftrace printed; - is stdin.")
    ] = Path("-"),
    bpftrace_version: Annotated[
        str | None,
        typer.Option(metavar="V", help="The release that printed it. [default: as much as the output shows]"),
    ] = None,
    source: Annotated[
        Input, typer.Option("--input", help="What it printed: bpftrace -f json, or text.")
    ] = Input.AUTO,
    script: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", readable=False, help="The script: it settles what the keys of maps are."
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="ID", help="Refuse what is not of this recipe's rendered program.")
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "-f", "--format", help="jsonl: messages as they come, each on a line, the capture last."
        ),
    ] = Format.AUTO,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", readable=False, help="Write to a file.")
    ] = None,
) -> None:
    """Decode saved output of bpftrace 0.14 to 0.27, JSON or text."""
    from runner.bpftrace.version import parse_release
    from runner.cli.output import Destination, keep
    from runner.errors import NotUnderstood
    from runner.interrupts import Interrupts

    version = parse_release("--bpftrace-version", bpftrace_version) if bpftrace_version is not None else None
    known = read_script(script) if script is not None else None
    destination = Destination(output)
    with Interrupts() as interrupts:
        if str(path) == "-":
            # Ctrl-C ends bpftrace at the other end of the pipe too: its maps are still to come.
            interrupts.wake_up(lambda _: interrupts.raise_from_now_on())
        else:
            interrupts.raise_from_now_on()
        try:
            _decode(path, version, source, known, recipe, form, destination)
        except NotUnderstood as error:
            if str(path) == "-" and error.raw:
                error.hint = "; ".join(
                    filter(None, (error.hint, f"its beginning is kept in {keep(error.raw)}"))
                )
            raise


def read_script(path: Path) -> Script:
    """Read a script.

    :raises ValueRefused: It cannot be read, or is none.
    """
    from runner.bpftrace.script import Script
    from runner.errors import ValueRefused

    try:
        script = Script(path.read_bytes().decode(errors="surrogateescape"))
    except OSError as error:
        raise ValueRefused(f"{path}: {error.strerror}") from error
    if len(script.text) > _LONGEST_SCRIPT:
        raise ValueRefused(f"{path} is longer than 1 MB: it is no bpftrace script")
    if not script.has_probes:
        raise ValueRefused(f"{path} has no probe: it is no bpftrace script")
    return script


def _decode(
    path: Path,
    version: tuple[int, int, int] | None,
    source: Input,
    script: Script | None,
    recipe: str | None,
    form: Format,
    destination: Destination,
) -> None:
    from runner.decode import Decoder

    given: OutputFormat | None = None if source is Input.AUTO else source.value  # type: ignore[assignment]
    on_terminal = destination.path is None and sys.stdout.isatty()

    def decoder(on_message: Callable[[Message], None]) -> Decoder:
        return Decoder(form=given, version=version, script=script, recipe=recipe, on_message=on_message)

    if form is Format.JSONL:
        destination.write_pieces(_lines(path, decoder))
    elif form is Format.TABLE or (form is Format.AUTO and on_terminal):
        _write_table(path, decoder, destination, in_color=on_terminal)
    else:
        _write_json(path, decoder, destination)


def _lines(path: Path, decoder: Callable[[Callable[[Message], None]], Decoder]) -> Iterator[bytes]:
    """Make a line of every message as it comes, and one of the capture."""
    from runner.capture.stream import encode_line, encode_message

    lines: list[bytes] = []
    decoding = decoder(lambda message: lines.append(encode_message(message)))
    for chunk in _chunks(path):
        decoding.feed(chunk)
        yield b"".join(lines)
        lines.clear()
    capture = decoding.capture()
    yield b"".join(lines) + encode_line(capture)
    _note(capture)


def _write_json(
    path: Path, decoder: Callable[[Callable[[Message], None]], Decoder], destination: Destination
) -> None:
    from contextlib import closing

    from runner.capture.stream import MessageFile

    with closing(MessageFile()) as messages:
        capture = _decoded(path, decoder(messages.append))
        destination.write_pieces(messages.encode(capture))
    _note(capture)


def _write_table(
    path: Path,
    decoder: Callable[[Callable[[Message], None]], Decoder],
    destination: Destination,
    *,
    in_color: bool,
) -> None:
    from collections import deque

    from runner.cli.output import say
    from runner.report.terminal import format_capture

    newest: deque[Message] = deque(maxlen=_SHOWN_MESSAGES)
    count = 0

    def keep_newest(message: Message) -> None:
        nonlocal count
        count += 1
        newest.append(message)

    capture = _decoded(path, decoder(keep_newest))
    capture["messages"] = list(newest)
    destination.write(format_capture(capture, in_color=in_color).encode())
    if capture["quality"]["grade"] == "void":
        _note(capture)
    if count > len(newest):
        say(f"note: {count - len(newest)} earlier messages are not shown; -f json has them all")


def _decoded(path: Path, decoding: Decoder) -> Capture:
    for chunk in _chunks(path):
        decoding.feed(chunk)
    return decoding.capture()


def _chunks(path: Path) -> Iterator[bytes]:
    """Read a file or stdin, as it comes.

    :raises NotUnderstood: It cannot be read.
    """
    from runner.errors import NotUnderstood

    try:
        descriptor = 0 if str(path) == "-" else os.open(path, os.O_RDONLY)
        try:
            while chunk := os.read(descriptor, _CHUNK):
                yield chunk
        finally:
            if descriptor:
                os.close(descriptor)
    except OSError as error:
        raise NotUnderstood(f"{'stdin' if str(path) == '-' else path}: {error.strerror}") from error


def _note(capture: Capture) -> None:
    """Say on stderr what makes the result less than it looks, and fail where it proves nothing.

    :raises TraceFailed: The capture is void.
    """
    from runner.cli.output import say
    from runner.errors import TraceFailed

    if capture["quality"]["grade"] == "void":
        details = "; ".join(problem["detail"] for problem in capture["quality"]["problems"])
        raise TraceFailed(f"the run was void: {details}")
    if capture["quality"]["grade"] != "usable":
        for problem in capture["quality"]["problems"]:
            say(f"note: {problem['code']}: {problem['detail']}")
