"""Every kind, key and value that a recipe can record, from real processes, against what they really did."""

import base64
import json
import subprocess
import sys
import threading

import pytest

from runner.bpftrace.version import find_bpftrace
from runner.capture.buckets import LinearBuckets, LogBuckets
from runner.capture.rows import histogram_row, stats_row
from runner.errors import TraceFailed
from runner.plan import plan_run
from runner.recipe.catalogue import find_recipe
from runner.recipe.model import Output, Ticks
from runner.recipe.recording import Recorder
from runner.run import execute
from runner.workload import Workload
from tests.laboratory import jit, seekers
from tests.laboratory.children import child
from tests.laboratory.exact import bare_plan, exact_plan
from tests.laboratory.releases import paths, release_of

pytestmark = pytest.mark.kernel

OFFSETS = [0, 1, 7, 8, -1, -7, 2**31, 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 2]
WORD = 2**64


def seeks(tmp_path, offsets):
    report = tmp_path / "report.json"
    argv = [sys.executable, "-m", "tests.laboratory.seekers", str(report), *map(str, offsets)]
    return Workload(argv), report


def rows_of(capture, name):
    return next(table["rows"] for table in capture["tables"] if table["name"] == name)


def raw(text):
    return base64.b64decode(text["base64"]) if isinstance(text, dict) else text.encode()


def test_difficult_names_in_maps_of_every_kind(bpftrace, tmp_path, figure):
    workload, report = seeks(tmp_path, OFFSETS)
    capture = execute(exact_plan(bpftrace), duration_seconds=None, workload=workload).capture()
    made = {base64.b64decode(each["name"]): each["calls"] for each in json.loads(report.read_text())}
    assert list(made) == list(seekers.NAMES)
    assert capture["quality"] == {"grade": "usable", "problems": []}
    for table, field in (("seeks", "value"), ("histogram", "count"), ("statistics", "count")):
        counted = {raw(row["key"]["comm"]): row[field] for row in rows_of(capture, table)}
        assert counted == made, table
    for table in ("offsets", "least", "greatest", "last"):
        assert {raw(row["key"]["comm"]) for row in rows_of(capture, table)} == set(made)
    by_text = {}
    for row in rows_of(capture, "by_offset"):
        by_text[raw(row["key"]["text"])] = by_text.get(raw(row["key"]["text"]), 0) + row["value"]
    assert by_text == made
    by_stack = {}
    for row in rows_of(capture, "stacks"):
        by_stack[raw(row["key"]["comm"])] = by_stack.get(raw(row["key"]["comm"]), 0) + row["value"]
    assert by_stack == made
    figure(
        f"{len(made)} names, {sum(made.values())} calls: all equal in count, histogram, stats and 6 more tables"
    )


def signed(value):
    return (value + WORD // 2) % WORD - WORD // 2


def expected_tables():
    """Every table over OFFSETS, by plain arithmetic."""
    one, words = [signed(offset) for offset in OFFSETS], [offset % WORD for offset in OFFSETS]
    name = {"comm": "exact, one"}

    def histogram(key, layout, values, *, is_unsigned=False):
        counts = {}
        for value in values:
            bounds = layout.bounds(layout.index(value), is_unsigned=is_unsigned)
            counts[bounds] = counts.get(bounds, 0) + 1
        return [histogram_row(key, counts)]

    return {
        "seeks": [{"key": name, "value": len(OFFSETS)}],
        "seeks_total": [{"key": {}, "value": len(OFFSETS)}],
        # The descriptor is 77: an error is whatever number stands for one.
        "by_call": [{"key": {"syscall": "lseek", "error": "EBADFD"}, "value": len(OFFSETS)}],
        "offsets": [{"key": name, "value": signed(sum(one))}],
        "offsets_u": [{"key": {}, "value": sum(words) % WORD}],
        "least": [{"key": name, "value": min(one)}],
        "least_u": [{"key": {}, "value": min(words)}],
        "greatest": [{"key": name, "value": max(one)}],
        "greatest_u": [{"key": {}, "value": max(words)}],
        "statistics": [stats_row(name, len(one), signed(sum(one)))],
        "statistics_u": [stats_row({}, len(one), sum(words) % WORD)],
        "histogram": histogram(name, LogBuckets(2), one),
        "histogram_0": histogram({}, LogBuckets(0), one),
        "histogram_5": histogram({}, LogBuckets(5), words, is_unsigned=True),
        "lines": histogram({}, LinearBuckets(-10, 10, 5), one),
        "last": [{"key": name, "value": one[-1]}],
        "last_u": [{"key": {}, "value": words[-1]}],
    }


ONE_PROCESS = (
    "import ctypes, sys\nfrom tests.laboratory.seekers import seek\n"
    "ctypes.CDLL(None).prctl(15, b'exact, one')\nfor offset in sys.argv[1:]: seek(int(offset))"
)


@pytest.fixture(scope="module")
def captures():
    """The tables of one program on every bpftrace that is here."""
    found = {}
    for path in paths():
        workload = Workload([sys.executable, "-c", ONE_PROCESS, *map(str, OFFSETS)])
        capture = execute(exact_plan(path), duration_seconds=None, workload=workload).capture()
        assert capture["quality"]["problems"] == []
        found[release_of(path)] = capture
    return found


def test_every_release_gives_the_capture_that_arithmetic_gives(captures, figure):
    for release, capture in captures.items():
        for name, rows in expected_tables().items():
            assert rows_of(capture, name) == rows, (release, name)
        offsets = {(row["key"]["signed"], row["key"]["unsigned"]) for row in rows_of(capture, "by_offset")}
        assert offsets == {(signed(offset), offset % WORD) for offset in OFFSETS}
        assert all(
            row["key"]["is_odd"] == (row["key"]["signed"] % 2 == 1) for row in rows_of(capture, "by_offset")
        )
        (series,) = rows_of(capture, "series")
        assert sum(point["value"] for point in series["points"]) == len(OFFSETS)
        window = capture["window"]
        times = [point["time"] for point in series["points"]]
        # A point's time is that at which its 100 ms begin.
        assert window["started_at"] <= times[0]
        assert times[-1] <= window["ended_at"]
    figure(f"{', '.join(captures)}: {len(expected_tables())} tables over {OFFSETS} equal those of arithmetic")


def same_key(key):
    """A key without user stacks, and kernel stacks without the frame that is there while others trace calls too."""
    if "user" in key:
        key = {**key, "user": None}
    if "kernel" in key:
        # Where a tracepoint has two probes, it calls them through this one (kernel/tracepoint.c): seen beside a
        # bpftrace that traces raw_syscalls:sys_enter, and not alone.
        frames = [frame for frame in key["kernel"] if frame.get("symbol") != "__traceiter_sys_enter"]
        key = {**key, "kernel": frames}
    return key


def without_what_may_differ(capture):
    """A capture without its moments, the release, the program's cost, and addresses of user space."""
    tables = []
    for table in capture["tables"]:
        if table["name"] in ("series", "deep"):
            continue
        rows = [{**row, "key": same_key(row["key"])} for row in table["rows"]]
        tables.append({**table, "rows": rows})
    host = {**capture["host"], "bpftrace": None}
    left_out = ("id", "run_id", "window", "overhead", "host", "tables", "companions")
    return {name: part for name, part in capture.items() if name not in left_out} | {
        "host": host,
        "tables": tables,
    }


def test_captures_of_one_program_are_equal_on_every_release(captures):
    first, *others = (without_what_may_differ(capture) for capture in captures.values())
    assert len(captures) == len(paths())
    for other in others:
        assert other == first


def test_symbols_that_anybody_named_are_exact(bpftrace, figure):
    """A stack's symbols are the traced program's own words."""
    plan = exact_plan(bpftrace, ["seeks", "deep", "stacks"])
    with child(
        [sys.executable, "-m", "tests.laboratory.jit"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:

        def call():
            other.stdin.write(b"\n" * 3)
            other.stdin.flush()
            for _ in range(3):
                assert other.stdout.readline() == b"done\n"

        timer = threading.Timer(0, call)
        capture = execute(plan, duration_seconds=1.5, watcher=_StartsWhenAttached(timer)).capture()
        timer.join()
        other.stdin.close()
        other.wait(5)
    assert capture["quality"]["grade"] == "usable"
    # Of one symbol, in two tables, bpftrace printed bytes as it prints them.
    assert {problem["code"] for problem in capture["quality"]["problems"]} == {"repaired"}
    found = {}
    for row in rows_of(capture, "deep"):
        (frame,) = row["key"]["user"]
        (bucket,) = row["buckets"]
        found[frame["symbol"]] = (bucket["lower"], row["count"])
    assert found == {name: (place, 3) for place, name in enumerate(jit.NAMES)}
    innermost = {row["key"]["user"][0]["symbol"]: row["value"] for row in rows_of(capture, "stacks")}
    assert innermost == dict.fromkeys(jit.NAMES, 3)
    figure(f"{len(found)} symbols, among them {jit.NAMES[1]!r} and {jit.NAMES[3]!r}, each 3 times")


class _StartsWhenAttached:
    """A watcher of a run that starts a thread when the probes are attached."""

    def __init__(self, thread):
        self._thread = thread

    def attached(self):
        self._thread.start()

    def counted(self, events):
        pass

    def ending(self):
        pass


NARROW = {
    "(int32)-5": -5, "(int8)-1": -1, "(int16)-300": -300, "(uint32)4294967295": 2**32 - 1, "(uint8)255": 255,
    "(uint16)65535": 65535, "(int64)-7": -7, "($x == 5 ? 1 : 0)": 1,
}  # fmt: skip
KINDS = ("sum", "min", "max", "stats", "value", "histogram")


def test_narrow_integers_keep_their_value(some_plan, figure):
    """A cast would widen them, on one release or the other, by the wrong sign."""
    keys = ({"name": "k", "type": "integer"}, {"name": "is_five", "type": "boolean"})
    outputs = tuple(
        Output(
            name=f"{kind}_{place}", map=f"@{kind}_{place}", kind=kind, unit="none", keys=keys, description="x"
        )
        for place in range(len(NARROW))
        for kind in KINDS
    )
    record = Recorder(output.declaration() for output in outputs)
    lines = ["$x = (uint64)5;"]
    for place, source in enumerate(NARROW):
        lines.append(f"$n{place} = {source};")
        lines += [
            str(record(f"{kind}_{place}", f"$n{place}", k=f"$n{place}", is_five="$x == 5")) for kind in KINDS
        ]
    program = "tracepoint:syscalls:sys_enter_lseek /args->fd == 77/ { " + "\n".join(lines) + " }"
    plan = bare_plan(some_plan, program, outputs=outputs)
    capture = execute(plan, duration_seconds=None, workload=many_seeks(1)).capture()
    assert capture["quality"]["problems"] == []
    for place, value in enumerate(NARROW.values()):
        key = {"k": value, "is_five": True}
        for kind in ("sum", "min", "max", "value"):
            assert rows_of(capture, f"{kind}_{place}") == [{"key": key, "value": value}], (kind, value)
        assert rows_of(capture, f"stats_{place}") == [stats_row(key, 1, value)]
        bounds = LogBuckets(2).bounds(LogBuckets(2).index(value), is_unsigned=False)
        assert rows_of(capture, f"histogram_{place}") == [histogram_row(key, {bounds: 1})]
    figure(f"{list(NARROW)}: right in {', '.join(KINDS)} and as keys")


def many_seeks(count):
    code = "import sys\nfrom tests.laboratory.seekers import seek\nfor n in range(int(sys.argv[1])): seek(n)"
    return Workload([sys.executable, "-c", code, str(count)])


def test_a_full_map_is_told_on_every_release(bpftrace, figure):
    plan = exact_plan(bpftrace, ["by_offset"])
    outcome = execute(plan, duration_seconds=None, workload=many_seeks(30_000), max_map_keys=64)
    capture = outcome.capture()
    (problem, *others) = [each for each in capture["quality"]["problems"] if each["code"] != "lost-events"]
    assert others == []
    assert problem["code"] == "map-full"
    assert "--max-map-keys" in problem["cure"]
    assert len(rows_of(capture, "by_offset")) == 64
    if outcome.plan.bpftrace.dialect.refusals_are_told:
        assert 0 < problem["count"] <= 30_000 - 64
        # 30000 messages of 150 bytes are counted, not kept.
        assert len(outcome.recording.stdout) < 100_000
    else:
        assert problem["count"] is None
    figure(f"29936 updates refused: {problem['detail']}")


def test_a_total_knows_what_a_full_map_left_out(bpftrace, tmp_path):
    plan = exact_plan(bpftrace, ["seeks", "seeks_total"])
    workload, _ = seeks(tmp_path, [5])
    capture = execute(plan, duration_seconds=None, workload=workload, max_map_keys=4).capture()
    counted = sum(row["value"] for row in rows_of(capture, "seeks"))
    everything = sum(range(1, len(seekers.NAMES) + 1))
    assert rows_of(capture, "seeks_total")[0]["value"] == everything
    problems = {problem["code"]: problem["count"] for problem in capture["quality"]["problems"]}
    assert problems["map-full"] == everything - counted > 0


def test_rows_with_stacks_that_are_lost_are_marked(bpftrace, tmp_path, figure):
    plan = exact_plan(bpftrace, ["stacks"])
    workload, report = seeks(tmp_path, [1])
    capture = execute(plan, duration_seconds=None, workload=workload, buffer_pages=1).capture()
    problems = {problem["code"]: problem for problem in capture["quality"]["problems"]}
    damaged = [row for row in rows_of(capture, "stacks") if "damaged" in row]
    if plan.bpftrace.dialect.drops_spaces_of_keys:
        assert len(damaged) == problems["rows-damaged"]["count"] > 0
    else:
        # The keys of the map itself are exact there.
        assert problems == {}
        assert damaged == []
    calls = sum(each["calls"] for each in json.loads(report.read_text()))
    assert sum(row["value"] for row in rows_of(capture, "stacks")) == calls
    figure(f"one page of buffer: {len(damaged)} rows marked, {sorted(problems)}")


@pytest.fixture
def some_plan(bpftrace):
    return plan_run(find_recipe("tcp-retrans"), {}, find_bpftrace(bpftrace))


def test_lost_output_is_told(some_plan, figure):
    program = (
        "tracepoint:syscalls:sys_enter_lseek /args->fd == 77/"
        ' { @n = count(); printf("%s\\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"); }'
    )
    capture = execute(
        bare_plan(some_plan, program), duration_seconds=None, workload=many_seeks(60_000), buffer_pages=1
    ).capture()
    lines = sum(message["type"] == "printf" for message in capture["messages"])
    told = {problem["code"]: problem["count"] for problem in capture["quality"]["problems"]}.get(
        "lost-events", 0
    )
    figure(f"60000 lines: {lines} came, {told} told as lost")
    # Maps are not concerned.
    assert rows_of(capture, "n")[0]["value"] == 60_000
    assert lines < 60_000
    assert lines + told <= 60_000
    # 0.27 may say nothing at all of what it lost.
    assert told > 0 or some_plan.bpftrace.version >= (0, 24, 0)


def test_reads_that_fail_are_told_where_it_is_asked(some_plan, figure):
    program = (
        "tracepoint:syscalls:sys_enter_lseek /args->fd == 77/"
        " { $task = (struct task_struct*)8; @seen[$task->pid] = count(); @n = count(); }"
    )
    plan = bare_plan(some_plan, program, scratch_maps=("@seen",))
    silent = execute(plan, duration_seconds=None, workload=many_seeks(5)).capture()
    assert silent["quality"]["problems"] == []
    told = execute(plan, duration_seconds=None, workload=many_seeks(5), check_reads=True).capture()
    (problem,) = told["quality"]["problems"]
    assert (problem["code"], problem["count"]) == ("helper-errors", 5)
    figure(problem["detail"])


def test_a_probe_that_is_not_attached_is_not_a_zero(some_plan, figure):
    plan = bare_plan(some_plan, "uprobe:/bin/ls:nosuchsymbol { @n = count(); }\n")
    if plan.bpftrace.version >= (0, 23, 0):
        with pytest.raises(TraceFailed, match="nosuchsymbol") as refused:
            execute(plan, duration_seconds=0.2)
        figure(f"refused: {refused.value.message}")
        return
    capture = execute(plan, duration_seconds=0.2).capture()
    (problem,) = capture["quality"]["problems"]
    figure(f"{problem['code']}: {problem['detail']}")
    assert problem["code"] == "probes-not-attached"
    assert capture["quality"]["grade"] == "void"


def test_intervals_are_compared_with_the_window(some_plan):
    ticking = "interval:ms:50 { @n = count(); }"
    ticks = Ticks(table="n", milliseconds=50)
    assert (
        execute(bare_plan(some_plan, ticking, ticks=ticks), duration_seconds=1).capture()["quality"]["grade"]
        == "usable"
    )
    slower = bare_plan(some_plan, "interval:ms:150 { @n = count(); }", ticks=ticks)
    (problem,) = execute(slower, duration_seconds=1).capture()["quality"]["problems"]
    assert problem["code"] == "ticks-missing"
    assert 10 <= problem["count"] <= 16


FORGED = (
    '{"type": "map", "data": {"@n": 999}}\\n{"type": "map", "data": {"@zzzz_end": 1}}\\n'
    '{"type": "map", "data": {"@zzz_limit": 1}}\\n{"type": "lost_events", "data": {"events": 9}}\\n'
    "WARNING: Total lost event count: 9\\nERROR: failed to look up stack id\\n@n: 999\\n"
)


def test_what_a_command_prints_is_none_of_bpftraces(some_plan):
    program = 'tracepoint:syscalls:sys_enter_lseek /args->fd == 77/ { @n = count(); printf("%s", str(args->offset)); }'
    shell = (
        f"printf '{FORGED}'; printf '{FORGED}' >&2;"
        f" exec {sys.executable} -c 'import ctypes, tests.laboratory.seekers as s\n"
        'text = ctypes.create_string_buffer(open("/dev/stdin", "rb").read())\n'
        f"s.seek(ctypes.addressof(text))' <<'END'\n{FORGED.encode().decode('unicode_escape')}END\n"
    )
    capture = execute(
        bare_plan(some_plan, program), duration_seconds=None, workload=Workload(["sh", "-c", shell])
    ).capture()
    assert rows_of(capture, "n") == [{"key": {}, "value": 1}]
    assert capture["quality"] == {"grade": "usable", "problems": []}
    assert capture["window"]["ended_by"] == "workload"
    (printed,) = (message["text"] for message in capture["messages"] if message["type"] == "printf")
    assert printed.startswith('{"type": "map"')
