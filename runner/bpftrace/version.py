"""Which bpftrace this is and what it can do; facts by release."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.bpftrace.dialect import Dialect, dialect_of
from runner.bpftrace.evidence import FIRST, Evidence
from runner.errors import HostRefused, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.bpftrace.output_format import OutputFormat

DEFAULT_MAP_KEYS = 4096
"""bpftrace's own max_map_keys, in every release."""

ENVIRONMENT_VARIABLE = "EBPF_RECIPE_BPFTRACE"
OLDEST = (0, 17)
"""The oldest release that this product is tested with."""

_VERSION = re.compile(r"bpftrace v(\d+)\.(\d+)(?:\.(\d+))?")
_RELEASE = re.compile(r"v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:[-+~].*)?")
_VERSION_TIMEOUT_SECONDS = 60.0
_MOST_ANSWER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Bpftrace:
    """A bpftrace binary that answered.

    :param path: Its absolute path.
    :param version: Release, three numbers.
    """

    path: Path
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return ".".join(str(number) for number in self.version)

    @property
    def features(self) -> frozenset[str]:
        """Return what recipes may ask for in a guard.

        `hist-bits`: the second argument of hist() (since v0.20). `map-loops`: `for ($kv : @m)`
        (since v0.21). `cheap-ids`: `pid` and `tid` cost next to nothing, and an array is read by one
        call (measured: v0.27.1 is so, v0.23.2 is not; those between were not there to measure).
        """
        since = {"hist-bits": (0, 20, 0), "map-loops": (0, 21, 0), "cheap-ids": (0, 27, 0)}
        return frozenset(name for name, first in since.items() if self.version >= first)

    @property
    def evidence(self) -> Evidence:
        """Return what is known of its output: all."""
        return Evidence.of(self.version)

    @property
    def dialect(self) -> Dialect:
        """Return how its output differs from what it means."""
        return dialect_of(self.version)

    @property
    def text_bytes(self) -> int:
        """Return how much of a text a recipe's program may print, its NUL included.

        Up to 0.22 all that is printed at once stands on the stack of BPF programs, which has 512 bytes.
        """
        return 1024 if self.version >= (0, 23, 0) else 128

    def variables(
        self, *, max_map_keys: int | None, buffer_pages: int | None, text_bytes: int | None = None
    ) -> dict[str, str]:
        """Return the same as `settings` as variables alone: a foreign script may have a head of its own."""
        is_old = self.version < (0, 20, 0)
        given = {
            "BPFTRACE_MAP_KEYS_MAX" if is_old else "BPFTRACE_MAX_MAP_KEYS": max_map_keys,
            "BPFTRACE_PERF_RB_PAGES": buffer_pages,
            "BPFTRACE_STRLEN" if is_old else "BPFTRACE_MAX_STRLEN": text_bytes,
        }
        return {name: str(number) for name, number in given.items() if number is not None}

    def settings(
        self, *, max_map_keys: int | None, buffer_pages: int | None, text_bytes: int | None = None
    ) -> tuple[str, dict[str, str]]:
        """Return bpftrace's settings: a head for the program, and variables of the environment.

        The `config` block (since v0.20) needs no environment, which sudo clears; both are bpftrace's
        own names for the same thing.

        :param max_map_keys: Room in each map, or None for bpftrace's own default.
        :param buffer_pages: Pages of the buffer for things to print, a power of two (up to 0.17: of each
            processor), or None for bpftrace's own default.
        :param text_bytes: How much of a text is printed, its NUL included; one that goes on ends there, and
            not in two dots.
        """
        given: dict[str, int | str | None] = {
            "max_map_keys": max_map_keys,
            "perf_rb_pages": buffer_pages,
            "max_strlen": text_bytes,
            "str_trunc_trailer": '""' if text_bytes is not None and self.version >= (0, 23, 0) else None,
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        if not wanted:
            return "", {}
        if self.version >= (0, 20, 0):
            return "config = { " + "".join(f"{name} = {value}; " for name, value in wanted.items()) + "} ", {}
        return "", self.variables(max_map_keys=max_map_keys, buffer_pages=buffer_pages, text_bytes=text_bytes)

    def arguments(
        self,
        *,
        check_reads: bool = False,
        form: OutputFormat = "json",
        is_unsafe: bool = False,
        script_arguments: Sequence[str] = (),
    ) -> list[str]:
        """Return the command line of a run that reads its program from stdin.

        :param check_reads: Have every read that fails reported: each release keeps silent of them.
        :param is_unsafe: The program may call system() and what else is unsafe.
        :param script_arguments: What the program reads as $1, $2, …
        """
        if check_reads:
            told = ["-k"] if self.version >= (0, 23, 0) else ["-kk"]
        else:
            # Since v0.24 the warnings of a compilation go to stdout, in the middle of the data.
            told = ["--no-warnings"] if self.version >= (0, 24, 0) else []
        unsafe = ["--unsafe"] if is_unsafe else []
        return [str(self.path), "-q", "-f", form, *told, *unsafe, "-", *script_arguments]


def parse_release(option: str, given: str) -> tuple[int, int, int]:
    """Return a release that printed an output.

    :raises ValueRefused: It is none, or one whose output is not read.
    """
    match = _RELEASE.fullmatch(given)
    if match is None:
        raise ValueRefused(f"{option} {given!r}: that is no release of bpftrace", hint="such as 0.23.2")
    release = (int(match[1]), int(match[2]), int(match[3] or 0))
    if release[:2] < FIRST:
        raise ValueRefused(
            f"{option} {given}: bpftrace {given} prints shapes of its own; "
            f"{FIRST[0]}.{FIRST[1]} is the oldest whose output is decoded"
        )
    return release


def features_of(version: str) -> frozenset[str]:
    """Return what a release of bpftrace can do.

    :raises ValueError: It is no release.
    """
    try:
        return Bpftrace(Path("bpftrace"), parse_release("bpftrace", version)).features
    except ValueRefused as error:
        raise ValueError(error.message) from error


def check_supported(name: str, version: tuple[int, int, int]) -> None:
    """Refuse a release that is older than those this product is tested with.

    :param name: Of the binary, or of the host that has it.
    :raises HostRefused: It is.
    """
    if version[:2] < OLDEST:
        release = ".".join(map(str, version))
        raise HostRefused(
            f"{name} is bpftrace {release}; {OLDEST[0]}.{OLDEST[1]} is the oldest supported",
            hint="install a newer one, or name one with --bpftrace",
        )


def find_bpftrace(given: str | None = None) -> Bpftrace:
    """Return the bpftrace to use: the given path, else the environment's, else the one on PATH.

    :raises HostRefused: There is none, it cannot be executed, it does not answer, it is too old.
    """
    return ask_bpftrace(given)()


def ask_bpftrace(given: str | None = None) -> Callable[[], Bpftrace]:
    """Do the same in two steps, for it takes a tenth of a second: ask now, and return what waits for it.

    :raises HostRefused: There is none, or it cannot be executed; the returned function, for the rest.
    """
    asked = given if given is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    if asked is not None:
        path = Path(asked if "/" in asked else shutil.which(asked) or asked)
        if not asked or not path.exists():
            raise HostRefused(
                f"there is no bpftrace at {asked!r}", hint=f"check --bpftrace or ${ENVIRONMENT_VARIABLE}"
            )
        if path.is_dir() or not os.access(path, os.X_OK):
            raise HostRefused(
                f"{asked} is not an executable file", hint=f"check --bpftrace or ${ENVIRONMENT_VARIABLE}"
            )
    else:
        # Never the working directory, which is what an empty entry means.
        folders = [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        found = shutil.which("bpftrace", path=":".join(folder for folder in folders if folder))
        if found is None:
            raise HostRefused(
                "bpftrace is not installed",
                hint="apt-get install bpftrace (or dnf install bpftrace), or name one with --bpftrace",
            )
        path = Path(found)
    path = path.absolute()
    answer = _ask_version(path)
    return lambda: Bpftrace(path, answer())


def _ask_version(path: Path) -> Callable[[], tuple[int, int, int]]:
    try:
        process = subprocess.Popen(
            [path, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise HostRefused(f"{path} cannot be started: {error.strerror}") from error
    return lambda: _read_version(path, process)


def _answer_of(process: subprocess.Popen[bytes]) -> bytes:
    """Return what it prints, or the beginning of it, where it would not end.

    :raises TimeoutError: It does not end.
    """
    assert process.stdout is not None
    answer, deadline = b"", time.monotonic() + _VERSION_TIMEOUT_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(process.stdout.fileno(), _MOST_ANSWER_BYTES)
            answer += piece
            if len(answer) >= _MOST_ANSWER_BYTES:
                process.kill()
                return answer
            if not piece:
                process.wait()
                return answer
    raise TimeoutError


def _read_version(path: Path, process: subprocess.Popen[bytes]) -> tuple[int, int, int]:
    with process:
        try:
            answer = _answer_of(process)
        except TimeoutError as error:
            process.kill()
            seconds = f"{_VERSION_TIMEOUT_SECONDS:.0f} s"
            raise HostRefused(f"{path} --version gave no answer in {seconds}") from error
    match = _VERSION.search(answer.decode(errors="replace"))
    if match is None:
        said = answer.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise HostRefused(
            f"{path} --version does not answer as bpftrace does (exit {process.returncode}): {said[0]}"
        )
    version = (int(match[1]), int(match[2]), int(match[3] or 0))
    check_supported(str(path), version)
    return version
