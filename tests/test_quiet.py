"""Whether other programs leave room for samples: measured beside the start, and refused before anything counts."""

import threading
import time

import pytest

from runner.errors import HostRefused
from runner.quiet import QuietCheck
from runner.recipe.catalogue import find_recipe


def measured(monkeypatch, *shares, seconds=0.0):
    left = list(shares)

    def ratio():
        time.sleep(seconds)
        return left.pop(0)

    monkeypatch.setattr("runner.quiet.others_cpu_ratio", ratio)
    return left


def test_a_recipe_that_takes_no_samples_measures_nothing(monkeypatch):
    left = measured(monkeypatch, 1e9)
    check = QuietCheck(find_recipe("runqlat").recipe)
    check.begin()
    check.finish()
    assert left


def test_it_measures_while_something_else_goes_on(monkeypatch):
    measured(monkeypatch, 0.0, seconds=0.3)
    check = QuietCheck(find_recipe("cpu-profile").recipe)
    begun = time.monotonic()
    check.begin()
    assert time.monotonic() - begun < 0.2
    assert "quiet" in [thread.name for thread in threading.enumerate()]
    check.finish()
    assert time.monotonic() - begun >= 0.3


def test_each_run_is_checked_anew(monkeypatch):
    left = measured(monkeypatch, 0.0, 1e9, 0.0)
    check = QuietCheck(find_recipe("cpu-profile").recipe)
    check.begin()
    check.begin()
    check.finish()
    with pytest.raises(HostRefused, match="would be dropped"):
        check.finish()
    check.finish()
    assert not left


def test_who_may_not_measure_is_not_refused(monkeypatch):
    def refuse():
        raise PermissionError

    monkeypatch.setattr("runner.quiet.others_cpu_ratio", refuse)
    QuietCheck(find_recipe("cpu-profile").recipe).finish()
