"""Saved output of bpftrace, from anywhere, as a capture: read as it comes, whatever its length."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.foreign import ForeignOutput
from runner.bpftrace.frame import END_MAP, LIMIT_MAP
from runner.bpftrace.json_output import JsonReader
from runner.bpftrace.output_format import format_of
from runner.bpftrace.text_output import TextReader
from runner.capture.encode import new_id
from runner.capture.quality import grade
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.bpftrace.output import Listener, Reader
    from runner.bpftrace.output_format import OutputFormat
    from runner.bpftrace.script import Script
    from runner.capture.document import Capture, Message, Problem, Table

SCHEMA: Final = "ebpf-recipe/capture/v1"

_HEAD = 1 << 16
"""Bytes after which the format is decided: what children and wrappers write before bpftrace is less."""


def reader_for(form: OutputFormat, listener: Listener, evidence: Evidence, script: Script | None) -> Reader:
    """Return what reads output of a format."""
    if form == "json":
        return JsonReader(listener, evidence)
    maps = {*script.maps, END_MAP, LIMIT_MAP} if script is not None else None
    return TextReader(listener, evidence, maps)


class Decoder:
    """Takes the output piece by piece and returns the capture at its end."""

    def __init__(
        self,
        *,
        form: OutputFormat | None = None,
        version: tuple[int, int, int] | None = None,
        script: Script | None = None,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        """Begin; see `decode`."""
        self._form = form
        self._script = script
        self._messages: list[Message] = []
        self._evidence = Evidence.of(version) if version is not None else Evidence()
        self._output = ForeignOutput(self._evidence, on_message or self._messages.append, script)
        self._reader: Reader | None = None
        self._head = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Read on.

        :raises NotUnderstood: It is no output of bpftrace; the error carries what was read.
        """
        if self._reader is not None:
            self._reader.feed(chunk)
            return
        self._head += chunk
        self._open(is_all=len(self._head) >= _HEAD)

    def capture(self) -> Capture:
        """Return the capture, at the end of the output.

        :raises NotUnderstood: It is no output of bpftrace; the error carries what was read.
        """
        if self._reader is None:
            self._open(is_all=True)
        assert self._reader is not None
        self._reader.close()
        if self._form == "json" and not self._output.is_known:
            raise self._refused("this is no output of bpftrace: it has no map and no message of its kinds")
        tables = self._output.tables()
        problems = list(self._output.problems())
        return foreign_capture(self._evidence, self._script, tables, problems, self._messages)

    def _open(self, *, is_all: bool) -> None:
        head = bytes(self._head)
        if self._form is None:
            try:
                self._form = format_of(head, is_all=is_all)
            except NotUnderstood as error:
                raise self._refused(error.message, error.hint) from error
        if self._form is not None:
            self._reader = reader_for(self._form, self._output, self._evidence, self._script)
            self._reader.feed(head)

    def _refused(self, message: str, hint: str | None = None) -> NotUnderstood:
        error = NotUnderstood(message, hint=hint)
        error.raw = bytes(self._head)
        return error


def decode(
    chunks: Iterable[bytes],
    *,
    form: OutputFormat | None = None,
    version: tuple[int, int, int] | None = None,
    script: Script | None = None,
    on_message: Callable[[Message], None] | None = None,
) -> Capture:
    """Decode what a script printed on some bpftrace from 0.14 to 0.27, JSON or text.

    :param chunks: The output, in pieces of any size.
    :param form: Its format, else it is found.
    :param version: The release that printed it, else as much as the output shows.
    :param script: The script, which settles how many parts a key has.
    :param on_message: Called with each message instead of keeping it in the capture: memory then does not
        grow with the number of messages.
    :raises NotUnderstood: It is no output of bpftrace.
    """
    decoder = Decoder(form=form, version=version, script=script, on_message=on_message)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.capture()


def foreign_capture(
    evidence: Evidence,
    script: Script | None,
    tables: list[Table],
    problems: list[Problem],
    messages: list[Message],
) -> Capture:
    """Return the capture of a script's output, of which nothing else is known."""
    identity = new_id()
    release = str(evidence) if evidence.first == evidence.last else None
    return {
        "schema": SCHEMA,
        "id": identity,
        "run_id": identity,
        "recipe": None,
        "parameters": {},
        "target": {},
        "program": None
        if script is None
        else {
            "text": script.text,
            "sha256": hashlib.sha256(script.text.encode(errors="surrogateescape")).hexdigest(),
        },
        "host": {
            "hostname": None, "kernel": None, "arch": None, "cpus": None,
            "bpftrace": release, "boot_id": None,
        },
        "window": {
            "started_at": None, "attached_at": None, "ended_at": None,
            "duration_seconds": None, "ended_by": None,
        },
        "quality": {"grade": grade(problems), "problems": problems},
        "overhead": None,
        "tables": tables,
        "events": [],
        "messages": messages,
        "companions": [],
    }  # fmt: skip
