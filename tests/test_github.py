"""Annotations of a workflow: what is an error, and that no name begins a command of its own."""

import re

import pytest

from runner.report.github import github_of_comparison, workflow_command
from tests.comparison_documents import HOSTILE, comparison, empty, gate, hostile, primary, problem

COMMAND = re.compile(r"::(?P<level>error|warning|notice) title=(?P<title>[^:,\n\r]*)::(?P<message>[^\n\r]*)")


def commands(document):
    """Level, title and message of each, as the runner of GitHub reads them."""
    made = []
    for line in github_of_comparison(document).removesuffix("\n").split("\n"):
        level, title, message = COMMAND.fullmatch(line).groups()
        made.append((level, unescaped(title), unescaped(message)))
    return made


def unescaped(text):
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("worse", "error"),
        ("inconclusive", "warning"),
        ("changed", "notice"),
        ("same", "notice"),
        ("better", "notice"),
    ],
)
def test_the_verdict_comes_first(word, level):
    first, *others = commands(comparison(word))
    anew = "\nrecord anew: record 8 new runs of each side" if word == "inconclusive" else ""
    assert first == (level, f"runqlat --above 5ms: {word}", f"the reason of {word}{anew}")
    assert not others


def test_a_gate_that_counts_as_failed_is_an_error():
    gates = [gate(), gate("fail"), gate("inconclusive"), gate("inconclusive", "pass")]
    made = commands(comparison(gates=gates))
    assert [level for level, *_ in made[1:]] == ["notice", "error", "error", "warning"]
    assert made[2][1:] == (
        "runqlat --above 5ms: gate fail",
        "gate latency.p99 <= 10ms: fail (measured: 8 ms to 9.999 ms)",
    )


def test_what_is_left_out_is_told_and_what_cannot_be_read_is_an_error():
    problems = [
        problem("unreadable", left_out=True, files=["a.json"], detail="cut off"),
        problem("void", left_out=True),
        problem("other-kernel"),
    ]
    made = commands(comparison(problems=problems))
    assert [(level, title) for level, title, _ in made[1:]] == [
        ("error", "runqlat --above 5ms: unreadable"),
        ("warning", "runqlat --above 5ms: void"),
    ]
    assert made[1][2] == "left out, after: unreadable: cut off (a.json)"


def test_each_of_several_outcomes_has_its_own():
    rows = [primary("worse"), primary("inconclusive", name="waits")]
    made = commands(comparison("worse", tables=rows))
    assert [(level, title) for level, title, _ in made[1:]] == [
        ("error", "runqlat --above 5ms: latency.above(5ms) worse"),
        ("warning", "runqlat --above 5ms: waits.above(5ms) inconclusive"),
    ]


def test_nothing_known_is_one_warning():
    assert [level for level, *_ in commands(empty())] == ["warning"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_begins_no_command(name):
    made = commands(hostile(name))
    assert len(made) == 4
    assert made[0][0] == "error"
    if name and name.isprintable():
        assert made[0][1:] == (
            f"{name} --{name} {name} --{name} {name}: worse",
            f"because {name}\nrecord anew: {name}",
        )


def test_escapes_are_those_of_githubs_toolkit():
    assert workflow_command("error", "a:b, 5%\r\nc", title="a:b, 5%\r\nc", line=3) == (
        "::error title=a%3Ab%2C 5%25%0D%0Ac,line=3::a:b, 5%25%0D%0Ac"
    )
