"""Which releases of bpftrace can have printed an output: given, or found from the output itself."""

from __future__ import annotations

from dataclasses import dataclass

from runner.bpftrace.dialect import Dialect, dialect_of

FIRST = (0, 14)
"""The oldest release whose output is read; older ones print other shapes."""

LAST = (0, 27)

PROVEN = ((0, 17), (0, 23), (0, 27))
"""Releases whose own output was read and checked; of the others the shapes are known from their source."""

Release = tuple[int, int]
"""Major and minor version."""


@dataclass(slots=True)
class Evidence:
    """The first and the last release that are possible."""

    first: Release = FIRST
    last: Release = LAST
    is_seen: bool = False
    """Something was seen that only bpftrace prints."""
    is_contradictory: bool = False
    """Something was seen that no release in between prints: the output of several, or not bpftrace's."""

    @classmethod
    def of(cls, version: tuple[int, int, int]) -> Evidence:
        """Return the evidence where the release is known."""
        return cls(version[:2], version[:2])

    def since(self, release: Release) -> None:
        """Take that something was seen which this release began to print."""
        self.is_seen = True
        if release > self.last:
            self.is_contradictory = True
        else:
            self.first = max(self.first, release)

    def until(self, release: Release) -> None:
        """Take that something was seen which this release was the last to print."""
        self.is_seen = True
        if release < self.first:
            self.is_contradictory = True
        else:
            self.last = min(self.last, release)

    def may_be_before(self, release: Release) -> bool:
        """Whether a release before this one is possible."""
        return self.first < release

    def may_be_since(self, release: Release) -> bool:
        """Whether this release or a later one is possible."""
        return self.last >= release

    @property
    def dialect(self) -> Dialect:
        """Return the dialect of the newest release that is possible."""
        return dialect_of((*self.last, 0))

    @property
    def is_open(self) -> bool:
        """Whether several releases are possible."""
        return self.first != self.last

    @property
    def is_proven(self) -> bool:
        """Whether a release whose output was checked is among the possible ones."""
        return any(self.first <= release <= self.last for release in PROVEN)

    def __str__(self) -> str:
        """Return the releases for people."""
        first, last = (".".join(map(str, release)) for release in (self.first, self.last))
        return first if first == last else f"{first} to {last}"
