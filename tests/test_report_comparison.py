"""A comparison on a terminal: the verdict first, everything that it rests on, and nothing that is obeyed."""

import re

import pytest

from runner.report.comparison import format_comparison
from tests.comparison_documents import (
    HOSTILE,
    comparison,
    distribution,
    empty,
    exploratory,
    gate,
    hostile,
    nothing_known,
    pair,
    primary,
    problem,
    side,
)

WORDS = ["better", "worse", "same", "changed", "inconclusive"]


def shown(document, width=200, **more):
    return format_comparison(document, in_color=False, width=width, **more).splitlines()


def load_of(**more):
    steady = {"drift": 0.0, "drifts": False, "variation": 0.01, "varies": False}
    return {"unit": "events", "before": 90.0, "after": 90.0, "differs": False} | steady | more


def starts(lines, start):
    return next(index for index, line in enumerate(lines) if line.startswith(start))


@pytest.mark.parametrize("word", WORDS)
def test_the_verdict_and_its_reason_come_first(word):
    lines = shown(comparison(word))
    assert lines[0] == f"{word}: the reason of {word}"
    assert (lines[1] == "record anew: record 8 new runs of each side") == (word == "inconclusive")


def test_what_it_rests_on_comes_in_the_order_in_which_it_is_asked_for():
    document = comparison(
        "worse",
        gates=[gate("fail")],
        problems=[problem()],
        tables=[primary("worse"), exploratory()],
    )
    lines = shown(document)
    order = [
        "worse:",
        "outcome",
        "runs:",
        "load:",
        "gate ",
        "note, after:",
        "latency: 100 events",
        " p50",
        "Also",
    ]
    places = [starts(lines, start) for start in order]
    assert places == sorted(places)


def test_an_outcome_is_a_line_with_all_that_decides_it():
    lines = shown(comparison("worse"))
    line = lines[starts(lines, "latency.above(5ms)")]
    assert re.split(r"  +", line) == [
        "latency.above(5ms)",
        "1.2%",
        "3.3%",
        "+2.1 pp",
        "+1.2 to +3 pp",
        "0.0022",
        "worse",
    ]
    assert re.split(r"  +", lines[starts(lines, "outcome")])[-3:] == ["99% interval", "p", "verdict"]


def test_numbers_stand_in_for_words_where_there_are_none():
    rows = [
        primary(shown={}, name="share"),
        primary(
            shown={}, name="rate", statistic="rate", unit="packets/s", before=100.0, after=90.0, shift=0.9,
            margin={"measure": "ratio", "lower": 0.9, "upper": 1.1},
        ),
        primary(
            shown={}, name="octaves", statistic="mean-log2", unit="octaves", before=10.0, after=11.0, shift=1.0,
            margin={"measure": "octaves", "lower": -0.1, "upper": 0.1},
        ),
        primary(
            shown={}, name="amount", statistic="mean", unit="bytes", before=1.5, after=2.0, shift=0.5,
            margin={"measure": "amount", "lower": -0.1, "upper": 0.1},
        ),
    ]  # fmt: skip
    lines = shown(comparison(tables=rows))
    cells = {re.split(r"  +", line)[0]: re.split(r"  +", line)[1:4] for line in lines}
    assert cells["share.above(5ms)"] == ["1.2%", "3.3%", "+2.1 pp"]
    assert cells["rate.rate(5ms)"] == ["100 packets/s", "90 packets/s", "-10%"]
    assert cells["octaves.mean-log2(5ms)"] == ["2^10", "2^11", "times 2"]
    assert cells["amount.mean(5ms)"] == ["1.5 bytes", "2 bytes", "+0.5"]


def test_each_primary_outcome_says_why_and_what_to_record_where_the_whole_does_not():
    rows = [primary("worse"), primary("inconclusive", name="waits")]
    lines = shown(comparison("worse", tables=rows))
    assert (
        "waits.above(5ms): the reason of inconclusive; record anew: record 8 new runs of each side" in lines
    )
    assert not any("latency.above(5ms): the reason" in line for line in lines)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("abba", "runs: 6 before, 6 after; 3 blocks of ABBA; on vm"),
        ("unpaired", "runs: 6 before, 6 after; unpaired, in turns; on vm"),
        ("windows", "runs: 6 before, 6 after; one run against one, and only what their windows say; on vm"),
    ],
)
def test_the_design_is_said(kind, words):
    design = {"kind": kind, "blocks": 3, "alpha": 0.01, "can_decide": True, "interleaved": True}
    lines = shown(comparison(design=design))
    assert lines[starts(lines, "runs:")] == f"{words}; runqlat --above 5ms"


def test_that_one_side_came_after_the_other_is_said():
    design = {"kind": "unpaired", "blocks": 1, "alpha": 0.01, "can_decide": True, "interleaved": False}
    assert any("; unpaired, one side after the other; " in line for line in shown(comparison(design=design)))


def test_a_reason_that_the_whole_repeats_is_said_once():
    rows = [primary("worse"), primary("worse", name="waits", reason="it waits")]
    whole = "latency.above worse: the reason of worse; waits.above worse: it waits"
    text = "\n".join(shown(comparison("worse", reason=whole, tables=rows)))
    assert text.count("it waits") == 1


def test_other_hosts_and_too_few_runs_are_said():
    lines = shown(
        comparison(
            sides={"before": side(2, ["a", "b"]), "after": side(1, ["c"], left_out=3)},
            design={"kind": "unpaired", "blocks": 1, "alpha": 0.01, "can_decide": False, "interleaved": None},
        )
    )
    assert lines[starts(lines, "runs:")] == (
        "runs: 2 before, 1 after; unpaired, in an order that is not known; on a, b and then on c; 3 left out; "
        "these cannot carry a decision at p ≤ 0.01; runqlat --above 5ms"
    )


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (None, "not known"),
        (
            {"unit": "requests", "before": 1234.4, "after": 999.0, "differs": True},
            "1,234 requests per second before, 999 after (-19.1%): more than 10% apart, so nothing is compared",
        ),
        (
            {"unit": "events", "before": 3.0, "after": 3.0, "differs": False},
            "3 events per second before, 3 after",
        ),
        (
            {"unit": "events", "before": 0.0, "after": 2.5, "differs": False},
            "0 events per second before, 2.5 after",
        ),
        (
            load_of(drift=0.2689, drifts=True),
            (
                "90 events per second before, 90 after: it drifted by +26.9% from the first run to the last, so "
                "nothing is compared"
            ),
        ),
        (
            load_of(drift=-0.2, drifts=True, variation=0.113, varies=True),
            (
                "90 events per second before, 90 after: it drifted by -20% from the first run to the last; runs of "
                "one side vary by 11.3%, so nothing is compared"
            ),
        ),
        (load_of(drift=0.05, drifts=False), "90 events per second before, 90 after"),
        (load_of(drift=None, variation=None), "90 events per second before, 90 after"),
    ],
)
def test_the_load_is_said(load, words):
    assert f"load: {words}" in shown(comparison(load=load))


@pytest.mark.parametrize("more", [{"drift": 0.3, "drifts": True}, {"variation": 0.2, "varies": True}])
def test_a_load_that_was_not_one_is_in_colour(more, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    yellow = "\x1b[33mload: 90 events"
    assert yellow in format_comparison(comparison(load=load_of(**more)), in_color=True, width=200)
    assert yellow not in format_comparison(comparison(load=load_of()), in_color=True, width=200)


def test_gates_and_problems_are_a_line_each():
    lines = shown(
        comparison(
            gates=[gate(), gate("inconclusive", "pass")],
            problems=[
                problem(),
                problem(
                    "unreadable",
                    left_out=True,
                    side="before",
                    files=[f"{number}.json" for number in range(7)],
                ),
                problem("load-unknown", side=None, files=[]),
            ],
        )
    )
    assert lines[starts(lines, "gate") :][:5] == [
        "gate latency.p99 <= 10ms: pass (measured: 8 ms to 9.999 ms)",
        "gate latency.p99 <= 10ms: inconclusive, counts as pass (measured: 8 ms to 9.999 ms): the bound lies inside",
        "note, after: other-kernel: it differs (after/3.json)",
        "left out, before: unreadable: it differs (0.json, 1.json, 2.json, 3.json, 4.json and 2 more)",
        "note: load-unknown: it differs",
    ]


def test_other_rows_are_shown_by_how_little_chance_they_have():
    rows = [exploratory(f"t{number}", adjusted=number / 1000) for number in reversed(range(25))]
    rows.append(exploratory("quiet", is_found=False))
    lines = shown(comparison(tables=[primary(), *rows]))
    at = starts(lines, "Also")
    assert lines[at] == (
        "Also seems to have changed (exploratory, decides nothing): "
        "25 of 26 rows that were looked at, 20 shown"
    )
    names = [line.split("{")[0].strip() for line in lines[at + 2 :]]
    assert names == [f"t{number}" for number in range(20)]
    assert re.split(r"  +", lines[at + 2])[1:] == [
        "t0{comm=nginx}.rate",
        "100 switches/s",
        "150 switches/s",
        "+50%",
        "0.001",
        "0",
    ]


def test_where_none_was_found_that_is_said_and_where_none_was_looked_at_nothing():
    lines = shown(comparison(tables=[primary(), exploratory(is_found=False)]))
    assert lines[-1].endswith(": 0 of 1 rows that were looked at")
    assert not any(line.startswith("Also") for line in shown(comparison()))


def test_a_row_that_came_from_nothing_has_no_factor():
    row = exploratory(before=0.0, shift=None)
    assert any("from nothing to something" in line for line in shown(comparison(tables=[row])))


def test_where_nothing_is_known_nothing_is_invented():
    assert shown(empty()) == [
        "inconclusive: the reason of inconclusive",
        "record anew: record 8 new runs of each side",
        "",
        "runs: 0 before, 0 after; unpaired, in an order that is not known; these cannot carry a decision at p ≤ 0.01; script",
        "load: not known",
    ]
    rows = [nothing_known(primary()), nothing_known(exploratory())]
    lines = shown(comparison(tables=rows))
    assert re.split(r"  +", lines[starts(lines, "latency.above")])[1:6] == ["not known"] * 3 + ["-"] * 2


def test_no_more_than_five_pictures():
    pairs = [pair(distribution([1] * 20), distribution([1] * 20), name=f"h{number}") for number in range(7)]
    lines = shown(comparison(distributions=pairs))
    assert sum(line.startswith("h") and "events" in line for line in lines) == 5
    assert "… and 2 more histograms; the JSON has them" in lines


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_and_never_obeyed(name):
    document = hostile(name)
    for in_color in (False, True):
        text = format_comparison(document, in_color=in_color, width=150)
        without_styles = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert all(line.isprintable() for line in without_styles.split("\n"))
    if name == "[bold]rich[/bold]":
        assert without_styles.count(name) >= 8


@pytest.mark.parametrize("width", [0, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width):
    document = comparison(
        "inconclusive",
        tables=[primary("inconclusive"), exploratory()],
        gates=[gate("fail")],
        problems=[problem()],
    )
    # A picture needs 60 columns.
    assert max(map(len, shown(document, width))) <= max(width, 60)


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1;31mworse\x1b[0m" in format_comparison(comparison("worse"), in_color=True, width=100)
    assert "\x1b" not in format_comparison(comparison("worse"), in_color=False, width=100)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in format_comparison(comparison("worse"), in_color=True, width=100)


def test_bars_are_ascii_where_the_encoding_has_no_blocks():
    text = format_comparison(comparison(), in_color=False, width=100, encoding="latin-1")
    assert "@@@" in text
    assert "█" not in text


def test_without_a_width_it_is_the_terminals(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    text = format_comparison(comparison("worse"), in_color=False)
    assert max(map(len, text.splitlines())) <= 70
    monkeypatch.delenv("COLUMNS")
    long = comparison("worse", reason="word " * 100)
    assert len(format_comparison(long, in_color=False).splitlines()[0]) > 400
