"""A sample of the compatibility matrix, and what becomes of cells that hang, count nothing or are interrupted."""

import contextlib
import signal
import subprocess
import sys
import time

import pytest

from tests.laboratory.known_loads import KnownLoad
from tests.laboratory.machine import has_kprobes
from tests.laboratory.matrix import observe, records
from tests.laboratory.matrix.cell import Key
from tests.laboratory.matrix.command import ROOT, run_limited, session_of
from tests.laboratory.releases import paths, release_of

pytestmark = pytest.mark.kernel

SAMPLE = ("fork-rate", "function-calls", "tcp-retrans")
PLACE = "tests.laboratory.matrix.place"


def place(folder, bpftrace, *recipes):
    """Return the cells of a place with one bpftrace."""
    out = folder / "host.jsonl"
    words = ["--kernel-name", "host", "--bpftrace", bpftrace, "--out", str(out), *recipes]
    subprocess.run([sys.executable, "-m", PLACE, *words], check=True, cwd=ROOT, timeout=120)
    found = records.read(out)
    assert found.unfinished is None
    assert {key.recipe for key in found.cells} == set(recipes)
    return found.cells


def test_a_sample_works(bpftrace, tmp_path, figure):
    for key, cell in place(tmp_path, bpftrace, *SAMPLE).items():
        if key.variant == "kprobe" and not has_kprobes():
            assert (cell.outcome, cell.seen) == ("refused", None)
            assert "no kprobe:" in cell.reason
            continue
        figure(f"{key.recipe} {key.variant}: {cell.seen:,} of {cell.expected:,} in {cell.seconds:g} s")
        assert cell.outcome == "works", cell
        assert cell.seen > 0


def test_a_variant_that_the_runner_would_not_choose_works(tmp_path, figure):
    """On this kernel bitesize has two that can run."""
    for key, cell in place(tmp_path, paths()[0], "bitesize").items():
        figure(f"{key.recipe} {key.variant}: {cell.seen:,} of {cell.expected:,} in {cell.seconds:g} s")
        assert cell.outcome == "works", cell


def seen_with(monkeypatch, argv, limit):
    """Observe fork-rate around another command than the one that it should count."""

    @contextlib.contextmanager
    def other(*_):
        yield KnownLoad(("--comm", "known-load"), tuple(argv), "created", {"comm": "known-load"}, 60)

    monkeypatch.setattr(observe, "known_load", other)
    path = paths()[0]
    return observe.observe(Key("host", release_of(path), "fork-rate", "tracepoint"), path, limit)


def test_a_load_that_is_not_counted_does_not_work(monkeypatch):
    cell = seen_with(monkeypatch, ["true"], 60)
    assert (cell.outcome, cell.seen, cell.reason) == ("failed", 0, "it counted 0 of 60")


def test_a_load_that_fails_does_not_work(monkeypatch):
    cell = seen_with(monkeypatch, ["false"], 60)
    assert cell.outcome == "failed"
    assert cell.reason.startswith("exit 7: ")


def test_a_run_that_hangs_is_ended_with_its_bpftrace(monkeypatch):
    leaders = []

    def limited(argv, seconds):
        done = run_limited(argv, seconds)
        leaders.append(done)
        return done

    monkeypatch.setattr(observe, "run_limited", limited)
    begun = time.monotonic()
    cell = seen_with(monkeypatch, ["sh", "-c", "trap '' TERM INT; sleep 100; sleep 100"], 4)
    assert (cell.outcome, cell.reason) == ("failed", "it did not end within 4 s")
    assert time.monotonic() - begun < 40
    assert [done.left for done in leaders] == [()]


def summary(page):
    """Return the rows of the first table of the page, by recipe."""
    first = page.read_text().partition("## What was counted")[0]
    return {line.split("|")[1].strip(): line for line in first.splitlines() if line.startswith("|")}


def test_an_interruption_is_told_and_the_next_run_goes_on(tmp_path):
    recipes = ["fork-rate", "syscount"]
    words = ["--places", "host", "--files", str(tmp_path / "files"), "--docs", str(tmp_path), *recipes]
    argv = [sys.executable, "-m", "tests.laboratory.matrix", *words]
    out, page = tmp_path / "files/host.jsonl", tmp_path / "compatibility.md"
    process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)
    deadline = time.monotonic() + 60
    while (found := records.read(out)).unfinished is None or len(found.cells) < len(paths()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert session_of(process.pid) == ()
    first = records.read(out).cells
    rows = {
        line.split("|")[1].strip(): line
        for line in page.read_text().split("## What")[0].splitlines()
        if "|" in line
    }
    assert "works" in rows["`fork-rate`"]
    assert "not seen: interrupted" in rows["`syscount`"]
    assert subprocess.run(argv, cwd=ROOT, timeout=120, check=False).returncode == 0
    rows = {
        line.split("|")[1].strip(): line
        for line in page.read_text().split("## What")[0].splitlines()
        if "|" in line
    }
    for recipe in recipes:
        assert rows[f"`{recipe}`"].count("works") == len(paths())
    second = records.read(out).cells
    assert {key: second[key] for key in first} == first
