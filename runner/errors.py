"""What can go wrong, and the exit code of each: the only table of exit codes."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command, stable from the first release."""

    DONE = 0
    NEGATIVE = 1
    """A negative verdict: a failed gate, `worse`, lint findings."""
    USAGE = 2
    """The command line's grammar (most of it is reported by Typer)."""
    VALUE = 3
    """The value of a recipe, parameter or filter is wrong."""
    HOST = 4
    """This host cannot: no bpftrace, too old, no privilege, probe missing."""
    TRACE = 5
    """bpftrace started and failed."""
    DECODE = 6
    """Input or output was not understood; the raw bytes are kept."""
    WORKLOAD = 7
    """The `-- COMMAND` failed; its own code is in the capture."""
    WRITE = 8
    """A result could not be written where it was asked for."""
    CHANGED = 9
    """The host was left changed: a revert failed."""
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class EbpfRecipeError(Exception):
    """An expected failure: what happened, where, and what to do next.

    :param message: One or more lines, without the word "error".
    :param hint: What the reader can do or type next.
    """

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotParsed(EbpfRecipeError):
    """Words that follow no grammar of ours.

    :ivar column: Where that shows, from 1; one beyond the last where something is missing at the end.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, column: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.column = column


class ValueRefused(EbpfRecipeError):
    """A recipe, parameter or filter has a value that cannot be right."""

    exit_code = ExitCode.VALUE


class HostRefused(EbpfRecipeError):
    """This host lacks something that the run needs."""

    exit_code = ExitCode.HOST


class FeatureMissing(HostRefused):
    """This host lacks a feature that each way of measuring needs.

    :ivar lacks: Which, in a few words.
    """

    def __init__(self, message: str, *, lacks: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.lacks = lacks


class TraceFailed(EbpfRecipeError):
    """bpftrace started and failed before there was anything to show."""

    exit_code = ExitCode.TRACE


class NotUnderstood(EbpfRecipeError):
    """Input or output that could not be decoded.

    :ivar raw: All the bytes that were to be decoded, to be kept.
    """

    exit_code = ExitCode.DECODE
    raw: bytes = b""


class WorkloadFailed(EbpfRecipeError):
    """The command after `--` could not be started or failed."""

    exit_code = ExitCode.WORKLOAD


class NotWritten(EbpfRecipeError):
    """A result could not be written where it was asked for."""

    exit_code = ExitCode.WRITE


class Interrupted(EbpfRecipeError):
    """SIGINT arrived before there was anything to show."""

    exit_code = ExitCode.INTERRUPTED


class Terminated(EbpfRecipeError):
    """SIGTERM arrived before there was anything to show."""

    exit_code = ExitCode.TERMINATED
