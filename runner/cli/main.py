"""`main`: the one entry of the command line and the one handler of errors."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import IO, TYPE_CHECKING

from runner.cli.output import say
from runner.errors import EbpfRecipeError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "ebpf-recipe"

COMPLETION = "_EBPF_RECIPE_COMPLETE"
"""The variable by which a shell asks for completion."""

_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EPIPE, errno.EIO})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every failure is a message on stderr."""
    _reopen_closed()
    try:
        if COMPLETION in os.environ:
            from runner.cli.completion import complete

            code = complete(_run_app, COMPLETION)
            if code is not None:
                return _flushed(code)
        _run_app(arguments)
    except SystemExit as end:
        return _flushed(end.code if isinstance(end.code, int) else int(end.code is not None))
    except EbpfRecipeError as error:
        return _flushed(_report(error))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            return _report_bug()
        # Typer's own printing of help and versions; ours says more.
        say(f"{PROGRAM}: stdout: {error.strerror}")
        return _flushed(ExitCode.WRITE)
    except Exception:  # noqa: BLE001  # the last handler; a bug is reported as one
        return _report_bug()
    return _flushed(ExitCode.DONE)


def _run_app(arguments: Sequence[str] | None = None) -> None:
    from runner.cli.app import app

    app(args=list(arguments) if arguments is not None else None, prog_name=PROGRAM)


def _reopen_closed() -> None:
    """Give closed standard descriptors a meaning: no pipe of ours may take their numbers.

    stdin reads nothing, stdout refuses what is written, stderr swallows it.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is given out: this one.
            os.open(os.devnull, mode)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = _Stderr(open(2, "wb", buffering=0, closefd=False), line_buffering=True)  # noqa: SIM115


class _Stderr(io.TextIOWrapper):
    """stderr that never fails: a full disk or a closed terminal must not end what runs."""

    def __init__(self, raw: io.FileIO, *, line_buffering: bool) -> None:
        super().__init__(
            raw,
            errors="backslashreplace",
            line_buffering=line_buffering,
            write_through=True,
        )

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def _report(error: EbpfRecipeError) -> int:
    lines = [f"{PROGRAM}: {error.message}"]
    if error.hint:
        lines.append(f"  {error.hint}")
    say("\n".join(lines))
    return error.exit_code


def _report_bug() -> int:
    import platform
    import traceback

    from runner import __version__

    say(
        f"{PROGRAM}: this is a bug of ours. Please report what follows.\n"
        f"version {__version__}, Python {platform.python_version()}, Linux {platform.release()}\n"
        f"arguments {sys.argv[1:]!r}\n{traceback.format_exc()}"
    )
    return ExitCode.BUG


def _flushed(code: int) -> int:
    """Flush while an error can still be reported; at exit Python would do so, and exit with 120."""
    error = _flush(sys.stdout)
    if error is not None and code == ExitCode.DONE:
        say(f"{PROGRAM}: stdout: {error.strerror}")
        code = ExitCode.WRITE
    return code


def _flush(stream: IO[str]) -> OSError | None:
    try:
        stream.flush()
    except OSError as error:
        # Nothing more can be written there: what is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None
