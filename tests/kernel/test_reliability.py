"""Runs ended at random moments: nothing stays, and whoever lives says what was measured."""

import random

import pytest

from tests.laboratory.reliability import ROOT_ALONE, WAYS, Trial, attempt

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_is_ended(bpftrace, way, figure):
    moment = random.uniform(0, 3)  # noqa: S311
    trial = Trial(way, bpftrace, with_sudo=way not in ROOT_ALONE and random.random() < 0.5, moment=moment)  # noqa: S311
    ending = attempt(trial)
    figure(
        f"{'sudo, ' if trial.with_sudo else ''}after {moment:.2f} s: {ending.outcome()}, {len(ending.left)} left"
    )
    assert ending.is_good(trial), (trial, ending)
