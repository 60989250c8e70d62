"""`programs` on the real kernel: whose programs are whose, what they cost, where they are attached."""

import ctypes
import itertools
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from runner.host import bpf
from tests.command import AS_NOBODY, EBPF_RECIPE, Started, ebpf_recipe
from tests.kernel.conftest import SPIN
from tests.laboratory.children import child
from tests.laboratory.functions import build_library

pytestmark = pytest.mark.kernel

WITH_USER = str(Path(__file__).parents[1] / "laboratory" / "with-user")
PASSWORD = "correct horse"  # noqa: S105
FOREIGN = 'BEGIN { printf("attached\\n"); } tracepoint:raw_syscalls:sys_enter { @foreign = count(); }'
CALLS = 20_000
_BPF_OBJ_PIN = 6
_BPF_PROG_TYPE_XDP = 6


@pytest.fixture(autouse=True)
def _chosen(bpftrace, monkeypatch):
    monkeypatch.setenv("EBPF_RECIPE_BPFTRACE", bpftrace)


@pytest.fixture
def pins(tmp_path):
    """A file system of pins of our own."""
    folder = tmp_path / "pins"
    folder.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def programs(*options):
    done = ebpf_recipe("programs", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ours(document):
    return [row for row in document["programs"] if row["ours"]]


def wait_for_ours(kind=None, limit_seconds=60):
    """Return the document as soon as a program of ours, of a type, is attached."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        document = programs()
        if any(row["attached"] and kind in (None, row["type"]) for row in ours(document)):
            return document
        time.sleep(0.2)
    raise AssertionError(document)


def test_a_foreign_bpftrace_beside_ours_is_not_called_ours(bpftrace, figure):
    # One that somebody else started, and one that is the command which our run measures.
    measured = [bpftrace, "-q", "-e", "interval:ms:100 { @measured = count(); } interval:s:6 { exit(); }"]
    with child([bpftrace, "-q", "-e", FOREIGN], stdout=subprocess.PIPE) as foreign:
        assert b"attached" in foreign.stdout.readline()
        run = Started("run", "syscount", "--", *measured)
        document = wait_for_ours()
        deadline = time.monotonic() + 30
        # bpftrace makes its maps before it loads its programs.
        while len({each["pid"] for row in document["programs"] for each in row["held_by"]}) < 3:
            assert time.monotonic() < deadline, document
            document = programs()
        pids = {row["id"]: {each["pid"] for each in row["held_by"]} for row in document["programs"]}
        of_foreign = [row for row in document["programs"] if foreign.pid in pids[row["id"]]]
        mine = ours(document)
        assert of_foreign
        assert not any(row["ours"] for row in of_foreign)
        assert {row["run"]["runner"] for row in mine} == {run.pid}
        tracers = {row["run"]["bpftrace"] for row in mine}
        assert len(tracers) == 1
        rest = [row for row in document["programs"] if row not in of_foreign and not row["ours"]]
        assert any(pids[row["id"]] - tracers for row in rest), document
        by_owner = {each["name"]: each["ours"] for each in document["maps"]}
        assert by_owner["AT_foreign"] is False
        assert by_owner["AT_measured"] is False
        assert any(each["ours"] for each in document["maps"])
        assert all(pids[row["id"]] & tracers for row in mine)
        places = {(each["kind"], each["target"]) for row in mine for each in row["attached"]}
        assert ("tracepoint", "sys_enter") in places
    done = run.wait()
    assert done.returncode == 0, done.stderr
    figure(
        f"programs beside a foreign and a measured bpftrace: {len(mine)} of {len(document['programs'])} "
        f"are ours, of run {run.pid}"
    )
    gone = {row["id"] for row in mine}
    assert not gone & {row["id"] for row in programs()["programs"]}


def test_run_time_is_what_the_capture_says(tmp_path, figure):
    library, loaded = build_library(tmp_path, 1)
    script = tmp_path / "calls.bt"
    script.write_text(f"uprobe:{library}:f0 {{ @calls = count(); }}\n")
    run = Started("run", str(script), "-d", "6s", "--overhead", "whole")
    wait_for_ours("kprobe")
    time.sleep(0.5)  # the kernel counts from the beginning of the window on
    for _ in range(CALLS):
        loaded.f0()
    seen = []
    while not run.has_ended():
        document = programs()
        if any(row["type"] == "kprobe" for row in ours(document)):
            seen.append(document)
    (row,) = [row for row in ours(seen[0]) if row["type"] == "kprobe"]
    assert row["runs"] == CALLS
    assert row["attached"][0]["target"].startswith(str(library))
    overhead = json.loads(run.wait().stdout)["overhead"]
    counted = {"runs": overhead["probe_runs"], "run_ns": round(overhead["bpf_seconds"] * 1e9)}
    for name, spare in (("runs", 20), ("run_ns", 20_000)):
        # The program's own clock and the ends of processes run on: what they added between two looks is how far
        # the last one may be from the end of the window. When bpftrace ends, programs go one after the other.
        values = [document["totals"]["ours"][name] for document in seen]
        last = max(values)
        step = max(after - before for before, after in itertools.pairwise(values))
        figure(f"programs: {last} {name}; the capture: {counted[name]}; between two looks {step}")
        assert abs(last - counted[name]) <= 2 * step + spare
        assert step < last / 10


def counting(row_id):
    row = next(row for row in programs()["programs"] if row["id"] == row_id)
    return row["runs"] or 0


def test_statistics_are_off_again_whatever_happens(bpftrace, figure):
    switch = Path("/proc/sys/kernel/bpf_stats_enabled").read_text()
    with (
        child([bpftrace, "-q", "-e", FOREIGN], stdout=subprocess.PIPE) as foreign,
        child(SPIN),
    ):
        assert b"attached" in foreign.stdout.readline()
        document = programs("--stats", "1s")
        row = next(r for r in document["programs"] if foreign.pid in {each["pid"] for each in r["held_by"]})
        seconds = document["statistics"]["measured_seconds"]
        figure(f"--stats 1s: {row['measured']} in {seconds} s")
        assert 1.0 <= seconds < 2.0
        assert row["measured"]["runs"] > 1000
        assert 0 < row["measured"]["cpu_ratio"] < 2
        assert row["measured"]["run_ns"] == pytest.approx(
            row["measured"]["cpu_ratio"] * seconds * 1e9, rel=0.01
        )
        assert document["totals"]["all"]["measured"]["runs"] >= row["measured"]["runs"]
        before = counting(row["id"])
        time.sleep(0.3)
        assert counting(row["id"]) == before
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            started = subprocess.Popen(
                [EBPF_RECIPE, "programs", "--stats", "30s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            deadline = time.monotonic() + 20
            while counting(row["id"]) == before:
                assert time.monotonic() < deadline
            started.send_signal(number)
            started.communicate(timeout=20)
            assert started.returncode != 0
            before = counting(row["id"])
            time.sleep(0.3)
            assert counting(row["id"]) == before, number
    assert Path("/proc/sys/kernel/bpf_stats_enabled").read_text() == switch


def test_a_pinned_map_is_shown_and_read(pins, figure):
    path = pins / "marks"
    create = f"bpftool map create {path} type hash key 4 value 8 entries 4 name marks"
    subprocess.run(create.split(), check=True)
    value = " ".join(["0xff"] * 8)
    subprocess.run(f"bpftool map update pinned {path} key 0 1 0 0 value {value}".split(), check=True)
    row = next(each for each in programs()["maps"] if each["name"] == "marks")
    assert row["pins"] == [str(path)]
    assert row["held_by"] == []
    assert not row["ours"]
    dump = programs("--map", "marks")
    assert [(each["key"], each["value"]) for each in dump["entries"]] == [(256, 2**64 - 1)]
    assert programs("--map", str(row["id"])) == dump
    figure(f"a pinned map: {row['memory_bytes']} bytes, read back {dump['entries'][0]['value']}")
    path.unlink()
    assert ebpf_recipe("programs", "--map", str(row["id"])).returncode == 3


def test_a_program_of_an_interface_of_another_namespace(pins, hosts):
    server, _ = hosts
    code = ctypes.create_string_buffer(bpf._NOTHING, len(bpf._NOTHING))
    gpl = ctypes.create_string_buffer(b"GPL")
    load = bpf._Load(
        type=_BPF_PROG_TYPE_XDP, instructions=2, code=ctypes.addressof(code), license=ctypes.addressof(gpl)
    )
    descriptor = bpf._call(bpf._BPF_PROG_LOAD, ctypes.create_string_buffer(bytes(load), 128))
    path = ctypes.create_string_buffer(bytes(pins / "drop"))
    attributes = ctypes.addressof(path).to_bytes(8, "little") + descriptor.to_bytes(4, "little")
    bpf._call(_BPF_OBJ_PIN, ctypes.create_string_buffer(attributes, 128))
    # The pin is of this mount namespace, which nsenter --net keeps.
    server.run("ip", "link", "set", "lab0", "xdpgeneric", "pinned", str(pins / "drop"))
    try:
        row = next(row for row in programs()["programs"] if str(pins / "drop") in row["pins"])
        (place,) = row["attached"]
        inode = Path(f"/proc/{server.holder}/ns/net").stat().st_ino
        assert (place["kind"], place["namespace"]) == ("xdp", inode)
        assert place["target"].startswith("lab0 generic in netns of process ")
        # And the command, which is a fork of ours here.
        assert os.getpid() in [each["pid"] for each in row["held_by"]]
        assert not row["ours"]
        shown = ebpf_recipe("programs", "--disassemble", str(row["id"]), "--any").stdout
        assert "exit" in shown
        assert ebpf_recipe("programs", "--disassemble", str(row["id"])).returncode == 3
    finally:
        server.run("ip", "link", "set", "lab0", "xdpgeneric", "off")
        (pins / "drop").unlink()
        os.close(descriptor)


def test_a_run_through_sudo_is_ours():
    command = [WITH_USER, "tracer", PASSWORD, "ALL=ALL", EBPF_RECIPE, "run", "tcp-retrans", "--sudo"]
    with subprocess.Popen(
        [*command, "--sudo-password-fd", "0", "-d", "4s"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as run:  # fmt: skip
        run.stdin.write(PASSWORD.encode() + b"\n")
        run.stdin.flush()
        document = wait_for_ours()
        assert {row["run"]["runner"] for row in ours(document)} == {run.pid}
        assert "tcp-retrans" in ours(document)[0]["run"]["command"]
        for row in ours(document):
            # Not sudo, which has the same standard input.
            assert row["run"]["bpftrace"] in [holder["pid"] for holder in row["held_by"]]
            assert all(holder["name"] != "sudo" for holder in row["held_by"])
        run.communicate(timeout=60)
        assert run.returncode == 0


def test_instructions_of_ours_are_shown_without_more():
    run = Started("run", "syscount", "-d", "3s")
    row = ours(wait_for_ours())[0]
    done = ebpf_recipe("programs", "--disassemble", str(row["id"]))
    assert done.returncode == 0, done.stderr
    assert "(95) exit" in done.stdout
    jited = ebpf_recipe("programs", "--disassemble", str(row["id"]), "--jited")
    assert jited.returncode == 0 or (jited.returncode == 4 and "no disassembler" in jited.stderr)
    run.wait()


def test_without_root_it_says_what_to_type():
    done = subprocess.run(
        [*AS_NOBODY, EBPF_RECIPE, "programs"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 4
    assert "sudo ebpf-recipe programs" in done.stderr
    assert done.stdout == ""
