"""Captures made by hand for tests of what reads them."""

from datetime import UTC, datetime, timedelta

from runner.capture.buckets import LogBuckets
from runner.capture.make import new_capture
from runner.capture.quality import problem
from runner.capture.rows import histogram_row, sorted_rows

LAYOUT = LogBuckets(2)
WINDOW = {
    "started_at": "2026-11-24T10:00:00.000Z",
    "attached_at": "2026-11-24T10:00:01.000Z",
    "ended_at": "2026-11-24T10:00:11.000Z",
    "duration_seconds": 10.0,
    "ended_by": "duration",
}


def table(name, kind, rows, unit="us", keys=(("comm", "comm"),), **more):
    columns = [{"name": key, "type": kind_of_key} for key, kind_of_key in keys]
    return {"name": name, "map": f"@{name}", "kind": kind, "unit": unit, "keys": columns, "rows": rows} | more


def histogram(values, key=None):
    """A row of a histogram of values in quarter octaves."""
    counts = {}
    for value in values:
        bounds = LAYOUT.bounds(LAYOUT.index(value), is_unsigned=False)
        counts[bounds] = counts.get(bounds, 0) + 1
    return histogram_row(key or {}, counts)


def latency(values, unit="us", **more):
    """A table `latency` without keys."""
    return table("latency", "histogram", [histogram(values)] if values else [], unit, (), **more)


def count(name, by_comm, unit="packets", **more):
    rows = sorted_rows({"key": {"comm": comm}, "value": value} for comm, value in by_comm.items())
    return table(name, "count", rows, unit, **more)


def capture(*tables, problems=(), window=None, parameters=None):
    made = [problem(code, number, "…") for code, number in problems]
    return new_capture(
        tables=list(tables),
        problems=made,
        messages=[],
        window={**WINDOW, **(window or {})},
        parameters=parameters,
    )


RATE = {"table": "drops", "statistic": "rate", "better": "lower"}
LOG2 = {"table": "latency", "statistic": "mean-log2", "better": "lower"}
ABOVE = {"table": "latency", "statistic": "above", "better": "lower"}
HOST = {
    "hostname": "alpha", "kernel": "6.18.44", "arch": "x86_64", "cpus": 2, "bpftrace": "0.27.1", "boot_id": "b1",
}  # fmt: skip
_FIRST = datetime(2026, 11, 24, 10, tzinfo=UTC)


def time_at(seconds):
    """When something was, so many seconds after the first run of all began."""
    return (_FIRST + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def drops(number, **more):
    """A table `drops` without keys."""
    return table("drops", "count", [{"key": {}, "value": number}], "packets", (), **more)


def run(
    *tables,
    at=0,
    seconds=10.0,
    primary=RATE,
    recipe=None,
    host=None,
    work=None,
    exit_code=0,
    problems=(),
    **more,
):
    """One run: its id, its times and its host are what is asked for.

    :param at: When it began, in seconds; runs of one host that overlap are refused.
    :param recipe: What is other of its recipe; False: it has none.
    :param work: Units of work and their name.
    :param more: Fields of the capture; those of `window` are put together.
    """
    window = {
        "started_at": time_at(at),
        "attached_at": time_at(at),
        "ended_at": time_at(at + (seconds or 0)),
        "duration_seconds": seconds,
        "ended_by": "duration",
    }
    if work is not None or exit_code:
        window["workload"] = {"argv": ["./load"], "exit_code": exit_code}
        window["ended_by"] = "workload"
    if work is not None:
        window["workload"]["work"] = {"count": work[0], "unit": work[1]}
    reference = {"id": "made-up", "digest": "sha256:1", "variant": "only", "primary": primary}
    made = capture(*tables, problems=problems, window=window | more.pop("window", {}))
    made["id"] = made["run_id"] = f"run-at-{at:06}"
    made["recipe"] = None if recipe is False else reference | (recipe or {})
    made["host"] = HOST | (host or {})
    return made | more


def windowed(tables, at=0, seconds=1.0, *, whole=None, **more):
    """One run that was cut into windows, each with one table; and the capture of all of it, where asked for."""
    made = []
    for index, each in enumerate(tables):
        window = run(each, at=at + index * seconds, seconds=seconds, **more)
        window["window"] |= {"ended_by": None, "index": index}
        window["run_id"] = f"run-at-{at:06}"
        made.append(window)
    if whole is not None:
        made.append(run(whole, at=at, seconds=seconds * len(tables), **more) | {"id": f"whole-at-{at:06}"})
    return made


def in_turns(before, after, make=lambda number, at: run(drops(number), at=at), first=0):
    """Runs of both sides, one after the other in turns (no blocks of ABBA), each of one number."""
    sides = ([], [])
    for place in range(max(len(before), len(after))):
        for side, numbers in enumerate((before, after)):
            if place < len(numbers):
                sides[side].append(make(numbers[place], first + (2 * place + side) * 20))
    return sides


def in_blocks(before, after, make=lambda number, at: run(drops(number), at=at)):
    """Runs of both sides in blocks of ABBA and BAAB; two of each side a block."""
    numbers = (list(before), list(after))
    sides = ([], [])
    at = 0
    for block in range(len(before) // 2):
        for side in (1, 0, 0, 1) if block % 2 else (0, 1, 1, 0):
            sides[side].append(make(numbers[side].pop(0), at))
            at += 20
    return sides
