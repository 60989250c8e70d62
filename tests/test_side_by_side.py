"""Both histograms on one axis: at every width, of every bucket, with the bounds of their quantiles."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.capture.quantiles import quantiles
from runner.report.side_by_side import MOST_ROWS, can_draw_blocks, format_side_by_side
from tests.comparison_documents import HOSTILE, buckets, distribution, pair


def rows(lines):
    return [line for line in lines if "│" in line or "|" in line]


def cells(line):
    """The label of a row, and of each side count, share, length of the bar and marks."""
    label, rest = re.fullmatch(r" *(\[[^)\]]*[)\]]) (.*)", line).groups()
    found = re.findall(r"(\d+) +(<?[\d.]+%) │([█▏▎▍▌▋▊▉]*) ?((?:p\d+ ?)*)", rest)
    return label, [(int(count), share, len(bar), marks.split()) for count, share, bar, marks in found]


def test_each_row_has_count_and_share_of_both_sides_on_one_scale():
    lines = format_side_by_side(
        pair(buckets((8, 15, 60), (16, 31, 40)), buckets((8, 15, 20), (32, 63, 20)), unit="packets"),
        width=100,
    )
    assert lines[0] == "latency (packets): 100 events before, 40 events after"
    shown = [cells(line) for line in rows(lines)]
    assert [label for label, _ in shown] == ["[8, 16)", "[16, 32)", "[32, 64)"]
    assert [[(count, share) for count, share, *_ in sides] for _, sides in shown] == [
        [(60, "60.00%"), (20, "50.00%")],
        [(40, "40.00%"), (0, "0.00%")],
        [(0, "0.00%"), (20, "50.00%")],
    ]
    # A side's own share: 20 of 40 is more than 40 of 100.
    assert shown[0][1][0][2] > shown[0][1][1][2] > shown[1][1][0][2] > shown[1][1][1][2] == 0
    assert shown[0][1][1][2] == shown[2][1][1][2]


def test_the_buckets_of_a_quantiles_bounds_are_marked_and_said_in_words():
    before, after = distribution([8000] * 900 + [12000] * 100), distribution([8000] * 1400 + [24000] * 600)
    lines = format_side_by_side(pair(before, after), width=120)
    marks = {label: [side[3] for side in sides] for label, sides in map(cells, rows(lines))}
    assert marks == {
        "[7.168 ms, 8.192 ms)": [["p50"], ["p50"]],
        "[10.24 ms, 12.29 ms)": [["p95", "p99"], []],
        "[20.48 ms, 24.58 ms)": [[], ["p95", "p99"]],
    }
    assert lines[-3:] == [
        " p50 7.168 to 8.192 ms → 7.168 to 8.192 ms",
        " p95 10.24 to 12.29 ms → 20.48 to 24.58 ms",
        " p99 10.24 to 12.29 ms → 20.48 to 24.58 ms",
    ]


def test_every_bucket_that_the_bounds_reach_into_is_marked():
    side = buckets((0, 9, 11), (10, 19, 1), (20, 29, 10))
    assert side["quantiles"]["p50"] == [0, 29]
    lines = format_side_by_side(pair(side, unit="bytes"), width=100)
    assert [cells(line)[1][0][3] for line in rows(lines)] == [["p50"]] * 3
    assert lines[-1] == " p50 0 to 29 bytes → not known"


@pytest.mark.parametrize("is_before_empty", [True, False])
def test_an_empty_side_has_no_bars(is_before_empty):
    full, nothing = distribution([100] * 50), distribution()
    lines = format_side_by_side(pair(nothing, full) if is_before_empty else pair(full, nothing), width=100)
    assert "no events" in lines[0]
    sides = cells(rows(lines)[0])[1]
    assert sorted((count, bar > 0) for count, _, bar, _ in sides) == [(0, False), (50, True)]
    assert "not known" in lines[-1]


def test_two_empty_sides_are_one_line():
    assert format_side_by_side(pair(), width=80) == ["latency: no events before, no events after"]


def test_open_negative_and_linear_buckets_stand_in_the_order_of_their_values():
    side = buckets((10, None, 5), (None, -11, 5), (0, 9, 20), (-10, -1, 20))
    lines = format_side_by_side(pair(side, side, unit="bytes"), width=100)
    assert [cells(line)[0] for line in rows(lines)] == ["[…, -10)", "[-10, 0)", "[0, 10)", "[10, …)"]
    assert not any(line.strip() == "…" for line in lines)
    assert lines[-1] == " p50 -10 to 9 bytes → -10 to 9 bytes"


def test_open_bounds_are_words():
    side = buckets((None, -1, 50), (10, None, 50))
    side["quantiles"] |= {"p50": [None, -1], "p95": [10, None], "p99": [None, None]}
    lines = format_side_by_side(pair(side, side, unit="us"), width=100)
    assert lines[-3:] == [
        " p50 below 0 ns → below 0 ns",
        " p95 10 us or more → 10 us or more",
        " p99 anything → anything",
    ]


def test_what_nobody_has_is_cut_off_at_the_ends_and_a_gap_between():
    side = buckets((0, 9, 0), (10, 19, 5), (20, 29, 0), (30, 39, 5), (40, 49, 0))
    lines = format_side_by_side(pair(side, unit="bytes"), width=80)
    labels = [line.strip() if line.strip() == "…" else cells(line)[0] for line in lines[2:5]]
    assert labels == ["[10, 20)", "…", "[30, 40)"]
    assert len(lines) == 5


def test_neighbours_are_put_together_where_there_are_more_than_forty_and_that_is_said():
    many = [(10 * number, 10 * number + 9, 1) for number in range(41)]
    lines = format_side_by_side(pair(buckets(*many), unit="bytes"), width=80)
    assert lines[1] == "each row is up to 2 neighbouring buckets; the JSON has them all"
    assert len(rows(lines)) == 21
    assert [cells(line)[0] for line in rows(lines)][:2] == ["[0, 20)", "[20, 40)"]
    few = format_side_by_side(pair(buckets(*many[:40]), unit="bytes"), width=80)
    assert len(rows(few)) == 40
    assert not any("neighbouring" in line for line in few)


def test_buckets_of_two_layouts_become_one_that_covers_them():
    lines = format_side_by_side(
        pair(buckets((8, 15, 4), (16, 31, 4)), buckets((0, 9, 1), (10, 19, 2), (32, 40, 3)), unit="bytes"),
        width=80,
    )
    shown = [cells(line) for line in rows(lines)]
    assert [(label, [side[0] for side in sides]) for label, sides in shown] == [
        ("[0, 32)", [8, 3]),
        ("[32, 41)", [0, 3]),
    ]


def test_without_block_characters_it_is_ascii():
    side = buckets((None, -1, 50), (10, None, 50))
    lines = format_side_by_side(pair(side, side), width=60, in_blocks=False)
    assert "\n".join(lines).isascii()
    assert any("@@" in line for line in lines)


@pytest.mark.parametrize(
    ("encoding", "can"),
    [("utf-8", True), ("ascii", False), ("latin-1", False), (None, False), ("nonsense", False)],
)
def test_the_encoding_says_whether_blocks_can_be_drawn(encoding, can):
    assert can_draw_blocks(encoding) == can


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_commands_no_terminal(name):
    lines = format_side_by_side(pair(name=name, unit=name or None), width=60)
    assert all(line.isprintable() for line in lines)


EDGES = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=90, unique=True).map(sorted)
COUNTS = st.integers(0, 10**13)


@st.composite
def sides(draw):
    edges = draw(EDGES)
    made = [{"lower": low, "upper": high - 1, "count": draw(COUNTS)} for low, high in pairwise(edges)]
    if draw(st.booleans()):
        made[0]["lower"] = None
    if draw(st.booleans()):
        made[-1]["upper"] = None
    return {"count": sum(each["count"] for each in made), "buckets": made, "quantiles": quantiles(made)}


@given(
    sides(), sides(), st.integers(0, 300), st.booleans(), st.sampled_from(["us", "bytes", "seconds", None])
)
def test_no_line_is_longer_than_asked_for(before, after, width, in_blocks, unit):
    lines = format_side_by_side(pair(before, after, unit=unit), width=width, in_blocks=in_blocks)
    assert max(map(len, lines)) <= min(max(width, 60), 200)
    assert len(rows(lines)) <= MOST_ROWS


@given(st.lists(st.integers(0, 10**7), max_size=200), st.lists(st.integers(0, 10**7), max_size=200))
def test_every_event_stands_in_a_row(before, after):
    lines = format_side_by_side(pair(distribution(before), distribution(after)), width=200)
    shown = [cells(line)[1] for line in rows(lines)]
    assert [sum(side[index][0] for side in shown) for index in (0, 1)] == [len(before), len(after)]
