"""`make truth-compare`: its simulated runs are what it says, and what it wrote keeps the promise."""

import random
import re
from pathlib import Path
from statistics import correlation, fmean, stdev

import pytest

from tests.laboratory.comparisons import COMPARISONS, CONDITIONS, LARGEST_SHARE, measure, measure_one_run
from tests.laboratory.simulated_runs import EVENTS, JITTER_OCTAVES, Condition, levels, simulate

PAGE = (Path(__file__).parents[1] / "docs" / "compare.md").read_text()


@pytest.mark.parametrize("wanted", [0.0, 0.5, 0.7])
def test_windows_resemble_their_neighbours_as_much_as_asked(wanted):
    windows = levels(random.Random(1), wanted, 4000)  # noqa: S311
    assert correlation(windows, windows[1:] + windows[:1]) == pytest.approx(wanted, abs=0.05)
    assert stdev(windows) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("shape", ["normal", "skewed", "bimodal"])
def test_runs_differ_by_their_offsets(shape):
    chance = random.Random(2)  # noqa: S311
    runs = [simulate(chance, Condition("", offset=4, runs=shape)) for _ in range(150)]
    assert stdev(run.octaves for run in runs) == pytest.approx(4 * JITTER_OCTAVES, rel=0.25)
    assert fmean(run.octaves for run in runs) == pytest.approx(11, abs=0.1)
    assert fmean(run.load for run in runs) == pytest.approx(EVENTS, rel=0.1)


def test_a_change_moves_each_number_of_a_run():
    chance = random.Random(3)  # noqa: S311
    sides = [[simulate(chance, Condition(""), factor) for _ in range(20)] for factor in (1.0, 2.0)]
    share, octaves, rate, load = (
        [fmean(getattr(run, name) for run in side) for side in sides]
        for name in ("share", "octaves", "rate", "load")
    )
    assert share == pytest.approx([0.0228, 0.1587], rel=0.1)
    assert octaves[1] - octaves[0] == pytest.approx(1, abs=0.02)
    assert rate[1] / rate[0] == pytest.approx(2, rel=0.05)
    assert load[1] / load[0] == pytest.approx(1, rel=0.05)


def test_comparisons_say_the_same_each_time():
    condition = Condition("made up", 0.5, offset=1, session=0.2)
    one, other = (measure(condition, "25%", 3) for _ in range(2))
    assert one == other
    assert one.comparisons == sum(one.said["rate", 12].values()) == 3


def test_of_runs_whose_load_drifts_too_there_is_no_verdict():
    steady, grown = (
        measure(Condition("made up", 0.5, session=0.2, session_load=load), "25%", 20) for load in (0.0, 0.6)
    )
    for runs in (6, 8, 12):
        assert steady.share("octaves", runs, "worse") >= 0.9
        assert grown.share("octaves", runs, "worse") == 0


def test_windows_of_one_run_are_never_a_verdict(monkeypatch):
    monkeypatch.setattr("tests.laboratory.comparisons.OF_ONE_RUN", 40)
    found = measure_one_run(0.7, 1.0)
    assert found.decided == 0
    assert found.as_independent > 0.4


def test_what_was_written_keeps_the_promise_in_every_row():
    assert f"are {COMPARISONS:,} comparisons" in PAGE
    of_runs = PAGE.partition("## Windows of one run")[0]
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \| ([\d.]+)% \|", of_runs, re.MULTILINE)
    assert len(rows) == 3 * 3 * len(CONDITIONS)
    assert {name for name, _, _ in rows} == {condition.name for condition in CONDITIONS}
    assert max(float(share) for _, _, share in rows) <= 100 * LARGEST_SHARE
