"""`make bench`: how fast saved output is read, against bare parsers, and how much memory that takes."""

from __future__ import annotations

import gc
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import orjson

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.json_output import JsonReader
from runner.bpftrace.text_output import TextReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.bpftrace.output import ErrorMessage, PrintedMap

MEGABYTES = 50
_CHUNK = 1 << 20
_ROUNDS = 5
_NAMES = ("nginx", "postgres", "kworker/0:1", "java", "redis-server")


class Nobody:
    """A listener that keeps the last printing of each map, as whoever decodes does, and nothing else."""

    def __init__(self) -> None:
        self.maps: dict[str, PrintedMap] = {}
        self.events = 0

    def printed(self, name: str, printed: PrintedMap) -> None:
        """Keep it."""
        self.maps[name] = printed

    def said(self, kind: str, data: object) -> None:  # noqa: ARG002
        """Count it."""
        self.events += 1

    def lost(self, events: int) -> None:
        """Ignore it."""

    def failed(self, error: ErrorMessage, times: int) -> None:
        """Ignore it."""

    def strayed(self, line: bytes) -> None:  # noqa: ARG002
        """Count it."""
        self.events += 1

    def unreadable(self, line: bytes, position: int, why: str) -> None:  # noqa: ARG002
        """Fail: the benchmark's output is sound."""
        raise AssertionError(line[:80])

    def cut(self, line: bytes, position: int) -> None:
        """Fail too."""
        self.unreadable(line, position, "cut")


def json_lines(size: int, seed: int = 1) -> Iterator[bytes]:
    """Make lines: by bytes 45 % keyed histograms, 30 % maps, 15 % stats, 10 % printf."""
    chance = random.Random(seed)  # noqa: S311
    shares = {"hist": 0.45, "map": 0.30, "stats": 0.15, "printf": 0.10}
    made = dict.fromkeys(shares, 0)
    total = 0
    while total < size:
        kind = min(shares, key=lambda each: made[each] / shares[each])
        line = _json_line(kind, chance)
        made[kind] += len(line)
        total += len(line)
        yield line


def _name(chance: random.Random) -> str:
    return f"{chance.choice(_NAMES)},{chance.randrange(99999)}"


def _keys(chance: random.Random, count: int) -> list[str]:
    return [f"{chance.choice(_NAMES)},{pid}" for pid in chance.sample(range(99999), count)]


def _buckets(chance: random.Random) -> list[tuple[int, int, int]]:
    first = chance.randrange(2, 12)
    return [
        (1 << power, (2 << power) - 1, int(chance.expovariate(0.001)))
        for power in range(first, first + chance.randrange(4, 16))
    ]


def _json_line(kind: str, chance: random.Random) -> bytes:
    if kind == "printf":
        text = f"{chance.randrange(99999)} {_name(chance)} opened /var/log/{chance.randrange(10**9)}\\n"
        return f'{{"type": "printf", "data": "{text}"}}\n'.encode()
    if kind == "hist":
        entries = (
            f'"{key}": ['
            + ", ".join(f'{{"min": {low}, "max": {high}, "count": {n}}}' for low, high, n in _buckets(chance))
            + "]"
            for key in _keys(chance, 50)
        )
        return _line("hist", chance, entries)
    values: Callable[[], str] = lambda: str(chance.randrange(10**6))  # noqa: E731
    if kind == "stats":
        values = lambda: (  # noqa: E731
            f'{{"count": {chance.randrange(999)}, "average": {chance.randrange(999)}, '
            f'"total": {chance.randrange(10**6)}}}'
        )
    entries = (f'"{key}": {values()}' for key in _keys(chance, 200))
    return _line(kind, chance, entries)


def _line(kind: str, chance: random.Random, entries: Iterator[str]) -> bytes:
    name = f"@{kind}{chance.randrange(9)}"
    return f'{{"type": "{kind}", "data": {{"{name}": {{{", ".join(entries)}}}}}}}\n'.encode()


def text_lines(size: int, seed: int = 1) -> Iterator[bytes]:
    """Make the same shares as text."""
    chance = random.Random(seed)  # noqa: S311
    shares = {"hist": 0.45, "map": 0.30, "stats": 0.15, "printf": 0.10}
    made = dict.fromkeys(shares, 0)
    total = 0
    while total < size:
        kind = min(shares, key=lambda each: made[each] / shares[each])
        block = "".join(_text_block(kind, chance)).encode()
        made[kind] += len(block)
        total += len(block)
        yield block


def _label(number: int) -> str:
    for suffix in ("", "K", "M", "G"):
        if number < 1024:
            return f"{number}{suffix}"
        number //= 1024
    return f"{number}T"


def _text_block(kind: str, chance: random.Random) -> Iterator[str]:
    number = chance.randrange(9)
    if kind == "printf":
        yield f"{chance.randrange(99999)} {_name(chance)} opened /var/log/{chance.randrange(10**9)}\n"
        return
    for key in (each.replace(",", ", ") for each in _keys(chance, 50)):
        if kind == "hist":
            yield f"@h{number}[{key}]:\n"
            buckets = _buckets(chance)
            most = max(n for _, _, n in buckets) or 1
            for low, high, n in buckets:
                head = f"[{_label(low)}, {_label(high + 1)})"
                yield f"{head:<16}{n:>8} |{'@' * (n * 52 // most):<52}|\n"
            yield "\n"
        elif kind == "map":
            yield f"@map{number}[{key}]: {chance.randrange(10**6)}\n"
        else:
            total = chance.randrange(10**6)
            yield f"@stats{number}[{key}]: count 5, average {total // 5}, total {total}\n"
    if kind == "stats":
        yield "\n"


def _chunks(data: bytes) -> list[bytes]:
    return [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]


def _seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a work in this thread alone: what else the machine does is not in them."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def _read(reader: type[JsonReader | TextReader], chunks: list[bytes]) -> None:
    made = reader(Nobody(), Evidence.of((0, 23, 2)))
    for chunk in chunks:
        made.feed(chunk)
    made.close()


def _peak_megabytes(gigabytes: float) -> float:
    """Return the peak memory of a process that reads so many bytes of events from a pipe."""
    source = f"""
import sys
line = b'{{"type": "printf", "data": "12345 nginx opened /var/log/messages\\\\n"}}\\n' * 10000
for _ in range(int({gigabytes} * 1e9 / len(line))): sys.stdout.buffer.write(line)
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as writer:
        subprocess.run(
            [sys.executable, "-m", "runner", "decode", "-f", "jsonl", "-o", "/dev/null", "-"],
            stdin=writer.stdout,
            check=True,
        )
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Print the figures as ratios within this run, medians of several rounds."""
    # First: a child's peak counts from what its parent holds when it is started.
    print(f"peak memory over 1 GB of events: {_peak_megabytes(1):.0f} MB")
    lines = list(json_lines(MEGABYTES * 10**6))
    chunks = _chunks(b"".join(lines))
    works = {
        "orjson.loads": lambda: [orjson.loads(line) and None for line in lines],
        "json.loads": lambda: [json.loads(line) and None for line in lines],
        "reader": lambda: _read(JsonReader, chunks),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(_ROUNDS):
        for name, work in works.items():
            taken[name].append(_seconds(work))
    ours, fast, slow = (statistics.median(taken[n]) for n in ("reader", "orjson.loads", "json.loads"))
    print(
        f"{MEGABYTES} MB of JSON lines: {MEGABYTES / ours:.0f} MB/s, "
        f"{fast / ours:.2f} of bare orjson.loads, {slow / ours:.2f} times bare json.loads"
    )
    text = _chunks(b"".join(text_lines(MEGABYTES * 10**6)))
    ours = statistics.median(_seconds(lambda: _read(TextReader, text)) for _ in range(3))
    print(f"{MEGABYTES} MB of text: {MEGABYTES / ours:.0f} MB/s")


if __name__ == "__main__":
    main()
