"""biolatency against the kernel's own counters of disks, against fio, and against another tool at the same time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kernel.recipes import MISSING, bucket_at, buckets_of, printed_buckets, run_recipe
from tests.laboratory.children import child
from tests.laboratory.disk import MIB, THROTTLE, add_device, counters, disk, remove_device, slow_disk
from tests.laboratory.fio import fio, job_of
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

STAT = "/sys/block/DEVICE/stat"
QUANTILES = (0.5, 0.9, 0.99)


def measured(bpftrace, command, *arguments, allowed=(*MISSING, "repaired")):
    return run_recipe(
        "biolatency", *arguments, bpftrace=bpftrace, command=["sh", "-c", command], allowed=allowed
    )


def test_requests_are_those_that_the_kernel_counts(bpftrace, tmp_path, truth):
    release = release_of(bpftrace)
    load = "1,200 reads and writes of 4 KiB, 64 under way, an fsync after each 16 writes; a discard"
    with disk(tmp_path) as one:
        before = counters(one.name)
        command = fio(one.path, tmp_path / "fio", rw="randrw", bs="4k", iodepth=64, number_ios=1200, fsync=16)
        run = measured(
            bpftrace, f"{command}; blkdiscard --offset 0 --length 8M {one.path}; sleep 0.3",
            "--device", one.path,
        )  # fmt: skip
        theirs = counters(one.name).since(before)
        job = job_of(tmp_path / "fio")
    ours = {
        operation: run.total("requests", "count", operation=operation)
        for operation in ("read", "write", "flush", "discard")
    }
    truth("biolatency", "reads", load, release, ours["read"], theirs.reads, STAT)
    truth(
        "biolatency", "writes and flushes", load, release, ours["write"] + ours["flush"], theirs.writes, STAT
    )
    truth("biolatency", "flushes", load, release, ours["flush"], theirs.flushes, STAT)
    truth("biolatency", "discards", load, release, ours["discard"], theirs.discards, STAT)
    truth("biolatency", "writes", load, release, ours["write"], job.count("write"), "fio")
    assert job.count("read") + job.count("write") == 1200
    assert theirs.flushes > 20
    assert theirs.discards > 0
    for mine, independent in (
        (ours["write"] + ours["flush"], theirs.writes),
        (ours["read"], theirs.reads), (ours["write"], job.count("write")),
        (ours["flush"], theirs.flushes), (ours["discard"], theirs.discards),
    ):  # fmt: skip
        assert run.agrees(mine, independent), run.capture["quality"]
    # Where a completion was missed, the next flush, at the same place, finds another under way.
    assert run.total("ambiguous") <= run.missed + run.hidden
    assert {row["key"]["device"] for row in run.tables["latency"]} == {one.name}
    for row in run.tables["latency"]:
        same = run.total("requests", "count", operation=row["key"]["operation"])
        assert abs(row["count"] - same) <= run.missed + run.hidden
    assert run.tables["failed"] == []


def is_near(bucket, value):
    """Whether a value lies in a bucket or in one beside it: they are quarters of an octave, 1.25 wide at most."""
    low, high = bucket
    return low / 1.25 - 1 <= value <= (high + 1) * 1.25


def test_latency_is_what_fio_and_another_tool_measure(bpftrace, tmp_path, truth):
    """So slow that what fio does itself is lost in it."""
    if not THROTTLE.exists():
        pytest.skip("no cgroup v1 with blkio here")
    release = release_of(bpftrace)
    load = "150 reads, 4 under way, of a device that does 50 a second"
    with slow_disk(tmp_path, 50) as one:
        one.setting("scheduler", "none")
        before = counters(one.name)
        command = fio(one.path, tmp_path / "fio", rw="randread", bs="4k", iodepth=4, number_ios=150)
        tool_words = ["stdbuf", "-oL", "biolatency", "-d", one.name]
        with child(tool_words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as tool:
            time.sleep(2)
            run = measured(bpftrace, command, "--device", one.name)
            tool.send_signal(signal.SIGINT)
            theirs = printed_buckets(tool.communicate(timeout=20)[0].decode())
        done = counters(one.name).since(before)
        job = job_of(tmp_path / "fio")
    requests = run.total("requests", "count", operation="read")
    took = round(run.total("requests", "total") / 1e6)
    truth("biolatency", "ms in the device", load, release, took, done.read_ms, STAT,
          because="the kernel's time begins a little earlier, where the request is made")  # fmt: skip
    assert run.agrees(requests, done.reads)
    share = (done.reads - requests) / done.reads
    assert abs(took - done.read_ms) <= (0.01 + share) * done.read_ms
    (row,) = run.rows("latency", operation="read")
    buckets = buckets_of(row)
    for quantile in QUANTILES:
        low, high = ours = bucket_at(quantile, buckets)
        of_fio = job.quantile_us("read", quantile)
        what = f"p{quantile * 100:g} us"
        truth(
            "biolatency", what, load, release, f"{low}-{high}", f"{of_fio:.0f}", "fio (clat)",
            because="fio sees a request done where it runs again",
        )  # fmt: skip
        other_low, other_high = bucket_at(quantile, theirs)
        truth(
            "biolatency", what, load, release, f"{low}-{high}", f"{other_low}-{other_high}",
            "biolatency of libbpf-tools", because="its buckets are octaves, ours quarters of them",
        )  # fmt: skip
        assert is_near(ours, of_fio), (quantile, of_fio, buckets)
        assert other_low // 2 <= low <= other_high * 2 + 1, (quantile, buckets, theirs)
    assert bucket_at(0.5, buckets)[0] > 20_000


def test_time_in_the_queue_and_in_the_device_are_together_what_the_kernel_counts(bpftrace, tmp_path, truth):
    """A scheduler, and twice as many requests as the device takes: one half waits.

    The device is slow: one that keeps up with who asks has no queue, however many may stand in it.
    """
    if not THROTTLE.exists():
        pytest.skip("no cgroup v1 with blkio here")
    release = release_of(bpftrace)
    load = "2,000 reads, 256 under way on a device that takes 128 and does 2,000 a second, mq-deadline"
    with slow_disk(tmp_path, 2000) as one:
        one.setting("scheduler", "mq-deadline")
        one.setting("nr_requests", "256")
        before = counters(one.name)
        command = fio(one.path, tmp_path / "fio", rw="randread", bs="4k", iodepth=256, number_ios=2000)
        run = measured(bpftrace, command, "--device", one.name, "--above", "50ms")
        done = counters(one.name).since(before)
    requests = run.total("requests", "count", operation="read")
    waited, took = (run.total(table, "total", operation="read") / 1e6 for table in ("waits", "requests"))
    truth("biolatency", "reads", load, release, requests, done.reads, STAT)
    truth(
        "biolatency", "ms in queue and device", load, release, round(waited + took), done.read_ms, STAT,
        because="the kernel's time begins a little earlier, where the request is made",
    )  # fmt: skip
    assert run.agrees(requests, done.reads)
    # Of a request whose end was missed the time in the queue was counted.
    assert run.total("waits", "count", operation="read") <= requests + run.missed + run.hidden
    assert waited > 0.5 * took, "the load did not queue"
    # A request whose time in the queue was missed may have been counted in the device.
    share = (run.missed + run.hidden + 1) / done.reads
    assert abs(waited + took - done.read_ms) <= (0.03 + share) * done.read_ms
    (queued,) = run.rows("queued", operation="read")
    assert abs(queued["count"] - run.total("waits", "count", operation="read")) <= run.missed + run.hidden
    (latency,) = run.rows("latency", operation="read")
    certain = sum(count for low, _, count in buckets_of(latency) if low >= 50_000)
    most = sum(count for _, high, count in buckets_of(latency) if high >= 50_000)
    assert certain - run.missed - run.hidden <= run.total("slow") <= most + run.missed + run.hidden


def test_a_cgroups_limit_is_no_time_of_the_device(bpftrace, tmp_path, truth):
    """The caveat: it holds back before there is a request."""
    group = THROTTLE.parent / "ebpf-recipe-test"
    limit = group / THROTTLE.name
    if not THROTTLE.exists():
        pytest.skip("no cgroup v1 with blkio here")
    with disk(tmp_path) as one:
        group.mkdir()
        try:
            number = (Path("/sys/block") / one.name / "dev").read_text().strip()
            limit.write_text(f"{number} 100")
            command = fio(one.path, tmp_path / "fio", rw="randread", bs="4k", iodepth=1, number_ios=100)
            run = measured(bpftrace, f"echo $$ > {group}/cgroup.procs; {command}", "--device", one.name)
        finally:
            time.sleep(0.2)
            group.rmdir()
        job = job_of(tmp_path / "fio")
    ours = sum(run.total(table, "total") for table in ("requests", "waits")) / 1e6
    truth(
        "biolatency", "ms in queue and device", "100 reads, 100 a second by a cgroup's limit", release_of(bpftrace),
        round(ours, 1), round(job.total_ns("read") / 1e6, 1), "fio (clat)",
        because="what a cgroup's limit holds back is no request yet: a caveat of the recipe",
    )  # fmt: skip
    assert job.total_ns("read") > 500e6
    assert ours < 250


def test_a_device_on_another_has_rows_of_its_own(bpftrace, tmp_path, truth):
    """A loop device on a loop device."""
    with disk(tmp_path) as below, disk(tmp_path, on=below.path) as above:
        before = {one.name: counters(one.name) for one in (below, above)}
        command = fio(above.path, tmp_path / "fio", rw="randwrite", bs="16k", iodepth=8, number_ios=500)
        run = measured(bpftrace, command, "--device", below.name, "--device", above.path)
        for one, where in ((above, "the upper"), (below, "the lower")):
            ours = run.total("requests", "count", device=one.name, operation="write")
            theirs = counters(one.name).since(before[one.name]).writes
            truth(
                "biolatency", f"writes of {where} device", "500 writes to a loop device on another",
                release_of(bpftrace), ours, theirs, STAT,
            )  # fmt: skip
            assert theirs == 500
            assert run.agrees(ours, theirs)


def test_a_partition_is_its_requests_alone(bpftrace, tmp_path, truth):
    with disk(tmp_path, partitions=((2048, 32768), (65536, 32768))) as one:
        before = counters(f"{one.name}p2")
        command = "; ".join(
            fio(
                f"{one.path}p{place}",
                tmp_path / f"fio{place}",
                rw="randread",
                bs="4k",
                number_ios=200 * place,
            )
            for place in (1, 2)
        )
        run = measured(bpftrace, command, "--device", f"{one.path}p2")
        theirs = counters(f"{one.name}p2").since(before).reads
    ours = run.total("requests", "count")
    truth(
        "biolatency", "reads of one partition", "reads of two", release_of(bpftrace), ours, theirs,
        "/sys/class/block/PARTITION/stat",
    )  # fmt: skip
    assert theirs == 400
    assert run.agrees(ours, theirs)
    assert {row["key"]["device"] for row in run.tables["requests"]} == {one.name}


def test_requests_at_one_place_are_counted_and_told(bpftrace, tmp_path, truth):
    with disk(tmp_path) as one:
        before = counters(one.name)
        command = fio(
            one.path, tmp_path / "fio", rw="randread", bs="4k", size="4k", io_size="4M", iodepth=16,
            numjobs=2, group_reporting=1, thread=1,
        )  # fmt: skip
        run = measured(bpftrace, command, "--device", one.name)
        theirs = counters(one.name).since(before).reads
        slowest = job_of(tmp_path / "fio").said["read"]["lat_ns"]["max"] / 1000
    ours, ambiguous = run.total("requests", "count"), run.total("ambiguous")
    truth(
        "biolatency", "reads and ambiguous ones", "reads of one block, 32 under way", release_of(bpftrace),
        ours + ambiguous, theirs, STAT,
        because="one that begins on a processor while another is done on the next may count as both",
    )  # fmt: skip
    assert theirs == 2048
    assert -0.02 * theirs <= theirs - ours - ambiguous <= run.missed + 0.02 * theirs
    assert ambiguous > 0
    (row,) = run.tables["latency"]
    assert buckets_of(row)[-1][0] <= slowest


def test_a_request_that_is_done_in_parts_and_fails_is_one(bpftrace, tmp_path, truth):
    """The file is shorter than the disk: 8 of 16 KiB can be read, the driver asks again, and fails."""
    with disk(tmp_path) as one:
        os.truncate(one.file, 32 * MIB + 8192)
        before = counters(one.name)
        read = f"dd if={one.path} of=/dev/null bs=16k count=1 iflag=direct"
        run = measured(
            bpftrace, f"sleep 0.3; ! {read} skip=2048; {read} skip=1; sleep 0.3", "--device", one.name
        )
        theirs = counters(one.name).since(before).reads
    ours = run.total("requests", "count", operation="read")
    truth(
        "biolatency", "reads, one of them done in parts", "reads at the end of a file that was cut",
        release_of(bpftrace), ours, theirs, STAT,
    )  # fmt: skip
    assert run.agrees(ours, theirs)
    assert theirs == 2
    assert run.agrees(run.total("failed"), 1)
    # The second part was given back and waited.
    assert run.total("waits", "count") >= 1 - run.missed


def test_a_device_that_comes_or_goes_during_the_run_has_its_name(bpftrace, tmp_path):
    devices = f"{sys.executable} -m tests.laboratory.disk"
    number = add_device()
    remove_device(number)
    later = tmp_path / "later"
    later.write_bytes(bytes(MIB))
    try:
        with disk(tmp_path) as one:
            first = fio(one.path, tmp_path / "fio", rw="randread", bs="4k", number_ios=100)
            gone = one.name.removeprefix("loop")
            second = fio(f"/dev/loop{number}", tmp_path / "fio2", rw="randread", bs="4k", number_ios=50)
            words = [first, f"{devices} remove {gone}", f"{devices} attach {number} {later}", second]
            run = measured(bpftrace, "; ".join(words))
            assert not Path(one.path).exists()
    finally:
        subprocess.run(["losetup", "--detach", f"/dev/loop{number}"], capture_output=True, check=False)
        remove_device(number)
    assert run.agrees(run.total("requests", "count", device=one.name, operation="read"), 100)
    assert (
        run.total("requests", "count", device=f"loop{number}", operation="read")
        >= 50 - run.missed - run.hidden
    )
