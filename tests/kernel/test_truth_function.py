"""The recipes of functions against a program that knows how often it called them, and how long they took."""

import json
import math
import platform
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from runner.capture.buckets import LogBuckets
from tests.command import ebpf_recipe
from tests.kernel.recipes import MISSING, Run, bucket_at, buckets_of, run_recipe
from tests.laboratory.called import address_of, build, called, command
from tests.laboratory.children import child, end_bpftrace
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

ITSELF = "the program itself"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("called"))


@pytest.fixture(scope="module")
def stripped(program):
    """A program without symbols, whose addresses are not those of its places in the file."""
    named = build(program.parent, "-no-pie", "-DOTHER", name="named")
    bare = program.parent / "stripped"
    subprocess.run(["strip", "-o", bare, named], check=True)
    return bare, address_of(named, "empty"), address_of(named, "spin")


def test_calls_are_those_that_the_program_made(bpftrace, program, tmp_path, truth):
    names = [f"{program}:empty", f"{program.parent}/libcalled.so:in_library"]
    with called(program, tmp_path, name="a") as one, called(program, tmp_path, name="b") as other:
        run = run_recipe(
            "function-calls", "--function", names[0], "--function", names[1], "--pid", str(one.pid),
            bpftrace=bpftrace,
            command=command(one.asking("empty 20000", "library 777"), other.asking("empty 4000", "library 50")),
        )  # fmt: skip
    release = release_of(bpftrace)
    for name, what, told in (
        (names[0], "20,000 calls from four threads", 20000),
        (names[1], "777 calls of a library's function", 777),
    ):
        ours = run.total("calls", function=name, pid=one.pid)
        truth("function-calls", "calls (--pid)", what, release, ours, told, ITSELF)
        assert run.agrees(ours, told)
    assert {row["key"]["comm"] for row in run.tables["calls"]} == {"called"}
    assert {row["key"]["pid"] for row in run.tables["calls"]} == {one.pid}
    assert run.agrees(run.total("calls"), run.total("calls_total"))
    assert run.capture["parameters"]["function"] == names
    assert [found["path"] for found in run.capture["program"]["functions"]] == [
        name.partition(":")[0] for name in names
    ]


def test_a_stripped_program_is_counted_by_address(bpftrace, stripped, tmp_path, truth):
    bare, address, _ = stripped
    with called(bare, tmp_path) as one:
        run = run_recipe(
            "function-calls", "--function", f"{bare}:0x{address:x}", "--comm", "stripped",
            bpftrace=bpftrace, command=command(one.asking("empty 8000")),
        )  # fmt: skip
    ours = run.total("calls", pid=one.pid)
    what = "8,000 calls in a stripped program, by address"
    truth("function-calls", "calls (--comm)", what, release_of(bpftrace), ours, 8000, ITSELF)
    assert run.agrees(ours, 8000)


def test_a_process_with_files_of_its_own_is_counted_in_them(bpftrace, program, tmp_path, truth):
    """Another mount namespace, in which another program has the same path."""
    other = build(tmp_path, "-DOTHER", name="other")
    assert address_of(other, "empty") != address_of(program, "empty")
    place = tmp_path / "root"
    place.mkdir()
    path = place / "called"
    shutil.copy(program, path)
    mounting = f'mount -t tmpfs none {place} && cp {other} {path} && exec "$@"'
    before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounting, "sh"]
    with (
        called(path, tmp_path, name="host") as host,
        called(path, tmp_path, before=before, name="own") as own,
    ):
        loads = command(own.asking("empty 6000"), host.asking("empty 2000"))
        of_own, of_host = (
            run_recipe(
                "function-calls", "--function", f"{path}:empty", *filters, bpftrace=bpftrace, command=loads
            )
            for filters in (["--pid", str(own.pid)], [])
        )
        of_both = run_recipe(
            "function-calls", "--function", f"{path}:empty", "--pid", str(own.pid), "--pid", str(host.pid),
            bpftrace=bpftrace, command=loads,
        )  # fmt: skip
        explicit = run_recipe(
            "function-calls", "--function", f"/proc/{own.pid}/root{path}:empty",
            bpftrace=bpftrace, command=loads,
        )  # fmt: skip
    ours = of_own.total("calls")
    what = "6,000 calls in another mount namespace, 2,000 on the host, of another program of the same path"
    truth("function-calls", "calls (--pid)", what, release_of(bpftrace), ours, 6000, ITSELF)
    assert of_own.agrees(ours, 6000)
    (found,) = of_own.capture["program"]["functions"]
    assert found["path"] == f"/proc/{own.pid}/root{path}"
    assert [row["key"]["pid"] for row in of_own.tables["calls"]] == [own.pid]
    assert of_host.agrees(of_host.total("calls"), 2000)
    assert [row["key"]["pid"] for row in of_host.tables["calls"]] == [host.pid]
    assert of_both.agrees(of_both.total("calls"), 8000)
    assert len(of_both.capture["program"]["functions"]) == 2
    assert explicit.agrees(explicit.total("calls"), 6000)


def test_containers_of_one_image_are_counted_once(bpftrace, program, tmp_path):
    """Two overlays of one directory: two files to look at, one to the kernel's probes."""
    place = tmp_path / "root"
    place.mkdir()
    path = place / program.name
    shutil.copy(program, tmp_path)
    mounting = (
        f"mount -t tmpfs none {place} && mkdir {place}/up {place}/work && "
        f"mount -t overlay none -o lowerdir={tmp_path},upperdir={place}/up,workdir={place}/work {place} && "
        'exec "$@"'
    )
    before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounting, "sh"]
    with (
        called(path, tmp_path, before=before, name="a") as one,
        called(path, tmp_path, before=before, name="b") as two,
    ):
        loads = command(one.asking("empty 3000"), two.asking("empty 1000"))
        run = run_recipe(
            "function-calls", "--function", f"{path}:empty", "--pid", str(one.pid), "--pid", str(two.pid),
            bpftrace=bpftrace, command=loads,
        )  # fmt: skip
    assert len(run.capture["program"]["functions"]) == 2
    assert run.agrees(run.total("calls", pid=one.pid), 3000)
    assert run.agrees(run.total("calls", pid=two.pid), 1000)


def test_that_a_process_has_files_of_its_own_is_said(program, tmp_path):
    before = ["unshare", "--mount"]
    with called(program, tmp_path, before=before) as own:
        arguments = ["--function", f"{program}:empty", "--pid", str(own.pid), "-d", "100ms", "-f", "json"]
        done = ebpf_recipe("run", "function-calls", *arguments)
    assert f"note: {program}:empty is looked for in /proc/{own.pid}/root{program}\n" in done.stderr


@pytest.mark.parametrize("name", ["it's (a) test, 1", 'a "quoted": one*'], ids=["odd", "exe"])
def test_a_path_may_be_odd(bpftrace, program, tmp_path, name):
    odd = tmp_path / name
    shutil.copy(program, odd)
    with called(odd, tmp_path) as one:
        path = f"/proc/{one.pid}/exe" if '"' in name else odd
        run = run_recipe(
            "function-calls", "--function", f"{path}:empty", bpftrace=bpftrace,
            command=command(one.asking("empty 400")),
        )  # fmt: skip
    assert run.agrees(run.total("calls", pid=one.pid), 400)


def test_passes_of_a_tracepoint_are_counted(bpftrace, program, tmp_path, truth):
    name = "tracepoint:syscalls:sys_enter_getppid"
    with called(program, tmp_path) as one:
        run = run_recipe(
            "function-calls", "--function", name, "--thread", "called", bpftrace=bpftrace,
            command=command(one.asking("parent 5000")),
        )  # fmt: skip
    ours = run.total("calls", function=name, pid=one.pid)
    truth(
        "function-calls",
        "passes of a tracepoint",
        "5,000 system calls",
        release_of(bpftrace),
        ours,
        5000,
        ITSELF,
    )
    assert run.agrees(ours, 5000)


def test_times_are_those_that_the_program_measures(bpftrace, program, stripped, tmp_path, truth):
    bare, _, address = stripped
    with called(program, tmp_path, name="a") as one, called(bare, tmp_path, name="b") as other:
        run = run_recipe(
            "function-latency", "--function", f"{program}:spin", "--function", f"{bare}:0x{address:x}",
            bpftrace=bpftrace, command=command(one.asking("spin 1500"), other.asking("spin 300")),
        )  # fmt: skip
        loads = [
            (one, f"{program}:spin", "by name"),
            (other, f"{bare}:0x{address:x}", "stripped, by address"),
        ]
        told = [(load.pid, name, how, sorted(load.figures())) for load, name, how in loads]
    release = release_of(bpftrace)
    for pid, name, how, measured in told:
        (row,) = run.rows("latency", function=name, pid=pid)
        what = f"{len(measured):,} calls of 30 us to 2 ms, {how}"
        truth("function-latency", "calls", what, release, row["count"], len(measured), ITSELF)
        assert run.agrees(row["count"], len(measured))
        for quantile in (0.5, 0.9, 0.99):
            low, high = bucket_at(quantile, buckets_of(row))
            exact = measured[math.ceil(quantile * len(measured)) - 1]
            own = LogBuckets().index(exact)
            truth(
                "function-latency", f"p{quantile * 100:g} ns", what, release, f"{low}-{high}", f"{exact}", ITSELF,
                because="the probes' own time is in it",
            )  # fmt: skip
            assert abs(LogBuckets().index(low) - own) <= 1, (quantile, low, high, exact)
        (sums,) = run.rows("time", function=name, pid=pid)
        assert abs(sums["count"] - row["count"]) <= run.missed
        # Whatever interrupts it outside of its own readings is the probes' and not the program's time.
        assert sums["total"] >= sum(measured) or run.missed
    assert run.total("unfollowed") == 0


def test_each_call_of_a_recursive_function_is_measured(bpftrace, program, tmp_path, truth):
    name = f"{program}:recurse"
    with called(program, tmp_path) as one:
        run = run_recipe(
            "function-latency", "--function", name, "--pid", str(one.pid), bpftrace=bpftrace,
            command=command(one.asking(*["recurse 20"] * 5)),
        )  # fmt: skip
        deep = run_recipe(
            "function-latency", "--function", name, "--comm", "called", bpftrace=bpftrace,
            command=command(one.asking("recurse 100")),
        )  # fmt: skip
    (row,) = run.rows("latency")
    what = "5 times 20 calls, each inside the last"
    truth("function-latency", "calls", what, release_of(bpftrace), row["count"], 100, ITSELF)
    assert run.agrees(row["count"], 100)
    assert all(low >= 1_700_000 for low, _, _ in buckets_of(row)), (
        "the innermost waits 2 ms, all have that in them"
    )
    # MAX_URETPROBE_DEPTH of kernel/events/uprobes.c: the outermost 64 are watched.
    assert deep.agrees(deep.total("began"), 100)
    assert deep.agrees(deep.total("latency", "count"), 64)


def test_calls_that_never_return_disturb_no_others(bpftrace, program, tmp_path, truth):
    with called(program, tmp_path) as one:
        jumps = run_recipe(
            "function-latency", "--function", f"{program}:jump_out", "--max-map-keys", "64", bpftrace=bpftrace,
            command=command(one.asking("jump 500")),
        )  # fmt: skip
        ends = run_recipe(
            "function-latency", "--function", f"{program}:end_inside", "--function", f"{program}:empty",
            bpftrace=bpftrace, command=command(one.asking("end 50", "empty 400")),
        )  # fmt: skip
    release = release_of(bpftrace)
    ours = jumps.total("latency", "count")
    truth("function-latency", "calls", "500 that return, and 500 left by longjmp", release, ours, 500, ITSELF)
    assert jumps.agrees(ours, 500)
    assert jumps.agrees(jumps.total("began"), 1000)
    assert jumps.total("unfollowed") == 0
    assert ends.rows("latency", function=f"{program}:end_inside") == []
    assert ends.agrees(ends.total("began", function=f"{program}:end_inside"), 50)
    assert ends.agrees(ends.total("latency", "count", function=f"{program}:empty"), 400)


def test_what_the_maps_have_no_room_for_is_counted(bpftrace, program, tmp_path):
    with called(program, tmp_path) as one:
        run = run_recipe(
            "function-latency", "--function", f"{program}:recurse", "--max-map-keys", "8", bpftrace=bpftrace,
            command=command(one.asking("recurse 30")), allowed=(*MISSING, "map-full"),
        )  # fmt: skip
    assert run.agrees(run.total("latency", "count"), 8)
    assert run.agrees(run.total("unfollowed"), 22)
    assert "map-full" in run.problems


def test_what_the_probes_themselves_take(bpftrace, program, tmp_path, figure):
    with called(program, tmp_path) as one:
        run = run_recipe(
            "function-latency", "--function", f"{program}:empty", bpftrace=bpftrace,
            command=command(one.asking("empty 20000")),
        )  # fmt: skip
    (row,) = run.rows("latency")
    low, high = bucket_at(0.5, buckets_of(row))
    figure(f"an empty function takes {low} to {high} ns, as function-latency sees it")
    assert low > 100


def test_times_of_kernel_functions_go_by_the_order_of_calls(bpftrace, program, tmp_path):
    """As on kernels with kprobes, and on processors whose stack pointer is not known: here with uprobes."""
    name = f"{program}:recurse"
    facts, rendered, output = (tmp_path / each for each in ("facts.json", "rendered.bt", "rendered.out"))
    asked = ["--function", name]
    said = ebpf_recipe("render", "function-latency", *asked, "--bpftrace", bpftrace, "--facts").stdout
    facts.write_text(said.replace(f'"{platform.machine()}"', '"s390x"'))
    ebpf_recipe("render", "function-latency", *asked, "--host", str(facts), "-o", str(rendered))
    assert "@depth" in rendered.read_text()
    quiet = ["--no-warnings"] if release_of(bpftrace) == "0.27.1" else []
    with called(program, tmp_path) as one, output.open("wb") as file:
        tracing = [bpftrace, "-f", "json", *quiet, rendered]
        with child(tracing, stdout=file, stderr=subprocess.DEVNULL) as tracer:
            deadline = time.monotonic() + 30
            while b"ebpf-recipe/time" not in output.read_bytes():
                assert time.monotonic() < deadline, "it did not start"
                time.sleep(0.05)
            time.sleep(2)  # the probes are attached behind BEGIN
            subprocess.run(["sh", "-c", one.asking(*["recurse 10"] * 3)], check=True)
            end_bpftrace(tracer)
    done = ebpf_recipe("decode", str(output))
    run = Run(json.loads(done.stdout))
    (row,) = run.rows("latency", pid=one.pid)
    assert (row["count"], run.total("began")) == (30, 30)
    assert all(low >= 1_700_000 for low, _, _ in buckets_of(row))


THROWS = """
extern void __cxa_throw(void) __attribute__((weak));
void *volatile thrown;
__attribute__((noinline)) void watched(void) { thrown = __cxa_throw; }
int main(void) { watched(); return 0; }
"""


def test_what_an_exception_would_end_is_refused(bpftrace, tmp_path):
    source, path = tmp_path / "throws.c", tmp_path / "throws"
    source.write_text(THROWS)
    subprocess.run(["cc", "-o", path, source], check=True)

    def run(recipe, *more):
        words = ("run", recipe, "--function", f"{path}:watched", "--bpftrace", bpftrace)
        return ebpf_recipe(*words, *more, "--", str(path))

    refused = run("function-latency")
    assert refused.returncode == 3
    assert "std::terminate" in refused.stderr
    assert "function-calls" in refused.stderr
    for allowed in (run("function-latency", "--force"), run("function-calls")):
        assert allowed.returncode == 0, allowed.stderr


def test_a_kernel_function_needs_a_kernel_that_has_kprobes(bpftrace):
    if Path("/sys/bus/event_source/devices/kprobe").exists():
        pytest.skip("this kernel has kprobes")
    done = ebpf_recipe("run", "function-latency", "--bpftrace", bpftrace, "--function", "vfs_read")
    assert done.returncode == 4
    assert "the kernel has no kprobe:vfs_read" in done.stderr
