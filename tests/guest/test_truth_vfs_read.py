"""vfs-read-latency against the kernel's own count of reads and bytes, and against the load's own clock."""

import contextlib
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from runner.capture.buckets import LogBuckets
from runner.host.cgroups import hierarchies
from tests.command import ebpf_recipe
from tests.guest.variants import run_without
from tests.kernel.recipes import run_recipe
from tests.laboratory import reader
from tests.laboratory.cgroups import cgroup_tree, enter
from tests.laboratory.load import load
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.guest

MODULE = "tests.laboratory.reader"
BUCKETS = LogBuckets()
WHERE = "guest, Linux 6.1"


def counted(pid):
    """The reads of a process and their bytes, as vfs_read() itself counts them."""
    text = Path(f"/proc/{pid}/io").read_text()
    return [int(re.search(rf"{name}: (\d+)", text)[1]) for name in ("syscr", "rchar")]


def asking(*loads):
    return [sys.executable, "-m", MODULE, "ask", *(str(one.path) for one in loads)]


def quantile(sorted_indexes, share):
    return sorted_indexes[math.ceil(share * len(sorted_indexes)) - 1]


def indexes(rows):
    return sorted(
        index
        for row in rows
        for bucket in row["buckets"]
        for index in [BUCKETS.index(bucket["lower"])] * bucket["count"]
    )


def test_reads_are_those_that_the_kernel_and_the_load_count(bpftrace, tmp_path, truth, figure):
    release = release_of(bpftrace)
    with contextlib.ExitStack() as stack:
        loads = {name: stack.enter_context(load(name, tmp_path, module=MODULE)) for name in reader.KINDS}
        before = {name: counted(one.pid) for name, one in loads.items()}
        out = tmp_path / "answers"
        ask = " ".join(map(repr, asking(*loads.values())))
        run = run_recipe(
            "vfs-read-latency",
            "--comm",
            "reader-*",
            bpftrace=bpftrace,
            command=["sh", "-c", f"{ask} > {out}"],
        )
        kernel = {
            name: [after - earlier for earlier, after in zip(before[name], counted(one.pid), strict=True)]
            for name, one in loads.items()
        }
    assert run.capture["recipe"]["variant"] == "fentry"
    answers = dict(zip(loads, json.loads(out.read_text()), strict=True))
    assert {row["key"]["comm"] for row in run.tables["reads"]} == set(loads) - {"reader-failing", "bystander"}
    assert run.total("unfollowed") == run.total("unreturned") == 0
    loads_text = {
        "reader-small": f"{reader.SMALL_READS} reads of {reader.SMALL_BYTES} bytes and {reader.ENDS} at the end",
        "reader-large": f"{reader.LARGE_READS} reads of 1 MiB from the page cache",
        "reader-pipe": f"{reader.PIPE_READS} reads of a pipe that is written 2 to 20 ms later",
        "reader-failing": f"{reader.FAILURES} reads of an empty pipe that does not block",
        "reader-blocked": f"{reader.BLOCKED} threads that wait for a pipe at the same time, {reader.ROUNDS} times",
    }
    for name, text in loads_text.items():
        pid, taken, load_text = loads[name].pid, answers[name], f"{text}; {WHERE}"
        reads, bytes_ = kernel[name]
        failed = run.total("failed", pid=pid, comm=name, error=11)
        ours = run.total("reads", "count", pid=pid)
        what = "reads that failed (EAGAIN)" if name == "reader-failing" else "reads"
        truth(
            "vfs-read-latency", what, load_text, release, ours + failed, reads, "/proc/PID/io, syscr",
        )  # fmt: skip
        truth(
            "vfs-read-latency", "bytes read", load_text, release, run.total("bytes", "total", pid=pid), bytes_,
            "/proc/PID/io, rchar",
        )  # fmt: skip
        # glibc once reads how many processors there are, in the first of many threads.
        assert 0 <= reads - len(taken) <= (name == "reader-blocked")
        assert run.agrees(ours + failed, reads)
        assert (failed > 0) == (name == "reader-failing")
        if not run.missed:
            assert run.total("bytes", "total", pid=pid) == bytes_
        if name == "reader-failing":
            continue
        mine, theirs = indexes(run.rows("latency", pid=pid)), sorted(map(BUCKETS.index, taken))
        assert run.agrees(len(mine), ours)
        total = run.total("reads", "total", pid=pid)
        figure(
            f"{release}: {name}: {total / 1e6:.1f} ms in {ours} reads, {sum(taken) / 1e6:.1f} ms by the load's own clock, "
            f"which has {(sum(taken) - total) / len(taken) / 1e3:.1f} us more for each"
        )
        assert total <= sum(taken)
        if name in ("reader-small", "reader-blocked"):
            continue  # what the load itself does between its clock and the read is most of its time
        because = "the load's time has its system call and the probe's programs in it"
        for share in (0.5, 0.9, 0.99):
            pair = quantile(mine, share), quantile(theirs, share)
            shown = ["{} to {} ns".format(*BUCKETS.bounds(index, is_unsigned=False)) for index in pair]
            truth(
                "vfs-read-latency", f"p{share * 100:.0f}", load_text, release, *shown, "the load's own clock",
                because=because,
            )  # fmt: skip
            # The read lies in the load's time. Of the slowest, what the load did beside the read may be more of it.
            assert pair[0] <= pair[1], (name, share, pair)
            if share < 0.99 or name == "reader-pipe":
                assert abs(pair[0] - pair[1]) <= 1, (name, share, pair)
        truth(
            "vfs-read-latency", "whole time, ms", load_text, release, round(total / 1e6, 3),
            round(sum(taken) / 1e6, 3), "the load's own clock", because=because,
        )  # fmt: skip
        slow = run.total("slow", pid=pid)
        certain = sum(
            count for index, count in _counts(mine) if BUCKETS.bounds(index, is_unsigned=False)[0] >= 10**7
        )
        most = sum(
            count for index, count in _counts(mine) if BUCKETS.bounds(index, is_unsigned=False)[1] >= 10**7
        )
        assert certain <= slow <= most


def test_filters_contain_theirs_and_nothing_else(tmp_path):
    """A thread by its own name, of one process of two that have the same name."""
    with contextlib.ExitStack() as stack:
        folders = [tmp_path / str(number) for number in range(2)]
        for folder in folders:
            folder.mkdir()
        loads = [stack.enter_context(load("reader-blocked", folder, module=MODULE)) for folder in folders]
        command = ["sh", "-c", " && ".join(shlex.join(asking(one)) for one in loads)]
        run = run_recipe(
            "vfs-read-latency", "--pid", str(loads[0].pid), "--thread", "odd-*", "--above", "100ms",
            bpftrace="bpftrace", command=command,
        )  # fmt: skip
    (row,) = run.tables["reads"]
    assert row["key"] == {"pid": loads[0].pid, "comm": "reader-blocked"}
    # By its time, for glibc once reads how many processors there are, in the first of many threads.
    assert run.total("slow", pid=loads[0].pid) == run.total("slow") == reader.BLOCKED // 2 * reader.ROUNDS
    assert 0 <= row["count"] - run.total("slow") <= 1


def test_kretprobes_count_the_reads_and_those_that_they_miss(tmp_path, truth, figure):
    """The kernel follows but a few calls at a time: what it does not follow is counted."""
    release = release_of("bpftrace")
    with contextlib.ExitStack() as stack:
        names = ("reader-small", "reader-failing", "reader-blocked")
        loads = [stack.enter_context(load(name, tmp_path, module=MODULE)) for name in names]
        run = run_without(
            ("fentry",), "vfs-read-latency", "--comm", "reader-*", bpftrace="bpftrace", command=asking(*loads),
            folder=tmp_path,
        )  # fmt: skip
    assert run.capture["recipe"]["variant"] == "kprobe"
    small, blocked = (run.total("reads", "count", comm=name) for name in ("reader-small", "reader-blocked"))
    expected = reader.SMALL_READS + reader.ENDS
    truth(
        "vfs-read-latency", "reads",
        f"{reader.SMALL_READS} reads of {reader.SMALL_BYTES} bytes and {reader.ENDS} at the end; variant kprobe; {WHERE}",
        release, small, expected, "the load",
    )  # fmt: skip
    assert small == expected
    assert run.total("failed", comm="reader-failing", error=11) == reader.FAILURES
    unreturned = run.total("unreturned")
    figure(
        f"of {reader.BLOCKED} threads that read {reader.ROUNDS} times, {blocked} reads; {unreturned} unreturned"
    )
    assert 0 < blocked < reader.BLOCKED * reader.ROUNDS
    assert unreturned > 0
    # Of the first read each is counted, or is told when its thread reads again.
    assert reader.BLOCKED <= blocked + unreturned <= reader.BLOCKED * reader.ROUNDS + 1
    assert "returns-missed" in run.problems
    assert run.capture["quality"]["grade"] == "degraded"


def _counts(sorted_indexes):
    return [(index, sorted_indexes.count(index)) for index in dict.fromkeys(sorted_indexes)]


def test_it_has_windows(tmp_path):
    with load("reader-small", tmp_path, module=MODULE) as one:
        done = ebpf_recipe(
            "run", "vfs-read-latency", "--pid", str(one.pid), "--interval", "2s", "-f", "jsonl", "--", *asking(one)
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *windows, whole = (json.loads(line) for line in done.stdout.splitlines())
    assert "index" not in whole["window"]
    assert [window["window"]["index"] for window in windows] == list(range(len(windows)))
    counted = [sum(row["count"] for row in each["tables"][0]["rows"]) for each in (*windows, whole)]
    # What came after the last of them is in the whole run alone.
    assert sum(counted[:-1]) <= counted[-1]
    assert counted[-1] >= reader.SMALL_READS


def test_reads_belong_to_the_cgroup_of_their_task(bpftrace, tmp_path):
    """Linux 6.1, the first that has a cgroup's ancestors as programs read them."""
    if not hierarchies():
        subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
    with cgroup_tree(2) as top, contextlib.ExitStack() as stack:
        loads = []
        for place in ("mine", "minelike"):
            group = top / place / "inner"
            group.mkdir(parents=True)
            folder = tmp_path / place
            folder.mkdir()
            loads.append(stack.enter_context(load("reader-small", folder, module=MODULE)))
            enter(group, loads[-1].pid)
        before = counted(loads[0].pid)
        run = run_recipe(
            "vfs-read-latency", "--cgroup", str(top / "mine"), "--comm", "reader-small", "--by", "cgroup",
            bpftrace=bpftrace, command=asking(*loads),
        )  # fmt: skip
        reads, _ = (after - earlier for earlier, after in zip(before, counted(loads[0].pid), strict=True))
        path = f"/{top.name}/mine/inner"
    rows = run.tables["reads"]
    assert {(row["key"]["cgroup"], row["key"]["pid"]) for row in rows} == {(path, loads[0].pid)}
    assert {row["key"]["cgroup"] for row in run.tables["latency"]} == {path}
    assert run.agrees(run.total("reads", "count"), reads)
