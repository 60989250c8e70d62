"""Measured costs of recipes: what the list takes, which reads them without the model, is what the model takes."""

import math

import pytest
from pydantic import ValidationError

from runner.recipe.cost import Cost, check_costs
from runner.recipe.model_cost import OverheadNote

GOOD = {"bpftrace": "0.27.1", "kernel": "6.18", "event": "wake-up", "ns": 5, "slowdown": 0.1}


def both(*measured):
    """Return whether the list and the model take these."""
    answers = []
    try:
        check_costs([Cost(**{"slowdown": None, **each}) for each in measured])
        answers.append(True)
    except (ValueError, TypeError):
        answers.append(False)
    try:
        OverheadNote.model_validate({"level": "low", "reason": "It is.", "measured": list(measured)})
        answers.append(True)
    except ValidationError:
        answers.append(False)
    return answers


def test_what_is_taken():
    older = {**GOOD, "bpftrace": "0.9.0", "slowdown": None}
    assert both(GOOD, older, {**GOOD, "kernel": "5.4", "slowdown": -0.2}) == [True, True]
    assert both({**GOOD, "slowdown": 1}) == [True, True]
    assert both({name: GOOD[name] for name in GOOD if name != "slowdown"}) == [True, True]


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        *(("ns", each) for each in (-5, 0, 10**30, True, "500", 1.5, math.nan)),
        *(("slowdown", each) for each in (math.nan, math.inf, 1e300, -3, -0.5, True, "0.1")),
        *(("event", each) for each in ("a\x1b[31mb", "a\n", "", "-a", "a" * 21, 5)),
        *(("bpftrace", each) for each in ("27", "0.27.1.2", "0.\uff127.1", "0.027.1", "0.27.1\n", "0.%s.1" % ("9" * 5000))),
        *(("kernel", each) for each in ("-6.1", "6", "6.18.1", "6.1\n", 6.18)),
    ],
)  # fmt: skip
def test_what_is_refused(member, wrong):
    assert both({**GOOD, member: wrong}) == [False, False]


def test_costs_that_cannot_stand_side_by_side():
    assert both(GOOD, GOOD) == [False, False]
    assert both(GOOD, {**GOOD, "kernel": "6.1", "event": "call"}) == [False, False]
    assert both({**GOOD, "more": 1}) == [False, False]
