"""bitesize against sizes that fio was told, and against what the kernel counts of disks and of processes."""

import json
import operator
import os
import subprocess
import sys
import time

import pytest

from tests.command import ebpf_recipe
from tests.kernel.recipes import Run, buckets_of, run_recipe
from tests.laboratory.children import child, end_bpftrace
from tests.laboratory.disk import MIB, counters, disk
from tests.laboratory.fio import fio, job_of
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

STAT = "/sys/block/DEVICE/stat"
SECTOR = 512
SIZES = {4096: 600, 16384: 300, 131072: 100}

WRITER = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(15, sys.argv[1].encode())
device = os.open(sys.argv[2], os.O_WRONLY)
for place in range(int(sys.argv[3])):
    os.pwrite(device, os.urandom(65536), place * 65536)
if sys.argv[4] == "fsync":
    os.fsync(device)
else:
    time.sleep(0.3)
    # Not fsync: that would be our own write.
    os.system("sync")
time.sleep(0.3)
"""


def measured(bpftrace, command, *arguments):
    return run_recipe("bitesize", *arguments, bpftrace=bpftrace, command=["sh", "-c", command])


def agrees_of_owners(run, ours, independent):
    """The same as `run.agrees` where owners are asked for: misses of probes that only remember them are not told."""
    return 0 <= independent - ours <= run.missed + max(1, independent // 100)


def said(*arguments):
    done = ebpf_recipe(*map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_size(rows, size):
    return sum(count for row in rows for low, high, count in buckets_of(row) if low <= size <= high)


def test_sizes_are_those_that_fio_was_told(bpftrace, tmp_path, truth):
    release = release_of(bpftrace)
    load = "random reads of 4, 16 and 128 KiB with O_DIRECT, 16 under way"
    with disk(tmp_path, 256 * MIB) as one:
        one.setting("scheduler", "none")
        before = counters(one.name)
        command = "; ".join(
            fio(one.path, tmp_path / str(size), rw="randread", bs=size, number_ios=number, iodepth=16)
            for size, number in SIZES.items()
        )
        run = measured(bpftrace, command, "--device", one.name)
        theirs = counters(one.name).since(before)
        told = {size: job_of(tmp_path / str(size)).count("read") for size in SIZES}
    rows = run.rows("sizes", operation="read", device=one.name)
    assert told == SIZES
    for size, number in told.items():
        truth("bitesize", f"reads of {size // 1024} KiB", load, release, of_size(rows, size), number, "fio")
        assert run.agrees(of_size(rows, size), number)
    count, bytes_read = (run.total("requests", field, operation="read") for field in ("count", "total"))
    truth("bitesize", "reads", load, release, count, theirs.reads, STAT)
    truth("bitesize", "bytes read", load, release, bytes_read, theirs.read_sectors * SECTOR, STAT)
    assert run.agrees(count, theirs.reads)
    assert bytes_read == theirs.read_sectors * SECTOR or run.missed
    assert {row["key"]["comm"] for row in rows if "unattributed" not in row} == {"fio"}
    assert agrees_of_owners(run, run.total("requests", "count", operation="read", comm="fio"), theirs.reads)


@pytest.mark.parametrize("scheduler", ["mq-deadline", "none"])
def test_merged_requests_have_the_size_that_the_device_gets(bpftrace, tmp_path, truth, scheduler):
    """Small writes in order, that were buffered: the kernel makes large requests of them."""
    with disk(tmp_path, 256 * MIB) as one:
        one.setting("scheduler", scheduler)
        before = counters(one.name)
        command = fio(
            one.path, tmp_path / "fio", rw="write", bs="4k", number_ios=8000, direct=0, iodepth=1,
            ioengine="psync", end_fsync=1,
        )  # fmt: skip
        run = measured(bpftrace, command, "--device", one.name)
        theirs = counters(one.name).since(before)
    count, written = (run.total("requests", field, operation="write") for field in ("count", "total"))
    load = f"8,000 buffered writes of 4 KiB in order, then fsync; {scheduler}"
    release = release_of(bpftrace)
    truth(
        "bitesize", "writes", load, release, count, theirs.writes - theirs.flushes, f"{STAT}, without flushes"
    )
    truth("bitesize", "bytes written", load, release, written, theirs.write_sectors * SECTOR, STAT)
    assert run.agrees(count, theirs.writes - theirs.flushes)
    assert written == theirs.write_sectors * SECTOR == 8000 * 4096 or run.missed
    assert count < 4000, "nothing was merged or written in larger pieces"


def test_direct_io_in_parts_merges_in_front(bpftrace, tmp_path, truth):
    """Writes backwards, submitted together: requests grow at their front."""
    with disk(tmp_path) as one:
        one.setting("scheduler", "mq-deadline")
        before = counters(one.name)
        command = fio(
            one.path, tmp_path / "fio", rw="write:-8k", bs="4k", offset="32M", size="16M", number_ios=1000,
            iodepth=64, iodepth_batch=32,
        )  # fmt: skip
        run = measured(bpftrace, command, "--device", one.name, "--comm", "fio")
        theirs = counters(one.name).since(before)
    count, written = (run.total("requests", field, operation="write") for field in ("count", "total"))
    load = "1,000 direct writes of 4 KiB backwards, 32 at a time, mq-deadline, --comm fio"
    truth("bitesize", "writes", load, release_of(bpftrace), count, theirs.writes, STAT)
    truth(
        "bitesize", "bytes written", load, release_of(bpftrace), written, theirs.write_sectors * SECTOR, STAT
    )
    assert theirs.write_merges > 0
    assert agrees_of_owners(run, count, theirs.writes)
    assert written == theirs.write_sectors * SECTOR or count < theirs.writes


@pytest.mark.parametrize(("how", "own"), [("fsync", True), ("sync", False)])
def test_who_submits_is_named(bpftrace, tmp_path, truth, how, own):
    """What a process waits for with fsync it submits itself; what others write back for it they submit."""
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    with disk(tmp_path) as one:
        before = counters(one.name)
        run = measured(
            bpftrace, f"sleep 0.3; {sys.executable} {script} wri,ter {one.path} 64 {how}; sleep 0.3",
            "--device", one.name,
        )  # fmt: skip
        theirs = counters(one.name).since(before).write_sectors * SECTOR
    mine = run.total("requests", "total", operation="write", comm="wri,ter")
    everybody = run.total("requests", "total", operation="write")
    truth(
        "bitesize", "bytes that the writer submitted", f"4 MiB of buffered writes, then {how}", release_of(bpftrace),
        mine, theirs if own else 0, STAT if own else "another process (sync) writes them",
    )  # fmt: skip
    assert theirs == 64 * 65536
    assert everybody == theirs or run.missed
    nobody = run.total("requests", "total", operation="write", comm=None)
    assert (mine + nobody if own else mine) == (theirs if own else 0) or run.missed


def test_filters_contain_theirs_and_nothing_else(bpftrace, tmp_path):
    def total(*arguments):
        with disk(tmp_path) as one:
            command = (
                fio(one.path, tmp_path / "fio", rw="randread", bs="8k", number_ios=200, iodepth=4)
                + f"; dd if={one.path} of=/dev/null bs=64k count=100 iflag=direct 2>/dev/null; sleep 0.3"
            )
            run = measured(bpftrace, command, "--device", one.name, *arguments)
        assert all("unattributed" not in row for row in run.tables["requests"])
        return run, {row["key"]["comm"]: row["count"] for row in run.tables["requests"]}

    for arguments, name, number in ((("--comm", "dd"), "dd", 100), (("--thread", "fi*"), "fio", 200)):
        run, found = total(*arguments)
        assert found.keys() == {name}
        assert agrees_of_owners(run, found[name], number)
    assert total("--comm", "nobody")[1] == {}


def test_a_kernel_without_the_newer_tracepoint(bpftrace, tmp_path, truth):
    """Linux before 6.5, as its facts would say: the program for it, on this kernel."""
    script = said("render", "bitesize", "--facts-script")
    printed = subprocess.run(
        ["sh"],
        input=script.encode(),
        env={**os.environ, "BPFTRACE": bpftrace},
        check=True,
        capture_output=True,
    ).stdout
    facts = json.loads(printed)
    own = json.loads(said("render", "bitesize", "--facts", "--bpftrace", bpftrace))
    by_name = operator.itemgetter("name")
    devices = own.pop("devices")
    assert sorted(facts.pop("devices"), key=by_name) == sorted(devices, key=by_name)
    assert facts == own
    assert facts["probes"]["tracepoint:block:block_io_start"] is not None
    facts["probes"]["tracepoint:block:block_io_start"] = None
    path, program, output = (tmp_path / name for name in ("facts.json", "bitesize.bt", "bitesize.out"))
    path.write_text(json.dumps({**facts, "devices": devices}))
    program.write_text(said("render", "bitesize", "--comm", "fio", "--host", str(path)))
    with disk(tmp_path) as one:
        one.setting("scheduler", "mq-deadline")
        with (
            output.open("wb") as stdout,
            child([bpftrace, "-f", "json", str(program)], stdout=stdout, stderr=subprocess.DEVNULL) as node,
        ):
            limit = time.monotonic() + 60
            while b"ebpf-recipe/began" not in output.read_bytes() and time.monotonic() < limit:
                time.sleep(0.1)
            time.sleep(0.5)
            before = counters(one.name)
            load = fio(one.path, tmp_path / "fio", rw="randread", bs="8k", number_ios=1000, iodepth=16)
            subprocess.run(["sh", "-c", load], check=True, capture_output=True)
            theirs = counters(one.name).since(before).reads
            end_bpftrace(node)
    capture = json.loads(said("decode", str(output), "-f", "json"))
    assert capture["recipe"]["variant"] == "insert"
    run = Run(capture)
    number = f"7:{one.name.removeprefix('loop')}"
    ours = run.total("requests", "count", comm="fio", device=number)
    truth(
        "bitesize", "reads (variant insert)", "1,000 random reads of 8 KiB, mq-deadline", release_of(bpftrace),
        ours, theirs, STAT,
    )  # fmt: skip
    assert theirs > 900
    # It says no misses of its own: few events are dropped beside one program.
    assert 0 <= theirs - ours <= 0.01 * theirs
