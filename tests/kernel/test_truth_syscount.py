"""syscount against the load's own count and against strace, which counts the same calls by ptrace."""

import contextlib
import platform
import signal
import subprocess
import time

import pytest

from tests.kernel.recipes import run_recipe
from tests.laboratory.caller import built, built_for_32_bits, caller, strace_summary
from tests.laboratory.children import child
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

SIGRETURN = "its result is what the interrupted code had in that register, no error"
SECCOMP = "what a seccomp filter refuses never begins: a caveat of the recipe"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return built(tmp_path_factory.mktemp("caller"))


@contextlib.contextmanager
def strace(pid, folder):
    """Count a process's calls with strace; what it printed is in the list afterwards."""
    summary, found = folder / "summary", []
    with child(["strace", "-f", "-c", "-o", str(summary), "-p", str(pid)], stderr=subprocess.PIPE) as process:
        assert b"attached" in process.stderr.readline()
        # It interrupts what the process is in, which begins again.
        time.sleep(0.2)
        yield found
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        found.append(summary.read_text())


def by_call(run, table, **wanted):
    found = {}
    for row in run.rows(table, **wanted):
        name = row["key"]["syscall"]
        found[name] = found.get(name, 0) + row["value"]
    return found


def said(counts):
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def test_calls_and_errors_are_those_of_the_load(bpftrace, program, tmp_path, truth):
    with caller(program, tmp_path) as one:
        run = run_recipe("syscount", "--comm", "caller", bpftrace=bpftrace, command=one.asking("calls"))
        told = one.told()
    release = release_of(bpftrace)
    calls = by_call(run, "calls", pid=one.pid)
    ours = sum(calls.get(name, 0) for name in told["calls"])
    theirs = sum(told["calls"].values())
    truth(
        "syscount",
        "calls of seven kinds",
        "its calls, with signals and threads",
        release,
        ours,
        theirs,
        "the load",
    )
    for name, count in told["calls"].items():
        assert run.agrees(calls.get(name, 0), count), name
    errors = {}
    for row in run.rows("errors", pid=one.pid):
        errors[f"{row['key']['syscall']} {row['key']['error']}"] = row["value"]
    for name, count in told["errors"].items():
        truth(
            "syscount",
            f"errors, {name}",
            "its calls that fail",
            release,
            errors.get(name, 0),
            count,
            "the load",
        )
        assert run.agrees(errors.get(name, 0), count), name
    # Whether waiting for a thread fails (EAGAIN) is chance.
    assert {name for name in errors if not name.startswith("futex")} == told["errors"].keys()
    assert {row["key"]["comm"] for row in run.tables["calls"]} == {"caller"}
    assert run.total("calls_total") == run.total("calls")
    assert run.total("errors_total") == run.total("errors")
    # A child whose filter refuses a call.
    refused = run.total("errors", pid=told["child"], syscall="getsid", error="EACCES")
    assert run.agrees(refused, told["refused"])
    assert run.rows("calls", pid=told["child"], syscall="getsid") == []


def test_calls_and_errors_are_those_that_strace_counts(bpftrace, program, tmp_path, truth):
    with caller(program, tmp_path) as one, strace(one.pid, tmp_path) as summary:
        run = run_recipe("syscount", "--comm", "caller", bpftrace=bpftrace, command=one.asking("calls"))
    release, load = release_of(bpftrace), "the load, its threads and its child"
    theirs = strace_summary(summary[0])
    calls, errors = by_call(run, "calls"), by_call(run, "errors")
    refused, _ = theirs.pop("getsid")
    truth(
        "syscount",
        "calls that seccomp refuses",
        load,
        release,
        calls.get("getsid", 0),
        refused,
        "strace -c",
        because=SECCOMP,
    )
    assert run.agrees(errors.pop("getsid", 0), refused)
    assert "getsid" not in calls
    # Calls that do not return are none to strace.
    assert calls.keys() - {"exit", "exit_group"} == theirs.keys() or run.missed
    ours = sum(count for name, count in calls.items() if name in theirs)
    truth(
        "syscount",
        "calls of all kinds",
        load,
        release,
        ours,
        sum(count for count, _ in theirs.values()),
        "strace -c",
    )
    for name, (count, _) in theirs.items():
        assert run.agrees(calls.get(name, 0), count), name
    returned = theirs.pop("rt_sigreturn")[1]
    truth(
        "syscount",
        "errors of rt_sigreturn",
        load,
        release,
        errors.get("rt_sigreturn", 0),
        returned,
        "strace -c",
        because=SIGRETURN,
    )
    failed = sum(count for _, count in theirs.values())
    truth("syscount", "errors of all other kinds", load, release, sum(errors.values()), failed, "strace -c")
    for name, (_, count) in theirs.items():
        assert run.agrees(errors.pop(name, 0), count), name
    assert errors == {}


def test_filters_contain_theirs_and_nothing_else(bpftrace, program, tmp_path, truth):
    def run_with(*arguments):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with caller(program, folder) as one:
            words = [str(one.pid) if word == "PID" else word for word in arguments]
            run = run_recipe("syscount", *words, bpftrace=bpftrace, command=one.asking("calls"))
        return run, one.pid, one.told()

    run, pid, told = run_with("--pid", "PID", "--syscall", "lseek", "--syscall", "getuid")
    wanted = {name: told["calls"][name] for name in ("lseek", "getuid")}
    assert by_call(run, "calls") == wanted or run.missed
    assert by_call(run, "errors") == {"lseek": told["calls"]["lseek"]} or run.missed
    assert {row["key"]["pid"] for row in run.tables["calls"] + run.tables["errors"]} == {pid}
    run, pid, told = run_with("--thread", "helper")
    ours = by_call(run, "calls")
    truth(
        "syscount", "calls of one thread (--thread)", "300 of one kind", release_of(bpftrace),
        ours["getuid"], told["calls"]["getuid"], "the load",
    )  # fmt: skip
    assert run.agrees(ours["getuid"], told["calls"]["getuid"])
    assert "getppid" not in ours
    assert {row["key"]["comm"] for row in run.tables["calls"]} == {"caller"}
    run, _, _ = run_with("--comm", "somebody-else")
    assert run.tables["calls"] == run.tables["errors"] == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the 32-bit program is one of x86")
def test_calls_of_32_bit_programs_have_their_names(bpftrace, tmp_path, truth):
    program, summary = built_for_32_bits(tmp_path), tmp_path / "summary"
    try:
        subprocess.run([program], check=True)
    except OSError:
        pytest.skip("this kernel runs no 32-bit programs")
    words = f"strace -c -o {summary} {program}; sleep 0.2"
    run = run_recipe("syscount", "--comm", "caller32", bpftrace=bpftrace, command=["sh", "-c", words])
    theirs = strace_summary(summary.read_text())
    # strace counts where calls return, and begins with the execve of a program that still has another name.
    assert theirs.pop("execve") == (1, 0)
    calls, errors = by_call(run, "calls"), by_call(run, "errors")
    assert calls.pop("exit") == 1
    truth(
        "syscount", "calls by name", "a 32-bit program", release_of(bpftrace),
        said(calls), said({name: count for name, (count, _) in theirs.items()}), "strace -c",
    )  # fmt: skip
    for name, (count, failed) in theirs.items():
        assert run.agrees(calls[name], count)
        assert run.agrees(errors.get(name, 0), failed)
    assert calls.keys() == theirs.keys()
    assert calls.keys() == {"getpid", "getppid", "lseek", "openat", "nanosleep"}
    words = f"{program}; sleep 0.2"
    run = run_recipe(
        "syscount",
        "--comm",
        "caller32",
        "--syscall",
        "openat",
        bpftrace=bpftrace,
        command=["sh", "-c", words],
    )
    assert by_call(run, "calls") == {"openat": theirs["openat"][0]} or run.missed
    assert {(row["key"]["syscall"], row["key"]["error"]) for row in run.tables["errors"]} == {
        ("openat", "ENOENT")
    }
