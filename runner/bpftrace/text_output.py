"""bpftrace's text output, line by line: maps as the lines show them, and everything else in its order.

Text says less than JSON: what `printf` prints can look like a map, a text can look like a number, and a
text of several lines ends nowhere. What can be read in more than one way is told as doubtful.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

from runner.bpftrace.keys import in_64_bits
from runner.bpftrace.labels import hist_bounds
from runner.bpftrace.lines import Lines
from runner.bpftrace.output import ErrorMessage, Pairs, PrintedMap

if TYPE_CHECKING:
    from collections.abc import Collection

    from runner.bpftrace.evidence import Evidence
    from runner.bpftrace.output import Listener, MapType

_ENTRY = re.compile(rb"(@[A-Za-z0-9_]*)(\[|: ?)")
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,19}")
_KEY = rb"\[[^\]\n]*\]: "
_PLAIN_NUMBER = rb"(?:0|-?[1-9][0-9]{0,17})"
_PLAIN_STATISTICS = rb"count -?[0-9]{1,18}, average -?[0-9]{1,18}, total -?[0-9]{1,18}"
_NUMBERS = re.compile(rb"(@[A-Za-z0-9_]*)%b%b\n(?:\1%b%b\n)*" % (_KEY, _PLAIN_NUMBER, _KEY, _PLAIN_NUMBER))
_STATISTICS = re.compile(
    rb"(@[A-Za-z0-9_]*)%b%b\n(?:\1%b%b\n)*" % (_KEY, _PLAIN_STATISTICS, _KEY, _PLAIN_STATISTICS)
)
_NUMBER = re.compile(r"@\w*\[([^\]\n]*)\]: (-?[0-9]+)\n")
_STATISTIC = re.compile(r"@\w*\[([^\]\n]*)\]: count (-?[0-9]+), average (-?[0-9]+), total (-?[0-9]+)\n")
_ROWS = re.compile(rb"(?:[\[(][^\n|\])]*[\])] *[0-9]{1,19} \|[@ ]*\|\n)+")
_ROW = re.compile(rb"([\[(][^\n|\])]*[\])]) *([0-9]{1,19}) \|[@ ]*\|\n")
_AT = ord("@")
_STATS = re.compile(rb"count (-?\d{1,20}), average (-?\d{1,20}), total (-?\d{1,20})")
_STATS_RECORD = re.compile(rb"\{ \.count = (-?\d{1,20}), \.average = (-?\d{1,20}), \.total = (-?\d{1,20}) \}")
_FRAME = re.compile(rb"(?: {8}|\t)\S.*|[0-9a-f]{6,16}|[0-9a-f]{40} 0x[0-9a-f]+")
_SCALE = re.compile(rb" {9,}-?\d+ +-?\d+")
_POINT = re.compile(rb"(\d\d:\d\d:\d\d(?:\.\d+)?) +[|*.].*[|*.] (-|-?\d{1,20})")
_SERIES = re.compile(rb"hh:mm:ss(?:\.\w+)? +\|_+\||<no data>| +v_+v")
_ATTACHED = re.compile(rb"Attach(ing|ed) \d+ probes?(\.\.\.)?")
_LOST = re.compile(rb"Lost (\d{1,19}) events")
_TOLD = re.compile(
    rb"(?P<file>[^:\s]+):(?P<line>\d{1,9}):(?P<column>\d{1,9})-\d{1,9}: (?:WARNING|ERROR): (?P<text>.*)"
)
_HELPER = re.compile(rb"Additional Info - helper: (\w+), retcode: (-?\d{1,9})")
_FAILED = re.compile(rb"Failed to (\w+): (.*) \((-?\d{1,9})\)")
_RUNTIME = re.compile(
    rb"Divide or modulo by 0|Array access out of bounds|CPU count mismatch|Error reading [ku]stack"
    rb"|No DWARF unwind"
)
_UNDERLINE = re.compile(rb" *~+")

_MOST_KEY_LINES = 4096
"""A key of more lines is none: 127 frames each of some stacks, or a text of 1024 newlines, are fewer."""


class TextReader:
    """Reads `bpftrace -f text`, with what else was written to the same stream."""

    repaired = 0
    doubtful = 0

    def __init__(self, listener: Listener, evidence: Evidence, maps: Collection[str] | None = None) -> None:
        """Begin at the beginning of the output.

        :param evidence: Which releases are possible; it is narrowed by what is read.
        :param maps: The names of all maps, where they are known: what looks like another one is text.
        """
        self._maps = maps
        self._listener = listener
        self._evidence = evidence
        self._lines = Lines()
        self._position = 0
        # The printing of a map that goes on, until something else is printed.
        self._name = ""
        self._type: MapType = "map"
        self._has_keys = False
        self._entries: list[tuple[str, Any]] = []
        self._keys: dict[str, int] = {}
        self._doubtful: set[tuple[int, str]] = set()
        # Entries that could have been split elsewhere between key and value.
        self._bracketed: set[int] = set()
        # The entry whose value follows on lines of its own, its key, and what those lines were so far.
        self._header: tuple[str, str | None, bool] | None = None
        self._body: Any = None
        self._is_header_doubtful = False
        # The lines of a key that is not closed.
        self._key_lines: list[bytes] = []
        self._blanks = 0
        self._is_final = False
        # The place in what is read up to which lines are not taken many at a time.
        self._by_line_until = 0
        # A warning that is followed by lines of the program.
        self._told: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        block = self._lines.block(chunk)
        place, end = 0, len(block)
        self._by_line_until = 0
        while place < end:
            # What there is most of is taken many lines at a time.
            after = self._took_run(block, place)
            if after == place:
                after = block.index(b"\n", place) + 1
                self._read(block[place : after - 1])
            place = after
        self._position += end

    def _took_run(self, block: bytes, place: int) -> int:
        """Take lines of one kind: rows of a histogram, or numbers or statistics with keys of one map.

        :returns: The place behind them; the same place where there are none.
        """
        if self._header is not None and (self._body is None or type(self._body) is list):
            rows = _ROWS.match(block, place)
            buckets = _buckets(rows[0]) if rows is not None else []
            if rows is None or not buckets:
                return place
            after = rows.end()
            if len(buckets) < rows[0].count(b"\n"):
                *_, last = itertools.islice(_ROW.finditer(block, place), len(buckets))
                after = last.end()
            if self._body is None:
                self._told_header()
                self._body = []
            self._body += buckets
            return after
        is_busy = self._header is not None or self._told or self._key_lines
        if block[place] != _AT or is_busy or place < self._by_line_until:
            return place
        run = _NUMBERS.match(block, place) or _STATISTICS.match(block, place)
        if run is None or (self._maps is not None and run[1].decode() not in self._maps):
            return place
        text = run[0].decode("utf-8", "surrogateescape")
        if run.re is _NUMBERS:
            kind: MapType = "map"
            entries: list[tuple[str, Any]] = [(key, int(value)) for key, value in _NUMBER.findall(text)]
        else:
            kind = "stats"
            entries = [
                (key, {"count": int(count), "average": int(average), "total": int(total)})
                for key, count, average, total in _STATISTIC.findall(text)
            ]
            self._evidence.until((0, 23))
        name = run[1].decode()
        keys = {key for key, _ in entries}
        is_same = bool(self._entries) and (self._name, self._type, self._has_keys) == (name, kind, True)
        if len(keys) < len(entries) or (is_same and not keys.isdisjoint(self._keys.keys())):
            self._by_line_until = run.end()  # a key again
            return place
        self._blanks = 0
        if not is_same:
            self._begin(kind, name, has_keys=True)
        self._keys.update(zip((key for key, _ in entries), itertools.count(len(self._entries)), strict=False))
        self._entries += entries
        return run.end()

    def close(self) -> None:
        """Read what stands behind the last newline, and tell the map that goes on."""
        rest = self._lines.rest()
        # An empty line ends a histogram; a number, a bar or a text may go on, for nothing says where it ends.
        is_cut_histogram = self._header is not None and type(self._body) is list
        if rest or is_cut_histogram:
            self._end_body()
            if is_cut_histogram:
                self._doubtful.add((len(self._entries) - 1, "value"))
            self._flush()
            self._listener.cut(rest, self._position)
        if self._key_lines:
            self._listener.cut(b"\n".join(self._key_lines), self._position)
            self._key_lines = []
        if self._told:
            self._abandon_told()
        self._end_body()
        self._flush()

    def _read(self, line: bytes) -> None:
        if self._told and self._read_told(line):
            return
        if self._key_lines:
            self._read_key_line(line)
            return
        if self._header is not None:
            if self._read_body(line):
                return
            self._end_body()
        if not line:
            self._blanks += 1
            self._is_final = self._is_final or self._blanks > 1
            return
        self._blanks = 0
        entry = self._entry(line)
        if entry is None:
            self._read_other(line)
        elif entry[2] == b"[":
            self._read_keyed(entry[1], line)
        else:
            self._read_value(entry[1].decode(), None, line[entry.end() :], has_space=entry[2] == b": ")

    def _entry(self, line: bytes) -> re.Match[bytes] | None:
        entry = _ENTRY.match(line) if line[:1] == b"@" else None
        if entry is None or (self._maps is not None and entry[1].decode() not in self._maps):
            return None
        return entry

    def _read_other(self, line: bytes) -> None:
        if self._entries and isinstance(self._entries[-1][1], str) and self._entries[-1][1][:1] != "\n":
            # A text with a newline in it goes on like this.
            self._doubtful.add((len(self._entries) - 1, "value"))
        self._flush()
        if (b": WARNING: " in line or b": ERROR: " in line) and _TOLD.fullmatch(line):
            self._told = [line]
            return
        self._is_final = False
        if not line.startswith((b"Attach", b"Lost ")):
            self._listener.said("text", line.decode("utf-8", "surrogateescape") + "\n")
            return
        lost = _LOST.fullmatch(line)
        attached = _ATTACHED.fullmatch(line)
        if lost is not None:
            self._listener.lost(int(lost[1]))
        elif attached is None:
            self._listener.said("text", line.decode("utf-8", "surrogateescape") + "\n")
        elif attached[2]:
            self._evidence.until((0, 23))
        else:
            self._evidence.since((0, 24))

    def _read_told(self, line: bytes) -> bool:
        """Take the lines behind a warning: what else is known, the program's own line, and a mark below."""
        if _UNDERLINE.fullmatch(line):
            self._end_told()
            return True
        if len(self._told) < 3:
            self._told.append(line)
            return True
        self._abandon_told()
        return False

    def _abandon_told(self) -> None:
        """Read the lines again that do not belong to a warning: nothing underlines them."""
        first, *others = self._told
        self._told = []
        self._listener.said("text", _text(first) + "\n")
        for line in others:
            self._read(line)

    def _end_told(self) -> None:
        if not self._told:
            return
        told, self._told = self._told, []
        match = _TOLD.fullmatch(told[0])
        assert match is not None
        more = _HELPER.fullmatch(told[1]) if len(told) > 1 else None
        failed = _FAILED.fullmatch(match["text"])
        place = f"{int(match['line'])}:{int(match['column'])}"
        if more is not None:
            error = ErrorMessage(
                "helper_error", more[1].decode(), int(more[2]), _readable(match["text"]), place
            )
        elif failed is not None:
            self._evidence.until((0, 19))
            error = ErrorMessage(
                "helper_error", failed[1].decode(), int(failed[3]), _readable(failed[2]), place
            )
        elif _RUNTIME.match(match["text"]):
            error = ErrorMessage("runtime_error", "", 0, _readable(match["text"]), place)
        else:
            # errorf(), warnf(), and what is said of the program when it is compiled.
            for line in told:
                self._listener.said("text", _text(line) + "\n")
            return
        self._listener.failed(error, 1)

    def _read_keyed(self, name: bytes, line: bytes) -> None:
        start = len(name) + 1
        closings = line.count(b"]: ", start)
        if line.endswith(b"]:"):
            closings += 1
        if not closings:
            self._key_lines = [line]
            return
        self._close_key(name.decode(), line, start)

    def _read_key_line(self, line: bytes) -> None:
        if self._entry(line):
            # The key did not go on: it was a line of something else.
            self._stray_key()
            self._read(line)
            return
        self._key_lines.append(line)
        if b"]: " in line or line.endswith(b"]:"):
            whole = b"\n".join(self._key_lines)
            self._key_lines = []
            name = whole[: whole.index(b"[")]
            self._close_key(name.decode(), whole, len(name) + 1)
        elif len(self._key_lines) > _MOST_KEY_LINES:
            self._stray_key()

    def _stray_key(self) -> None:
        self._flush()
        for line in self._key_lines:
            self._listener.said("text", line.decode("utf-8", "surrogateescape") + "\n")
        self._key_lines = []

    def _close_key(self, name: str, line: bytes, start: int) -> None:
        """Split an entry where its key ends."""
        first = line.find(b"]: ", start)
        last = line.rfind(b"]: ", start)
        if line.endswith((b"]:", b"]: ")):
            # With a key of that look the entry is another; a histogram on the next lines settles it.
            has_space = line.endswith(b" ")
            end = len(line) - 2 - has_space
            self._read_value(name, _key(line[start:end]), b"", has_space=has_space)
            self._is_header_doubtful = 0 <= first < end
            return
        is_doubtful = first != last
        place = last if _is_plain(line[last + 3 :]) else first
        key, value = _key(line[start:place]), line[place + 3 :]
        following = name.encode() + b"["
        if following in value and self._evidence.may_be_before((0, 24)):
            # Up to 0.23 no newline ends an address or a symbol.
            value, *others = line[first + 3 :].split(following)
            self._read_value(name, _key(line[start:first]), value, has_space=True)
            for place, other in enumerate(others):
                other_key, closing, other_value = other.partition(b"]: ")
                if closing:
                    self._read_value(name, _key(other_key), other_value, has_space=True)
                elif place == len(others) - 1:
                    self._key_lines = [following + other]
            return
        self._read_value(name, key, value, has_space=True)
        if is_doubtful and self._entries:
            self._bracketed.add(len(self._entries) - 1)

    def _read_value(self, name: str, key: str | None, value: bytes, *, has_space: bool) -> None:
        if not value:
            self._end_body()
            self._header = (name, key, has_space)
            return
        if _INTEGER.fullmatch(value) and in_64_bits(int(value)):
            self._add("map", name, key, int(value))
            return
        stats = _STATS.fullmatch(value)
        if stats is not None:
            self._evidence.until((0, 23))
        else:
            stats = _STATS_RECORD.fullmatch(value)
            if stats is not None:
                self._evidence.since((0, 24))
        if stats is not None and all(map(in_64_bits, map(int, stats.groups()))):
            count, average, total = map(int, stats.groups())
            self._add("stats", name, key, {"count": count, "average": average, "total": total})
            return
        self._add("map", name, key, _text(value))

    def _read_body(self, line: bytes) -> bool:
        """Take a line of the value that follows its header; return whether it is one."""
        body = self._body
        if body is None:
            if _SCALE.fullmatch(line) or line == b"<no data>":
                self._body = ("tseries", [])
                return True
            if _FRAME.fullmatch(line):
                self._body = ("stack", [line])
                return True
            return False
        if type(body) is list:
            return False
        kind, lines = body
        if kind == "stack":
            if not _FRAME.fullmatch(line):
                return False
            lines.append(line)
            return True
        point = _POINT.fullmatch(line)
        if point is not None:
            if point[2] != b"-":
                lines.append({"interval_start": point[1].decode(), "value": int(point[2])})
            return True
        return bool(_SERIES.fullmatch(line) or _SCALE.fullmatch(line))

    def _told_header(self) -> None:
        assert self._header is not None
        if self._header[2]:
            self._evidence.until((0, 22))
        else:
            self._evidence.since((0, 23))

    def _end_body(self) -> None:
        """Add the entry whose value stood on lines of its own."""
        if self._header is None:
            return
        (name, key, has_space), body = self._header, self._body
        is_doubtful, self._is_header_doubtful = self._is_header_doubtful and body is None, False
        self._header = self._body = None
        if type(body) is list:
            self._add("hist", name, key, body)
        elif body is None and has_space:
            self._add("map", name, key, "")
        elif body is None:
            self._add("hist", name, key, [])  # a histogram that was zeroed
        elif body[0] == "stack":
            self._add("map", name, key, "\n" + "".join(_text(line) + "\n" for line in body[1]))
        else:
            self._evidence.since((0, 24))
            self._add("tseries", name, key, body[1])
        if is_doubtful:
            self._bracketed.add(len(self._entries) - 1)

    def _add(self, kind: MapType, name: str, key: str | None, value: Any) -> None:
        """Add an entry to the printing that goes on, or begin another."""
        self._end_body()
        has_keys = key is not None
        is_same = bool(self._entries) and (self._name, self._type, self._has_keys) == (name, kind, has_keys)
        is_repeated = key is None or key in self._keys
        if is_same and has_keys and is_repeated and self._is_final:
            # Every map is printed once at the end: two keys that look alike.
            assert key is not None
            self._doubtful |= {(self._keys[key], "key"), (len(self._entries), "key")}
        elif not is_same or is_repeated:
            self._begin(kind, name, has_keys=has_keys)
        self._entries.append((key or "", value))
        if key is not None:
            self._keys.setdefault(key, len(self._entries) - 1)

    def _begin(self, kind: MapType, name: str, *, has_keys: bool) -> None:
        """Begin a printing of a map."""
        self._flush()
        self._name, self._type, self._has_keys = name, kind, has_keys

    def _flush(self) -> None:
        """Tell the printing that went on until here."""
        if not self._entries:
            return
        entries, bracketed = self._entries, self._bracketed
        # A map's values are all of one type: where another entry has that of these, they were split right.
        types = {type(value) for place, (_, value) in enumerate(entries) if place not in bracketed}
        doubtful = self._doubtful | {
            (place, what)
            for place in bracketed
            for what in ("key", "value")
            if not types & {type(entries[place][1])} & {int, dict}
        }
        self._entries, self._keys, self._doubtful, self._bracketed = [], {}, set(), set()
        self._listener.printed(
            self._name,
            PrintedMap(
                self._type,
                Pairs(entries) if self._has_keys else entries[0][1],
                ", ",
                has_keys=self._has_keys,
                is_exact=True,
                doubtful=frozenset(doubtful),
            ),
        )


def _buckets(rows: bytes) -> list[dict[str, int]]:
    """Return the buckets of rows up to the first that is none, bounds inclusive as in JSON."""
    buckets = []
    for label, count in _ROW.findall(rows):
        bounds = hist_bounds(label)
        if bounds is None:
            break
        buckets.append({**bounds, "count": int(count)})
    return buckets


def _is_plain(value: bytes) -> bool:
    """Whether a value is a number or statistics, and not a text that may be anything."""
    return bool(_INTEGER.fullmatch(value) or _STATS.fullmatch(value) or _STATS_RECORD.fullmatch(value))


def _readable(raw: bytes) -> str:
    """Return a text for people: what is not UTF-8 in it is U+FFFD."""
    return raw.decode(errors="replace")


def _key(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


_text = _key
