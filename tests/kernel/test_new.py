"""A recipe that `new` made of a one-liner runs on each bpftrace, and counts what a program did."""

import json
import subprocess
import sys

import pytest

from tests.command import ebpf_recipe

pytestmark = pytest.mark.kernel

SEEK_HOLE = 4
SEEKS = 1234
ONE_LINER = (
    "tracepoint:syscalls:sys_enter_lseek /args->whence == 4/ { @[comm, pid, args->whence] = count(); }"
)
SIZES = "tracepoint:syscalls:sys_exit_getrandom /args->ret > 0/ { @bytes[comm] = hist(args->ret); }"

SEEK = f"""
import os
with open('/etc/passwd') as file:
    for _ in range({SEEKS}):
        os.lseek(file.fileno(), 0, {SEEK_HOLE})
"""
DRAW = "import os\nfor size in [100] * 30 + [200] * 20: os.getrandom(size)"


def run(directory, name, bpftrace, program, *options):
    done = ebpf_recipe(
        "run", name, "--recipes", str(directory), "--bpftrace", str(bpftrace), "-f", "json", *options,
        "-o", str(directory / "capture.json"), "--", sys.executable, "-c", program,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((directory / "capture.json").read_text())


def test_calls_are_counted(bpftrace, tmp_path):
    made = ebpf_recipe("new", "holes", "--from", ONE_LINER, "--directory", str(tmp_path))
    assert made.returncode == 0, made.stderr
    capture = run(tmp_path, "holes", bpftrace, SEEK)
    calls, total = capture["tables"]
    counted = [row["value"] for row in calls["rows"] if row["key"]["comm"].startswith("python")]
    assert counted == [SEEKS]
    assert total["rows"][0]["value"] >= SEEKS
    assert capture["quality"]["grade"] == "usable"
    other = run(tmp_path, "holes", bpftrace, SEEK, "--comm", "nobody", "--thread", "nobody")
    assert other["tables"][0]["rows"] == []


def test_sizes_are_measured(bpftrace, tmp_path):
    made = ebpf_recipe("new", "random-sizes", "--from", SIZES, "--directory", str(tmp_path))
    assert made.returncode == 0, made.stderr
    capture = run(tmp_path, "random-sizes", bpftrace, DRAW, "--comm", "python*", "--thread", "python*")
    (row,) = capture["tables"][0]["rows"]
    counts = {(bucket["lower"], bucket["upper"]): bucket["count"] for bucket in row["buckets"]}
    at = {size: sum(n for (low, high), n in counts.items() if low <= size <= high) for size in (100, 200)}
    assert at == {100: 30, 200: 20}


def test_a_wildcard_that_matches_much_is_refused_with_its_number(bpftrace, tmp_path):
    ebpf_recipe("new", "mine", "--from", ONE_LINER, "--directory", str(tmp_path))
    template = tmp_path / "templates/app/mine.bt.j2"
    template.write_text(
        template.read_text().replace("\ntracepoint:syscalls:sys_enter_lseek", "\ntracepoint:syscalls:*")
    )
    listed = subprocess.run(
        [bpftrace, "-l", "tracepoint:syscalls:*"], capture_output=True, text=True, check=True
    )
    number = len(listed.stdout.split())
    done = ebpf_recipe("run", "mine", "--recipes", str(tmp_path), "--bpftrace", str(bpftrace), "--dry-run")
    assert done.returncode == 3
    assert f"mine: tracepoint:syscalls:* matches {number} probes here, 100 are the most" in done.stderr
    assert number > 100
