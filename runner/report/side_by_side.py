"""Two histograms side by side on one axis of buckets, with the bounds of their quantiles."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from runner.capture.amounts import is_time
from runner.report.histogram import short, span
from runner.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.capture.document import Bounds, Bucket, Quantiles
    from runner.compare.document import Distribution, DistributionPair

NARROWEST = 60
WIDEST = 200
"""Columns that a picture can have; one that is wider cannot be taken in."""

MOST_ROWS = 40
"""Lines of buckets that can be taken in; where there are more, neighbours are put together."""

_EIGHTHS = " ▏▎▍▌▋▊▉"
_BLOCKS = "█▏▎▍▌▋▊▉│…→"
_NAMES = ("p50", "p95", "p99", "p999")
_SIZES = ((10**18, "E"), (10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def can_draw_blocks(encoding: str | None) -> bool:
    """Whether text of an encoding can hold the characters of a picture."""
    try:
        _BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def format_side_by_side(pair: DistributionPair, *, width: int, in_blocks: bool = True) -> list[str]:
    """Return the lines of both histograms: bars are shares of each side's own events, on one scale.

    Where buckets are left out, for nothing fell into them on either side, a line says so. A bucket that the
    bounds of a quantile reach into has its name behind the bar.

    :param width: Columns of the longest line, if they are from 60 to 200.
    :param in_blocks: Whether block characters can be shown; else all of it is ASCII but the names.
    """
    width = min(max(width, NARROWEST), WIDEST)
    before, after, unit = pair["before"], pair["after"], pair["unit"]
    name = printable(pair["name"]).replace("_", " ")
    shown = "" if is_time(unit) or not unit else f" ({printable(unit)})"
    lines = [f"{name}{shown}: {_events(before)} before, {_events(after)} after"]
    rows, together = _few(_axis(before["buckets"], after["buckets"]))
    if together > 1:
        lines.append(f"each row is up to {together} neighbouring buckets; the JSON has them all")
    lines = [part for line in lines for part in textwrap.wrap(line, width)]
    if rows:
        lines += _Picture(pair, rows, width, in_blocks=in_blocks).lines()
    words = _bounds_in_words(before["quantiles"], after["quantiles"], unit, width)
    lines += words
    return lines if in_blocks else [_in_ascii(line) for line in lines]


@dataclass(frozen=True, slots=True)
class _Row:
    """One bucket, with what both sides have in it."""

    lower: int | None
    upper: int | None
    before: int
    after: int

    def and_next(self, other: _Row) -> _Row:
        """Return the bucket that covers this one and one above it."""
        upper = None if self.upper is None or other.upper is None else max(self.upper, other.upper)
        return _Row(self.lower, upper, self.before + other.before, self.after + other.after)

    def touches(self, bounds: Bounds) -> bool:
        """Whether a quantile with these bounds may lie here."""
        lower, upper = bounds
        return (lower is None or self.upper is None or self.upper >= lower) and (
            upper is None or self.lower is None or self.lower <= upper
        )


def _axis(before: Sequence[Bucket], after: Sequence[Bucket]) -> list[_Row]:
    """Return the buckets of both sides in the order of their values, without those that nobody has.

    Buckets that overlap, as those of two layouts do, become one that covers them.
    """
    rows = [_Row(each["lower"], each["upper"], each["count"], 0) for each in before if each["count"]]
    rows += [_Row(each["lower"], each["upper"], 0, each["count"]) for each in after if each["count"]]
    rows.sort(key=lambda row: (row.lower is not None, row.lower or 0))
    axis: list[_Row] = []
    for row in rows:
        last = axis[-1] if axis else None
        if last is not None and (last.upper is None or row.lower is None or row.lower <= last.upper):
            axis[-1] = last.and_next(row)
        else:
            axis.append(row)
    return axis


def _few(rows: list[_Row]) -> tuple[list[_Row], int]:
    """Return rows that can be taken in, and how many buckets stand in each."""
    together = 1
    while len(rows) + sum(_is_gap(one, other) for one, other in pairwise(rows)) > MOST_ROWS:
        pairs = [rows[index : index + 2] for index in range(0, len(rows), 2)]
        rows = [pair[0].and_next(pair[1]) if len(pair) == 2 else pair[0] for pair in pairs]
        together *= 2
    return rows, together


def _is_gap(one: _Row, other: _Row) -> bool:
    return one.upper is None or other.lower != one.upper + 1


@dataclass(frozen=True, slots=True)
class _Layout:
    """How much is said beside each bar."""

    has_counts: bool
    is_short: bool
    least_bar: int


_LAYOUTS = (
    _Layout(has_counts=True, is_short=False, least_bar=6),
    _Layout(has_counts=True, is_short=True, least_bar=3),
    _Layout(has_counts=False, is_short=True, least_bar=1),
)


class _Picture:
    """The rows of a picture in the widest layout that fits."""

    def __init__(self, pair: DistributionPair, rows: Sequence[_Row], width: int, *, in_blocks: bool) -> None:
        self.rows = rows
        self.in_blocks = in_blocks
        labels = [span(row.lower, row.upper, pair["unit"]) for row in rows]
        self.labels = labels if in_blocks else [_in_ascii(label) for label in labels]
        self.label_width = max(map(len, self.labels))
        totals = (pair["before"]["count"], pair["after"]["count"])
        counts = ([row.before for row in rows], [row.after for row in rows])
        self.shares = [
            [count / total if total else 0.0 for count in side]
            for side, total in zip(counts, totals, strict=True)
        ]
        quantiles = (pair["before"]["quantiles"], pair["after"]["quantiles"])
        for layout in _LAYOUTS:
            self.marks = [[_marks(row, each, layout) for row in rows] for each in quantiles]
            self.figures = [
                [_figures(*both, layout) for both in zip(*side, strict=True)]
                for side in zip(counts, self.shares, strict=True)
            ]
            self.figure_width = max(len(text) for side in self.figures for text in side)
            around = self.label_width + 2 * (self.figure_width + 3)
            self.bar_width = max(1, (width - around) // 2)
            longest = max((len(mark) + 1 for side in self.marks for mark in side if mark), default=0)
            if self.bar_width - longest >= layout.least_bar:
                break
        else:
            # Names of hosts that count in something odd: the words below have the bounds.
            self.marks = [["" for _ in rows] for _ in quantiles]
        self.scale = min(
            (self.bar_width - (len(mark) + 1 if mark else 0)) / share
            for side in zip(self.marks, self.shares, strict=True)
            for mark, share in zip(*side, strict=True)
            if share > 0
        )

    def lines(self) -> Iterator[str]:
        """Return a heading, and a line for each row and each gap."""
        cell = self.figure_width + 2 + self.bar_width
        yield f"{'':<{self.label_width}} {'before':<{cell}} after".rstrip()
        for index, (row, label) in enumerate(zip(self.rows, self.labels, strict=True)):
            if index and _is_gap(self.rows[index - 1], row):
                yield f"{'…':>{self.label_width}}"
            cells = [self._cell(side, index) for side in (0, 1)]
            yield f"{label:>{self.label_width}} {cells[0]:<{cell}} {cells[1]}".rstrip()

    def _cell(self, side: int, index: int) -> str:
        bar = self._bar(self.shares[side][index])
        mark = self.marks[side][index]
        behind = f"{bar} {mark}" if bar and mark else bar or mark
        return f"{self.figures[side][index]:>{self.figure_width}} │{behind}"

    def _bar(self, share: float) -> str:
        if share <= 0:
            return ""
        length = share * self.scale
        if not self.in_blocks:
            return "@" * max(1, int(length))
        full, eighths = divmod(int(length * 8), 8)
        return ("█" * full + _EIGHTHS[eighths].strip()) or "▏"


def _figures(count: int, share: float, layout: _Layout) -> str:
    if layout.is_short:
        percent = "<1%" if 0 < share < 0.01 else f"{share:.0%}"
        return f"{_few_digits(count):>5} {percent:>4}" if layout.has_counts else f"{percent:>4}"
    percent = "<0.01%" if 0 < share < 0.0001 else f"{share:.2%}"
    return f"{count} {percent:>7}"


def _few_digits(count: int) -> str:
    for size, name in _SIZES:
        if count >= size:
            return f"{count / size:.1f}{name}" if count < 10 * size else f"{count // size}{name}"
    return str(count)


def _marks(row: _Row, quantiles: Quantiles, layout: _Layout) -> str:
    """Return the names of the quantiles that may lie in a row."""
    found = [name for name, bounds in _known(quantiles) if row.touches(bounds)]
    if layout.is_short:
        names = [name.removeprefix("p") for name in found]
        return f"{names[0]}-{names[-1]}" if len(names) > 2 else " ".join(names)
    return " ".join(found)


def _known(quantiles: Quantiles) -> Iterator[tuple[str, Bounds]]:
    for name in _NAMES:
        bounds = quantiles[name]  # type: ignore[literal-required]
        if bounds is not None:
            yield name, bounds


def _bounds_in_words(before: Quantiles, after: Quantiles, unit: str | None, width: int) -> Iterator[str]:
    """Return a line for each quantile that is known on a side."""
    one, other = dict(_known(before)), dict(_known(after))
    for name in _NAMES:
        if name in one or name in other:
            words = [_in_words(side.get(name), unit) for side in (one, other)]
            line = f"{name:>4} {words[0]} → {words[1]}"
            yield from [line] if len(line) < width else [f"{name:>4} {words[0]}", f"  → {words[1]}"]


def _in_words(bounds: Bounds | None, unit: str | None) -> str:
    """Return bounds as people read them. Times are cut to whole numbers: 9999 us may be almost 10 ms."""
    if bounds is None:
        return "not known"
    lower, upper = bounds
    rest = 1 if is_time(unit) else 0
    if lower is None or upper is None:
        if upper is not None:
            return f"{'below' if rest else 'at most'} {_edge(upper + rest, unit)}"
        return "anything" if lower is None else f"{_edge(lower, unit)} or more"
    if lower == upper:
        return _edge(lower, unit)
    low, high = _edge(lower, unit), _edge(upper + rest, unit)
    of_low, of_high = low.rpartition(" "), high.rpartition(" ")
    return f"{of_low[0]} to {high}" if of_low[0] and of_low[2] == of_high[2] else f"{low} to {high}"


def _edge(value: int, unit: str | None) -> str:
    return short(value, unit) if is_time(unit) else f"{value} {printable(unit or '')}".rstrip()


def _events(side: Distribution) -> str:
    count = side["count"]
    return f"{count:,} event{'' if count == 1 else 's'}" if count else "no events"


def _in_ascii(line: str) -> str:
    return line.replace("│", "|").replace("…", "...").replace("→", "->")
