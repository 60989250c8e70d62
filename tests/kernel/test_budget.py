"""A run with a budget is ended for what it costs, and what it measured until then stands."""

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.command import EBPF_RECIPE
from tests.laboratory.children import child
from tests.laboratory.pace import built, per_second, tenths

pytestmark = pytest.mark.kernel

WITH_USER = str(Path(__file__).parents[1] / "laboratory" / "with-user")


@pytest.fixture(scope="module")
def pace(tmp_path_factory):
    return built(tmp_path_factory.mktemp("pace"))


def start(recipe, *arguments, bpftrace):
    argv = [EBPF_RECIPE, "run", recipe, "--bpftrace", bpftrace, "-f", "json", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)


def moments(capture):
    """Return when the window began and ended, by CLOCK_MONOTONIC, in nanoseconds; all of it was just now."""
    now, clock = datetime.now(UTC), time.monotonic_ns()
    window = capture["window"]
    return [
        clock - round((now - datetime.fromisoformat(window[name])).total_seconds() * 1e9)
        for name in ("attached_at", "ended_at")
    ]


def over_budget(capture):
    (detail,) = [each["detail"] for each in capture["quality"]["problems"] if each["code"] == "over-budget"]
    return detail


def test_a_recipe_that_is_too_dear_is_refused_in_its_first_moment(bpftrace, pace, capsys):
    with child([pace, "syscall", "60"], stdout=subprocess.PIPE) as load:
        time.sleep(1)
        began_ns = time.monotonic_ns()
        done = start("syscount", "--budget", "1%", "-d", "30s", bpftrace=bpftrace)
        time.sleep(2.5)
        load.terminate()
        said = tenths(load.communicate()[0].decode())
    assert done.returncode == 4, done.stderr
    capture = json.loads(done.stdout)
    use, window = capture["overhead"]["budget"], capture["window"]
    assert (window["ended_by"], use["outcome"]) == ("budget", "refused")
    assert window["duration_seconds"] < 5
    assert use["first_moment_ratio"] > use["ratio"] == 0.01
    assert capture["quality"]["grade"] == "usable"
    assert over_budget(capture) in done.stderr
    # No budget is enough for what takes nearly all of the processors, by the estimate of what is around programs.
    assert "--budget" in done.stderr or use["deciding_ratio"] > 0.9
    # What it measured stands.
    rows = capture["tables"][0]["rows"]
    assert sum(row["value"] for row in rows if row["key"]["comm"] == "pace") > 10_000
    attached, ended = moments(capture)
    before = per_second(one for one in said if one.ended_ns < began_ns)
    during = per_second(one for one in said if attached + 150_000_000 < one.ended_ns < attached + 450_000_000)
    after = per_second(one for one in said if one.ended_ns > ended + 1_500_000_000)
    slow = sum(
        one.ns for one in said if one.ended_ns > attached and one.turns / one.ns * 1e9 < (before + during) / 2
    )
    assert before > 500_000
    assert during < before
    with capsys.disabled():
        print(
            f"\nsyscount --budget 1% {capture['host']['bpftrace']}: {before:,.0f} calls/s before, {during:,.0f} "
            f"during, {after:,.0f} after; refused after {window['duration_seconds']:.2f} s, the load was slow for "
            f"{slow / 1e9:.1f} s; {over_budget(capture)}"
        )


def test_a_cheap_recipe_runs_to_its_end(bpftrace, capsys):
    done = start("tcpconnlat", "--budget", "2%", "-d", "4s", bpftrace=bpftrace)
    assert done.returncode == 0, done.stderr
    capture = json.loads(done.stdout)
    use = capture["overhead"]["budget"]
    assert (capture["window"]["ended_by"], use["outcome"]) == ("duration", "kept")
    assert capture["window"]["duration_seconds"] >= 4
    parts = [use[f"{part}_ratio"] for part in ("inside", "around", "tracer", "runner")]
    assert 0 < use["measured_ratio"] < 0.02
    assert use["measured_ratio"] == pytest.approx(sum(parts), abs=1e-8)
    assert capture["overhead"]["measured_seconds"] >= 0.5
    with capsys.disabled():
        print(f"\ntcpconnlat --budget 2% {capture['host']['bpftrace']}: {use['measured_ratio']:.3%} taken")


def test_a_load_that_comes_later_stops_it_later(bpftrace, pace):
    command = ["sh", "-c", f"sleep 3; exec {pace} syscall 60 > /dev/null"]
    argv = [EBPF_RECIPE, "run", "syscount", "--bpftrace", bpftrace, "--budget", "5%", "-d", "40s"]
    with child([*argv, "-f", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        # bpftrace takes a second or two until it is attached; the load may be there a little sooner or later.
        time.sleep(3)
        with child(command):
            output, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    capture = json.loads(output)
    use, window = capture["overhead"]["budget"], capture["window"]
    assert (window["ended_by"], use["outcome"]) == ("budget", "stopped")
    assert use["first_moment_ratio"] < 0.05 < use["deciding_ratio"]
    assert 1 < window["duration_seconds"] < 20
    assert over_budget(capture).encode() in said
    assert capture["quality"]["grade"] == "usable"


def test_a_command_goes_on_to_its_end(bpftrace, pace, tmp_path):
    script = f"{pace} syscall 4 > {tmp_path}/said; exit 5"
    done = start("syscount", "--budget", "1%", "--", "sh", "-c", script, bpftrace=bpftrace)
    # It went on, and its own failure is what counts.
    assert done.returncode == 7, done.stderr
    capture = json.loads(done.stdout)
    window = capture["window"]
    assert window["ended_by"] == "budget"
    assert window["workload"]["exit_code"] == 5
    assert window["duration_seconds"] < 3
    assert over_budget(capture) in done.stderr
    said = tenths((tmp_path / "said").read_text())
    assert sum(one.ns for one in said) > 3.5e9
    # When it was left alone it was as fast as it can be again.
    assert per_second(said[-10:]) > 1.3 * per_second(said[1:4])


def test_windows_that_were_printed_stay(bpftrace, pace):
    argv = ["syscount", "--budget", "5%", "--interval", "500ms"]
    with child(["sh", "-c", f"sleep 5; exec {pace} syscall 60 > /dev/null"]):
        done = start(*argv, bpftrace=bpftrace)
    assert done.returncode == 0, done.stderr
    windows = json.loads(done.stdout)
    assert len(windows) >= 2
    assert [each["window"]["index"] for each in windows] == list(range(len(windows)))
    assert "over-budget" in {each["code"] for each in windows[-1]["quality"]["problems"]}


def test_a_script_has_a_budget_too(bpftrace, pace, tmp_path):
    script = tmp_path / "x.bt"
    script.write_text("tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }")
    with child([pace, "syscall", "60"], stdout=subprocess.DEVNULL):
        time.sleep(0.5)
        done = start(str(script), "--budget", "1%", "-d", "30s", bpftrace=bpftrace)
    assert done.returncode == 4, done.stderr
    capture = json.loads(done.stdout)
    assert capture["window"]["ended_by"] == "budget"
    assert "pace" in str(capture["tables"])
    assert "fewer probes in the script" in done.stderr


def test_a_user_who_has_sudo_has_no_budget(bpftrace):
    argv = [WITH_USER, "tracer", "secret", "ALL=ALL", EBPF_RECIPE]
    done = subprocess.run(
        [*argv, "run", "tcp-retrans", "--sudo", "--budget", "1%", "--bpftrace", bpftrace],
        capture_output=True, text=True, timeout=60, check=False, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "--budget needs run times" in done.stderr
    assert "as root" in done.stderr
