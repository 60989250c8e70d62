"""What bpftrace's output consists of, whatever its format: who reads it tells, who wants it listens."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from runner.bpftrace.dialect import Dialect

MapType = Literal["map", "hist", "stats", "tseries"]
"""bpftrace's own words for how a map is printed; `stats` is avg() too."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs: bpftrace prints objects that have a key twice, and both count."""

    def get(self, name: str) -> Any:
        """Return the value of the last pair of that name, or None."""
        return next((value for key, value in reversed(self) if key == name), None)

    def items(self) -> Pairs:
        """Return the pairs, as a dictionary does."""
        return self


Object = dict[str, Any] | Pairs
"""A JSON object: a dictionary where no key stands twice."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """What the kernel refused, or what the program did wrong.

    :param kind: `helper_error` or `runtime_error`.
    :param helper: Of a helper error: the helper's name, and `code` what it returned (negative errno).
    :param place: Line and column of the program, as bpftrace counts them.
    """

    kind: str
    helper: str
    code: int
    text: str
    place: str

    @property
    def is_full_map(self) -> bool:
        """Whether a map had no room for a new key."""
        return self.helper == "map_update_elem" and self.code == -errno.E2BIG

    @property
    def is_lost_first_count(self) -> bool:
        """Whether an aggregation lost one event, because another processor made the row at that moment.

        bpftrace 0.20 to 0.23 create a row of a map of each processor with BPF_NOEXIST (pull request 4074).
        """
        return self.helper == "map_update_elem" and self.code == -errno.EEXIST

    @property
    def is_harmless(self) -> bool:
        """Whether a key was just not there: to be looked up, or because somebody else deleted it first."""
        return self.helper == "map_lookup_elem" or (
            self.helper == "map_delete_elem" and self.code == -errno.ENOENT
        )


@dataclass(frozen=True, slots=True)
class PrintedMap:
    """One printing of a map.

    :param value: What was printed: of a map with keys an Object of printed keys, else the value alone.
    :param separator: What stands between the parts of a key.
    :param has_keys: Whether the map has keys, where the format says so.
    :param is_exact: Keys are as the program made them; else JSON's own damage is still in them.
    :param doubtful: The places of the entries that can be read in more than one way, with what of them can:
        `key`, `value`.
    """

    type: MapType
    value: Any
    separator: Literal[",", ", "] = ","
    has_keys: bool | None = None
    is_exact: bool = False
    doubtful: frozenset[tuple[int, str]] = frozenset()

    def drops_spaces(self, dialect: Dialect) -> bool:
        """Whether the keys have lost their spaces: JSON's, since 0.24."""
        return self.separator == "," and dialect.drops_spaces_of_keys


class Listener(Protocol):
    """Who wants to know what bpftrace printed; called in the order of the output."""

    def printed(self, name: str, printed: PrintedMap) -> None:
        """Take one printing of a map."""

    def said(self, kind: str, data: Any) -> None:
        """Take what a statement printed: bpftrace's word for it (printf, time, value, …), and its data."""

    def lost(self, events: int) -> None:
        """Take how many things to print bpftrace says that it lost."""

    def failed(self, error: ErrorMessage, times: int) -> None:
        """Take what the kernel refused, and how often."""

    def strayed(self, line: bytes) -> None:
        """Take a line that is not bpftrace's, or not of this format."""

    def unreadable(self, line: bytes, position: int, why: str) -> None:
        """Take a line that begins as bpftrace's and is none, by the place of its first byte."""

    def cut(self, line: bytes, position: int) -> None:
        """Take a last line that was not finished."""


class Reader(Protocol):
    """Who reads bpftrace's output and tells a listener."""

    @property
    def repaired(self) -> int:
        """Return how many numbers were printed in another form than they mean, and restored."""

    @property
    def doubtful(self) -> int:
        """Return how many lines have numbers that mean another thing in another release."""

    def feed(self, chunk: bytes) -> None:
        """Read on."""

    def close(self) -> None:
        """Tell what is left, at the end of the output."""
