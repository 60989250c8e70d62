"""Saved output of bpftrace, from anywhere, as a capture: read as it comes, whatever its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.foreign import ForeignOutput
from runner.bpftrace.frame import END_MAP, LIMIT_MAP
from runner.bpftrace.json_output import JsonReader
from runner.bpftrace.messages import Messages
from runner.bpftrace.output_format import format_of
from runner.bpftrace.text_output import TextReader
from runner.capture.make import NOWHERE, new_capture
from runner.capture.quality import problem
from runner.errors import NotUnderstood
from runner.rendered import capture_of, rendered_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.bpftrace.output import Listener, Reader
    from runner.bpftrace.output_format import OutputFormat
    from runner.bpftrace.script import Script
    from runner.capture.document import Capture, Message
    from runner.rendered import Rendered

_HEAD = 1 << 16
"""Bytes after which the format is decided: what children and wrappers write before bpftrace is less."""

_BOM = b"\xef\xbb\xbf"
_NOTICE = (b'{"type": "attached_probes"', b"Attach")
_EXAMINED_AT_ONCE = 1 << 12
"""Up to so many bytes every piece is looked at; later only where there is twice as much."""


def first_said(head: bytes, form: OutputFormat) -> bytes | None:
    """Return the first line that a program printed, where it is whole: what a rendered one says of itself."""
    for line in head.split(b"\n")[:-1]:
        if line.strip() and not line.startswith(_NOTICE) and (form == "text" or b'{"type": "' in line):
            return line
    return None


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
        recipe: str | None = None,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        """Begin; see `decode`."""
        self._recipe = recipe
        self._form = form
        self._script = script
        self._messages: list[Message] = []
        self._evidence = Evidence.of(version) if version is not None else Evidence()
        self._on_message = on_message or self._messages.append
        self._output = ForeignOutput(self._evidence, self._on_message, script)
        self._rendered: Rendered | None = None
        self._recipe_output = Messages()
        self._reader: Reader | None = None
        self._head = bytearray()
        self._examined = 0
        self._has_returns = False
        self._held = b""

    def feed(self, chunk: bytes) -> None:
        """Read on.

        :raises NotUnderstood: It is no output of bpftrace; the error carries what was read.
        """
        if self._reader is not None:
            self._reader.feed(self._without_returns(chunk))
            return
        self._head += chunk
        size = len(self._head)
        if size <= _EXAMINED_AT_ONCE or size >= 2 * self._examined:
            self._examined = size
            self._open(is_all=size >= _HEAD)

    def _without_returns(self, chunk: bytes) -> bytes:
        """Return the piece with the line ends of Linux, where the file has been elsewhere."""
        if not self._has_returns:
            return chunk
        chunk = self._held + chunk
        self._held = b"\r" if chunk.endswith(b"\r") else b""
        return chunk[: len(chunk) - len(self._held)].replace(b"\r\n", b"\n")

    def capture(self) -> Capture:
        """Return the capture, at the end of the output.

        :raises NotUnderstood: It is no output of bpftrace; the error carries what was read.
        """
        if self._reader is None:
            self._open(is_all=True)
        assert self._reader is not None
        self._reader.feed(self._held)
        self._reader.close()
        if self._rendered is not None:
            return self._recipe_capture(self._rendered)
        if self._form == "json" and not self._output.is_known and not self._evidence.is_seen:
            raise self._refused("this is no output of bpftrace: it has no map and no message of its kinds")
        tables = self._output.tables()
        problems = list(self._output.problems(repaired=self._reader.repaired, doubtful=self._reader.doubtful))
        if not self._output.is_known and not self._evidence.is_seen:
            problems.append(
                problem("output-unrecognized", None, "nothing in it shows that bpftrace printed it")
            )
        first, last = self._evidence.first, self._evidence.last
        return new_capture(
            program=self._script.program if self._script is not None else None,
            host={**NOWHERE, "bpftrace": str(self._evidence) if first == last else None},
            tables=tables,
            problems=problems,
            messages=self._messages,
        )

    def _open(self, *, is_all: bool) -> None:
        head = bytes(self._head).removeprefix(_BOM)
        line, newline, _ = head.partition(b"\n")
        self._has_returns = line.endswith(b"\r") and bool(newline)
        if self._has_returns:
            head = self._without_returns(head)
        try:
            form = self._form or format_of(head, is_all=is_all)
            said = first_said(head, form) if form is not None else None
            if form is None or (said is None and not is_all):
                self._held = b""
                return
            self._form = form
            self._rendered = rendered_of(said + b"\n") if said is not None else None
        except NotUnderstood as error:
            raise self._refused(error.message, error.hint) from error
        self._check_recipe()
        if self._rendered is not None:
            # It says which release it was made for.
            self._evidence = self._rendered.plan.bpftrace.evidence
            self._reader = reader_for(form, self._recipe_output, self._evidence, None)
        else:
            self._reader = reader_for(form, self._output, self._evidence, self._script)
        self._reader.feed(head)

    def _check_recipe(self) -> None:
        found = self._rendered.plan.loaded.recipe.id if self._rendered is not None else None
        if self._recipe is None or found == self._recipe:
            return
        what = "of a program that was not rendered" if found is None else f"of {found}"
        raise self._refused(
            f"the output is {what}, not of {self._recipe}",
            hint=f"`ebpf-recipe render {self._recipe}` makes programs whose output says what it is",
        )

    def _recipe_capture(self, rendered: Rendered) -> Capture:
        messages = self._recipe_output
        assert self._reader is not None
        messages.repaired += self._reader.repaired
        messages.settle(self._evidence.dialect)
        capture = capture_of(rendered, messages, is_contradictory=self._evidence.is_contradictory)
        for message in capture["messages"]:
            self._on_message(message)
        capture["messages"] = self._messages
        return capture

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
    recipe: str | None = None,
    on_message: Callable[[Message], None] | None = None,
) -> Capture:
    """Decode what a script printed on some bpftrace from 0.14 to 0.27, JSON or text.

    What a rendered program of a recipe printed says so itself, and becomes that recipe's capture.

    :param chunks: The output, in pieces of any size.
    :param form: Its format, else it is found.
    :param version: The release that printed it, else as much as the output shows.
    :param script: The script, which settles how many parts a key has.
    :param recipe: Refuse what is not of this recipe.
    :param on_message: Called with each message instead of keeping it in the capture: memory then does not
        grow with the number of messages.
    :raises NotUnderstood: It is no output of bpftrace.
    """
    decoder = Decoder(form=form, version=version, script=script, recipe=recipe, on_message=on_message)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.capture()
