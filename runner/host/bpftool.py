"""bpftool: which one, and what it answers, within limits of time and size."""

from __future__ import annotations

import ctypes
import json
import os
import re
import selectors
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import HostRefused
from runner.host.kernel import is_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENVIRONMENT_VARIABLE = "EBPF_RECIPE_BPFTOOL"
OLDEST = (5, 8)
"""The first release that lists links."""

MOST_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 10.0
_CLONE_NEWNET = 0x40000000
_INSTALL = (
    "apt-get install bpftool (dnf install bpftool; Ubuntu: linux-tools-$(uname -r)), "
    "or name one with --bpftool"
)
_LIBC = ctypes.CDLL(None, use_errno=True)


class ObjectMissing(HostRefused):
    """The kernel has no such object, or no longer."""


class AnswerCut(HostRefused):
    """The answer is longer than is read.

    :ivar beginning: What was read of it.
    """

    beginning: bytes = b""


@dataclass(frozen=True, slots=True)
class Bpftool:
    """A bpftool that answered.

    :param path: Its absolute path.
    :param version: Release, two numbers or three.
    """

    path: Path
    version: tuple[int, ...]
    timeout_seconds: float = _TIMEOUT_SECONDS

    def __str__(self) -> str:
        return ".".join(str(number) for number in self.version)

    def json(self, *arguments: str, with_pins: bool = False, network: Path | None = None) -> Any:
        """Return what it answers.

        :param with_pins: Look for the paths of what is pinned.
        :param network: The file of a network namespace to ask it in.
        :raises ObjectMissing: The kernel has no such object.
        :raises HostRefused: It fails, takes too long, or prints something else than JSON.
        """
        flags = ["-j", "-f"] if with_pins else ["-j"]
        answer = self._ask([*flags, *arguments], network=network, most=MOST_BYTES)
        return parse_answer(answer, self._said(arguments))

    def raw(self, *arguments: str, most: int = MOST_BYTES) -> bytes:
        """Return what it prints, as it is.

        :raises ObjectMissing: The kernel has no such object.
        :raises AnswerCut: It is longer than so many bytes.
        :raises HostRefused: It fails or takes too long.
        """
        return self._ask(arguments, network=None, most=most)

    def _said(self, arguments: tuple[str, ...] | list[str]) -> str:
        return f"{self.path.name} {' '.join(arguments)}"

    def _ask(self, arguments: tuple[str, ...] | list[str], *, network: Path | None, most: int) -> bytes:
        return _ask([str(self.path), *arguments], self._said(arguments), network, most, self.timeout_seconds)


def find_bpftool(given: str | None = None) -> Bpftool:
    """Return the bpftool to use: the given path, the environment's, the one on PATH or in /usr/sbin.

    :raises HostRefused: There is none, it cannot be executed, it does not answer, it is too old.
    """
    asked = given if given is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    where = f"check --bpftool or ${ENVIRONMENT_VARIABLE}"
    if asked is not None:
        path = Path(asked if "/" in asked else shutil.which(asked) or asked)
        if not asked or not path.exists():
            raise HostRefused(f"there is no bpftool at {asked!r}", hint=where)
        if path.is_dir() or not os.access(path, os.X_OK):
            raise HostRefused(f"{asked} is not an executable file", hint=where)
    else:
        # Never the working directory, which is what an empty entry means.
        folders = [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        found = shutil.which("bpftool", path=":".join(folder for folder in folders if folder))
        if found is None:
            raise HostRefused("bpftool is not installed", hint=_INSTALL)
        path = Path(found)
    path = path.absolute()
    return Bpftool(path, _version_of(path))


def _version_of(path: Path) -> tuple[int, ...]:
    said = f"{path} -j version"
    try:
        answer = _ask([str(path), "-j", "version"], said, None, _CHUNK_BYTES, _TIMEOUT_SECONDS)
        document = parse_answer(answer, said)
    except HostRefused as error:
        # Such as Ubuntu's script of this name, which looks for the one that was built with the kernel.
        raise HostRefused(error.message, hint=error.hint or _INSTALL) from error
    version = document.get("version") if isinstance(document, dict) else None
    match = re.match(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", version) if isinstance(version, str) else None
    if match is None:
        raise HostRefused(f"{said} does not answer as bpftool does: {_first_line(answer)}", hint=_INSTALL)
    found = tuple(int(number) for number in match.groups() if number is not None)
    if found[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise HostRefused(
            f"{path} is bpftool {version}; {oldest} is the oldest that lists links", hint=_INSTALL
        )
    return found


def parse_answer(answer: bytes, said: str) -> Any:
    """Return the JSON of an answer; bytes that are not UTF-8 come as lone surrogates.

    :raises HostRefused: It is none, or says an error.
    """
    try:
        document = json.loads(answer.decode(errors="surrogateescape"), strict=False)
    except (ValueError, RecursionError) as error:
        raise HostRefused(f"{said} printed no JSON: {_first_line(answer)}") from error
    for each in document if isinstance(document, list) else [document]:
        if isinstance(each, dict) and set(each) == {"error"}:
            raise _refusal(said, str(each["error"]))
    return document


def elements(beginning: bytes) -> Iterator[Any]:
    """Yield the elements of a JSON array, of which only the beginning may be there."""
    text = beginning.decode(errors="surrogateescape")
    decoder = json.JSONDecoder(strict=False)
    place = text.find("[") + 1
    while place < len(text) and text[place] != "]":
        try:
            element, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield element
        while place < len(text) and text[place] in ", \n\t":
            place += 1


def _ask(argv: list[str], said: str, network: Path | None, most: int, timeout: float) -> bytes:
    descriptor = os.open(network, os.O_RDONLY | os.O_CLOEXEC) if network is not None else None
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            # One call into libc; without a namespace there is none, and the start is faster.
            preexec_fn=_enter(descriptor) if descriptor is not None else None,  # noqa: PLW1509
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "strerror", None) or error
        raise HostRefused(f"{argv[0]} cannot be started: {why}") from error
    finally:
        if descriptor is not None:
            os.close(descriptor)
    with process:
        try:
            out, err = _drained(process, most, timeout)
        except TimeoutError as error:
            raise HostRefused(f"{said} gave no answer in {timeout:g} s") from error
        finally:
            if process.poll() is None:
                process.kill()
    if len(out) > most:
        cut = AnswerCut(f"{said} printed more than {most >> 20} MiB")
        cut.beginning = out[:most]
        raise cut
    if process.returncode != 0:
        raise _refusal(said, _error_of(out, err) or f"exit {process.returncode}")
    return out


def _enter(descriptor: int) -> Callable[[], None]:
    def before_exec() -> None:
        if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
            os._exit(127)

    return before_exec


def _drained(process: subprocess.Popen[bytes], most: int, timeout: float) -> tuple[bytes, bytes]:
    """Return what it printed until it ended, or a little more than `most` of it.

    :raises TimeoutError: It does not end.
    """
    deadline = time.monotonic() + timeout
    pieces: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, "out")  # type: ignore[arg-type]
        selector.register(process.stderr, selectors.EVENT_READ, "err")  # type: ignore[arg-type]
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, _CHUNK_BYTES)
                pieces[key.data] += piece
                if not piece:
                    selector.unregister(key.fileobj)
                if len(pieces[key.data]) > most:
                    return bytes(pieces["out"]), bytes(pieces["err"])
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return bytes(pieces["out"]), bytes(pieces["err"])


def _error_of(out: bytes, err: bytes) -> str:
    """Return what a failed bpftool says of it: as JSON, or on stderr."""
    try:
        document = json.loads(out.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        document = None
    for each in document if isinstance(document, list) else [document]:
        if isinstance(each, dict) and "error" in each:
            return str(each["error"])
    said = err.strip() or out.strip()
    return _first_line(said).removeprefix("Error: ") if said else ""


def _refusal(said: str, why: str) -> HostRefused:
    if "not permitted" in why or "Permission denied" in why:
        needs = "it needs CAP_SYS_ADMIN: ebpf-recipe doctor" if is_root() else "sudo ebpf-recipe programs"
        return HostRefused(f"{said}: {why}", hint=needs)
    if "by id" in why and "No such file" in why:
        return ObjectMissing(f"{said}: {why}")
    return HostRefused(f"{said}: {why}")


def _first_line(answer: bytes) -> str:
    lines = answer.decode(errors="replace").strip().splitlines()
    return lines[0][:200] if lines else "it said nothing"
