r"""Writes what a bpftrace program printed, as each release prints it: JSON and text, quirks and all.

Made from real outputs of 0.17.0, 0.23.2 and 0.27.1 and from upstream's sources, and from nothing of `runner/`:
what reads these formats is tested against it. It is x86's: where char is unsigned, bytes are printed as they are.

Not written: keys that are tuples in tuples, structs, pointers, buffers, time series, and stacks of mode perf.
"""

from __future__ import annotations

from dataclasses import dataclass

Release = tuple[int, int]

RELEASES: list[Release] = [
    (0, 14),
    (0, 16),
    (0, 17),
    (0, 19),
    (0, 20),
    (0, 21),
    (0, 22),
    (0, 23),
    (0, 24),
    (0, 25),
    (0, 27),
]
REWRITE = (0, 24)
"""The release whose output was written anew."""

_ESCAPES = {ord('"'): b'\\"', ord("\\"): b"\\\\", ord("\n"): b"\\n", ord("\r"): b"\\r", ord("\t"): b"\\t"}
_SUFFIXES = ("", "K", "M", "G", "T", "P", "E")
_BAR = 52


@dataclass(frozen=True)
class Stack:
    """The frames of a stack, innermost first, as their texts."""

    frames: tuple[str, ...]


@dataclass(frozen=True)
class Symbol:
    """What ksym(), usym() and ntop() give: up to 0.23 no newline ends such a value in text."""

    text: bytes


@dataclass(frozen=True)
class Histogram:
    """Buckets side by side, with inclusive bounds, the first and the last of which counted something.

    :param buckets: Lower bound, upper bound (None where it is open) and count.
    :param bits: The second argument of hist() (since 0.20).
    :param step: The width of the buckets of lhist(); of hist() 0.
    """

    buckets: tuple[tuple[int | None, int | None, int], ...]
    bits: int = 0
    step: int = 0


@dataclass(frozen=True)
class Stats:
    """What stats() keeps."""

    count: int
    average: int
    total: int


@dataclass(frozen=True)
class Average:
    """What avg() keeps."""

    average: int


Part = int | bytes | Stack
Value = int | bytes | Symbol | Stack | Histogram | Stats | Average | list[int]
Entries = list[tuple[tuple[Part, ...], Value]]


@dataclass(frozen=True)
class Map:
    """A map at one moment: its only value, or its entries; of one type each, as in bpftrace."""

    name: str
    entries: Value | Entries

    @property
    def keyed(self) -> Entries | None:
        """Return the entries of a map with keys."""
        is_keyed = isinstance(self.entries, list) and all(isinstance(each, tuple) for each in self.entries)
        return self.entries if is_keyed else None  # type: ignore[return-value]

    @property
    def first(self) -> Value | None:
        """Return a value of the map, from which its type is known."""
        if self.keyed is None:
            return self.entries  # type: ignore[return-value]
        return self.keyed[0][1] if self.keyed else None


@dataclass(frozen=True)
class Printf:
    """What printf() printed."""

    data: bytes


@dataclass(frozen=True)
class Time:
    """What time() printed."""

    data: bytes


@dataclass(frozen=True)
class Lost:
    """How many events were lost."""

    events: int


@dataclass(frozen=True)
class Print:
    """What print() made of a map while the program ran."""

    map: Map


Item = Printf | Time | Lost | Print | Map


def write_json(release: Release, items: list[Item], *, probes: int | None = 1) -> bytes:
    """Return the whole stdout of `-f json`: the notice, the messages in order, the maps by their names.

    :param probes: How many were attached; None with `-q`.
    """
    return _Json(release).whole(items, probes)


def write_text(release: Release, items: list[Item], *, probes: int | None = 1) -> bytes:
    """Return the whole stdout of `-f text`; since 0.24 notices and losses go to stderr."""
    return _Text(release).whole(items, probes)


def order(items: list[Item]) -> list[Item]:
    """Return the items as bpftrace prints them: the maps at the end, by their names."""
    maps = sorted((item for item in items if isinstance(item, Map)), key=lambda item: item.name)
    return [*(item for item in items if not isinstance(item, Map)), *maps]


def json_key(release: Release, parts: tuple[Part, ...]) -> bytes:
    """Return what can be known of a key that was printed as JSON."""
    texts = _key_texts(release, parts)
    if release < REWRITE:
        return b",".join(texts)
    return _without_parentheses(texts).replace(b" ", b"")


def text_key(release: Release, parts: tuple[Part, ...]) -> bytes:
    """Return what stands between the brackets of a key in text."""
    texts = _key_texts(release, parts)
    return b", ".join(texts) if release < REWRITE else _without_parentheses(texts)


def _key_texts(release: Release, parts: tuple[Part, ...]) -> list[bytes]:
    return [_key_text(release, part) for part in parts]


def _key_text(release: Release, part: Part) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, Stack):
        return stack_text(release, part, 4 if release < (0, 22) else 8)
    # Up to 0.23 what is printed of keys is signed (0.23.2: `@by_key[(int64)-1, (uint64)-1]` is `-1,-1`).
    return b"%d" % ((part + 2**63) % 2**64 - 2**63 if release < REWRITE else part)


def _without_parentheses(texts: list[bytes]) -> bytes:
    """Return a key since 0.24: parentheses that a text brought along pass for those of a tuple."""
    key = b", ".join(texts)
    if len(texts) > 1:
        return key
    return key[1:-1] if len(key) > 1 and key.startswith(b"(") and key.endswith(b")") else key


def stack_text(release: Release, stack: Stack, indent: int) -> bytes:
    """Return a stack with its newlines; an empty one is nothing up to 0.23, and a newline since."""
    if not stack.frames:
        return b"" if release < REWRITE else b"\n"
    return b"\n" + b"".join(b" " * indent + frame.encode() + b"\n" for frame in stack.frames)


def _notice_of_loss(release: Release, events: bytes) -> bytes:
    if release < REWRITE:
        return b'{"type": "lost_events", "data": {"events": %s}}\n' % events
    return b'{"type": "lost_events", "count": %s, "data": {"events": %s}}\n' % (events, events)


class _Json:
    """One stream of JSON. Since 0.24 it remembers std::hex, once a `\\u` was written."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.is_hexadecimal = False

    def whole(self, items: list[Item], probes: int | None) -> bytes:
        out, is_ended = b"", False
        if probes is not None:
            count = b"" if self.release < REWRITE else b'"count": %d, ' % probes
            out = b'{"type": "attached_probes", %s"data": {"probes": %d}}\n' % (count, probes)
        for item in order(items):
            if isinstance(item, Map) and not is_ended:
                out += self.end()
                is_ended = True
            out += self.item(item)
        return out if is_ended else out + self.end()

    def end(self) -> bytes:
        return b"\n\n" if self.release < REWRITE else b""

    def item(self, item: Item) -> bytes:
        match item:
            case Printf(data):
                return b'{"type": "printf", "data": %s}\n' % self.string(data)
            case Time(data):
                return b'{"type": "time", "data": %s}\n' % self.string(data)
            case Lost(events):
                return _notice_of_loss(self.release, self.streamed(events))
            case Print(printed) | (Map() as printed):
                return self.map(printed)

    def map(self, item: Map) -> bytes:
        if item.keyed is None:
            return self.message(item, self.value(item.first))  # type: ignore[arg-type]
        if not item.keyed:
            return self.message(item, b"{}") if self.release == REWRITE else b""
        entries = [self.key(parts) + b": " + self.value(value) for parts, value in item.keyed]
        return self.message(item, b"{%s}" % b", ".join(entries))

    def message(self, item: Map, value: bytes) -> bytes:
        kinds = {Histogram: b"hist", Stats: b"stats", Average: b"stats"}
        kind = kinds.get(type(item.first), b"map")
        return b'{"type": "%s", "data": {"%s": %s}}\n' % (kind, item.name.encode(), value)

    def key(self, parts: tuple[Part, ...]) -> bytes:
        if self.release < (0, 22) or self.release >= REWRITE:
            return self.string(json_key(self.release, parts))
        texts = _key_texts(self.release, parts)
        once = [
            text if isinstance(part, int) else escaped(self.release, text)
            for text, part in zip(texts, parts, strict=True)
        ]
        return self.string(b",".join(once))

    def value(self, value: Value) -> bytes:
        match value:
            case int():
                return self.integer(value)
            case bytes() | Symbol():
                return self.string(value if isinstance(value, bytes) else value.text)
            case Stack():
                return self.string(stack_text(self.release, value, 8))
            case Average(average):
                return self.integer(average)
            case Stats(count, average, total):
                numbers = tuple(self.integer(each) for each in (count, average, total))
                return b'{"count": %s, "average": %s, "total": %s}' % numbers
            case Histogram():
                return self.histogram(value)
            case list():
                return b"[%s]" % b",".join(self.integer(each) for each in value)

    def histogram(self, histogram: Histogram) -> bytes:
        if not histogram.buckets and self.release < (0, 16):
            return b""
        buckets = []
        for lower, upper, count in histogram.buckets:
            low, high = lower, upper
            if self.release < (0, 20) and not histogram.step and lower in (1 << 30, 1 << 31):
                # Ints that overflow: the bounds are 2^30 to 2^31 - 1, and 2^31 and more.
                low, high = (1 << 30, -(1 << 31) - 1) if lower == 1 << 30 else (-(1 << 31), 0)
            bounds = b"" if low is None else b'"min": %s, ' % self.integer(low)
            bounds += b"" if high is None else b'"max": %s, ' % self.integer(high)
            buckets.append(b'{%s"count": %s}' % (bounds, self.streamed(count)))
        return b"[%s]" % (b", " if self.release < REWRITE else b",").join(buckets)

    def string(self, text: bytes) -> bytes:
        made = escaped(self.release, text)
        if self.release >= REWRITE and any(
            byte > 127 or (byte < 32 and byte not in _ESCAPES) for byte in text
        ):
            self.is_hexadecimal = True
        return b'"%s"' % made

    def integer(self, number: int) -> bytes:
        is_inexact = self.release >= REWRITE and int(float(number)) != number
        return (b'"%d"' if is_inexact else b"%d") % number

    def streamed(self, number: int) -> bytes:
        return (b"%x" if self.is_hexadecimal else b"%d") % number


def escaped(release: Release, text: bytes) -> bytes:
    """Return the inside of a JSON string; a char is negative from 0x80 on, which 0.17 was the first to print."""
    return b"".join(_escaped_byte(release, byte) for byte in text)


def _escaped_byte(release: Release, byte: int) -> bytes:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    if byte < 32:
        return b"\\u%04x" % byte
    if byte > 127 and release >= (0, 17):
        return b"\\uffffff%02x" % byte
    return bytes((byte,))


class _Text:
    """One stream of text."""

    def __init__(self, release: Release) -> None:
        self.release = release

    def whole(self, items: list[Item], probes: int | None) -> bytes:
        out, is_ended = b"", False
        if probes is not None and self.release < REWRITE:
            out = b"Attaching %d probe%s...\n" % (probes, b"" if probes == 1 else b"s")
        for item in order(items):
            if isinstance(item, Map) and not is_ended:
                out += b"\n\n"
                is_ended = True
            out += self.item(item)
        return out if is_ended else out + b"\n\n"

    def item(self, item: Item) -> bytes:
        match item:
            case Printf(data) | Time(data):
                return data
            case Lost(events):
                return b"Lost %d events\n" % events if self.release < REWRITE else b""
            case Print(printed) | (Map() as printed):
                return self.map(printed)

    def map(self, item: Map) -> bytes:
        name = item.name.encode()
        if item.keyed is None:
            entries = [(name, item.first)]
        else:
            entries = [(b"%s[%s]" % (name, text_key(self.release, key)), each) for key, each in item.keyed]
        texts = [self.entry(head, each) for head, each in entries]  # type: ignore[arg-type]
        if self.release >= REWRITE:
            return b"".join(text + b"\n" for text in texts)
        separator = b"" if isinstance(item.first, Symbol | Stack) else b"\n"
        end = b"\n\n" if isinstance(item.first, Stats | Average) else b"\n"
        return separator.join(texts) + end

    def entry(self, head: bytes, value: Value) -> bytes:
        if isinstance(value, Histogram):
            return head + (b": \n" if self.release < (0, 23) else b":\n") + self.histogram(value)
        return head + b": " + self.value(value)

    def value(self, value: Value) -> bytes:
        match value:
            case int() | Average():
                return b"%d" % (value if isinstance(value, int) else value.average)
            case bytes() | Symbol():
                return value if isinstance(value, bytes) else value.text
            case Stack():
                return stack_text(self.release, value, 8)
            case Stats(count, average, total):
                is_old = self.release < REWRITE
                form = b"count %d, average %d, total %d"
                form = form if is_old else b"{ .count = %d, .average = %d, .total = %d }"
                return form % (count, average, total)
            case list():
                return b"[%s]" % b",".join(b"%d" % each for each in value)
            case _:
                raise TypeError(value)

    def histogram(self, histogram: Histogram) -> bytes:
        most = max((count for *_, count in histogram.buckets), default=0)
        rows = b""
        for lower, upper, count in histogram.buckets:
            # The real bar is made with floats of 32 bits; its last column may differ.
            bar = "@" * (count * _BAR // most)
            rows += f"{self.row_head(histogram, lower, upper):<16}{count:>8} |{bar:<{_BAR}}|\n".encode()
        return rows

    def row_head(self, histogram: Histogram, lower: int | None, upper: int | None) -> str:
        low = "..." if lower is None else self.label(histogram, lower)
        high = "..." if upper is None else self.label(histogram, upper + 1)
        if lower is None:
            return f"({low}, {high})"
        # Since 0.24 buckets of lhist() that hold one value are printed like those of hist().
        is_single = lower == upper and (not histogram.step or self.release >= REWRITE)
        return f"[{lower}]" if is_single else f"[{low}, {high})"

    def label(self, histogram: Histogram, bound: int) -> str:
        if histogram.step:
            return self.linear_label(histogram.step, bound)
        power = max(0, bound.bit_length() - 1 - histogram.bits)
        return f"{bound >> power // 10 * 10}{_SUFFIXES[power // 10]}"

    def linear_label(self, step: int, bound: int) -> str:
        if bound == 0 or (self.release >= (0, 21) and step % 1024):
            return str(bound)
        for size, suffix in ((1 << 20, "M"), (1 << 10, "K")):
            if bound % size == 0:
                return f"{bound // size}{suffix}"
        return str(bound)
