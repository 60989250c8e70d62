"""Events on the real kernel: they come while the run goes on, and those that do not arrive are counted."""

import json
import selectors
import subprocess
import time

import pytest
from jsonschema import validate

from runner.capture.schema import capture_schema
from tests.command import EBPF_RECIPE
from tests.kernel.recipes import run_recipe
from tests.laboratory.children import child
from tests.laboratory.load import ask, asking, load

pytestmark = pytest.mark.kernel


@pytest.fixture
def opener(tmp_path):
    """A load that opens files when it is told to."""
    (tmp_path / "here").touch()
    with load("opener", tmp_path) as one:
        yield one


def command(one, bpftrace, *more):
    return [EBPF_RECIPE, "run", "file-opens", "--pid", str(one.pid), "--bpftrace", bpftrace, *more]


def open_now(one, tmp_path, times):
    (done,) = ask(f"opens {times} {tmp_path}", str(one.path))
    return done["succeeded"] + done["failed"]


def test_lines_come_as_files_are_opened(bpftrace, opener, tmp_path):
    with child(command(opener, bpftrace, "-f", "jsonl", "-d", "30s"), stdout=subprocess.PIPE) as process:
        deadline, first = time.monotonic() + 20, None
        # Probes attach meanwhile: what is opened before that is not seen.
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while first is None and time.monotonic() < deadline:
                open_now(opener, tmp_path, 1)
                if selector.select(0.3):
                    first = json.loads(process.stdout.readline())
        assert first is not None
        assert first["schema"] == "ebpf-recipe/event/v1"
        assert first["fields"]["filename"].startswith(str(tmp_path))
        # The run goes on: it was not the end that printed it.
        assert process.poll() is None
        process.terminate()
        *events, capture = (json.loads(line) for line in process.stdout)
        assert process.wait(30) == 0
    validate(capture, capture_schema())
    assert capture["events"] == []
    (counted,) = (t["rows"][0]["value"] for t in capture["tables"] if t["name"] == "opens_total")
    assert counted == 1 + len(events)
    times = [event["time_seconds"] for event in [first, *events]]
    assert times == sorted(times)
    assert capture["quality"]["grade"] == "usable"


def test_rows_of_a_table_come_before_its_end(bpftrace, opener, tmp_path):
    argv = command(opener, bpftrace, "-f", "table", "--", *asking(f"opens 3 {tmp_path}", opener))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    head, *rest = done.stdout.splitlines()
    assert head.split() == ["time", "pid", "comm", "fd", "error", "filename"]
    rows, blank = rest[:21], rest[21]
    assert all(f"{opener.pid} opener" in row and str(tmp_path) in row for row in rows)
    assert sum("ENOENT" in row for row in rows) == 9
    assert blank == ""
    assert "opens: 21 calls" in done.stdout


def test_windows_have_the_events_that_came_in_them(bpftrace, opener, tmp_path):
    argv = command(opener, bpftrace, "--interval", "500ms", "--count", "4", "-f", "json")
    printed = tmp_path / "printed"
    with printed.open("w") as out, child(argv, stdout=out) as process:
        made, deadline = 0, time.monotonic() + 40
        while process.poll() is None and time.monotonic() < deadline:
            made += open_now(opener, tmp_path, 5)
            time.sleep(0.1)
    windows = json.loads(printed.read_text())
    assert len(windows) == 4
    counted = reported = 0
    for window in windows:
        validate(window, capture_schema())
        (total,) = (t["rows"][0]["value"] for t in window["tables"] if t["name"] == "opens_total")
        counted += total
        reported += len(window["events"])
        assert window["quality"]["grade"] == "usable"
    assert 0 < counted <= made
    # One that is counted while the last map is read may be printed after it.
    assert abs(counted - reported) <= 35


def test_events_that_find_no_room_are_counted(bpftrace, opener, tmp_path, figure):
    run = run_recipe(
        "file-opens", "--pid", str(opener.pid), "--buffer-pages", "1", bpftrace=bpftrace,
        command=asking(f"opens 5000 {tmp_path}", opener),
        allowed=("missed-events", "first-counts-lost", "events-missing", "lost-events", "events-damaged"),
    )  # fmt: skip
    (done,) = run.answers()
    made = done["succeeded"] + done["failed"]
    missing = {p["code"]: p["count"] for p in run.capture["quality"]["problems"]}.get("events-missing", 0)
    figure(f"{made} opens, {len(run.capture['events'])} events arrived, {missing} told as missing")
    assert run.total("opens") == made
    assert len(run.capture["events"]) + missing == made
    # One page is less than any burst.
    assert missing > 0
    assert run.capture["quality"]["grade"] == "degraded"


def test_a_recorded_run_is_decoded_again_with_its_events(bpftrace, opener, tmp_path):
    kept = tmp_path / "recorded.json"
    argv = command(
        opener, bpftrace, "-f", "jsonl", "--record", str(kept), "--", *asking(f"opens 2 {tmp_path}", opener)
    )
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()[:-1]]
    argv = command(opener, bpftrace, "--replay", str(kept), "-f", "json")
    again = json.loads(subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert [event["fields"] for event in again["events"]] == [event["fields"] for event in events]
    assert len(events) == 14
