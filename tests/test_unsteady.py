"""Loads that no change can be tried under do what they say, run after run."""

import subprocess
import sys

import pytest

from tests.laboratory.unsteady import FIRST_TO_FAIL, READS, reads_of


def once(kind, state, work):
    argv = [sys.executable, "-m", "tests.laboratory.unsteady", kind, str(state)]
    code = subprocess.run(argv, env={"EBPF_RECIPE_WORK": str(work)}, check=False, timeout=60).returncode
    return code, work.read_text() if work.exists() else None


def test_it_grows_by_the_same_share_in_each_run(tmp_path):
    said = [once("grows", tmp_path / "state", tmp_path / "work") for _ in range(3)]
    assert said == [(0, "100 reads\n"), (0, "108 reads\n"), (0, "117 reads\n")]


@pytest.mark.parametrize("first", [1, 2])
def test_it_varies_on_both_sides_alike(first):
    """Whether there was a run before the first of the rounds or not."""
    sides = {"A": [], "B": []}
    for run, side in enumerate("ABBABAABABBA", first):
        sides[side].append(reads_of("varies", run))
    assert sorted(sides["A"]) == sorted(sides["B"]) == [60] * 3 + [140] * 3


def test_it_fails_after_it_has_worked(tmp_path):
    said = [
        once("fails", tmp_path / "state", tmp_path / f"work-{run}") for run in range(1, FIRST_TO_FAIL + 2)
    ]
    assert said[: FIRST_TO_FAIL - 1] == [(0, f"{READS} reads\n")] * (FIRST_TO_FAIL - 1)
    assert said[FIRST_TO_FAIL - 1 :] == [(1, None)] * 2


def test_it_ends_at_once_and_did_nothing(tmp_path):
    assert once("ends", tmp_path / "state", tmp_path / "work") == (0, None)


def test_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sideways"):
        reads_of("sideways", 1)
