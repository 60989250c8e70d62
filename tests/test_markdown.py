"""A comparison as Markdown: read by a parser, so that what names bring along stays text."""

import html.parser
import re

import pytest
from markdown_it import MarkdownIt

from runner.report.markdown import code, markdown_of_comparison, prose
from runner.report.words import printable
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
)

TAGS = {
    *[
        "h3",
        "h4",
        "p",
        "strong",
        "code",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "pre",
    ]
}


class Page(html.parser.HTMLParser):
    """What a browser makes of it: the tags, the rows of its tables, and all of its text."""

    def __init__(self, markdown):
        super().__init__()
        self.tags, self.closed, self.rows, self.text = [], [], [], ""
        self.is_in_cell = False
        self.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))
        self.close()

    def handle_starttag(self, tag, _attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.is_in_cell = True

    def handle_endtag(self, tag):
        self.closed.append(tag)
        self.is_in_cell &= tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self.is_in_cell:
            self.rows[-1][-1] += data.replace("\u200b", "")


def test_the_verdict_comes_first_and_each_outcome_is_a_row():
    text = markdown_of_comparison(comparison("worse"))
    assert text.startswith(
        "### `runqlat --above 5ms`: worse\n\n**worse**: the reason of worse\n\n| outcome |"
    )
    assert Page(text).rows == [
        ["outcome", "before", "after", "shift", "99% interval", "p", "verdict"],
        [
            "latency.above(5ms)",
            "1.2%",
            "3.3%",
            "+2.1 percentage points",
            "+1.2 to +3 percentage points",
            "0.0022",
            "worse",
        ],
    ]


def test_what_to_record_follows_the_verdict():
    lines = markdown_of_comparison(comparison("inconclusive")).split("\n\n")
    assert lines[2] == "**Record anew:** record 8 new runs of each side"


def test_load_gates_and_problems_are_there():
    text = markdown_of_comparison(
        comparison(
            gates=[gate("inconclusive", "pass"), gate("fail", measured=None)],
            problems=[problem(), problem("unreadable", left_out=True, files=[f"{n}.json" for n in range(7)])],
        )
    )
    assert "- runs: 6 before, 6 after; 3 blocks of ABBA; on vm\n" in text
    assert "- load: 1,234 events per second before, 1,250 after (+1.3%)\n" in text
    assert (
        "| `latency.p99 <= 10ms` | **inconclusive**, counts as pass | 8 ms to 9.999 ms | the bound lies inside |"
        in text
    )
    assert "| `latency.p99 <= 10ms` | **fail** | - |  |" in text
    assert "- note, after: `other-kernel`: it differs (`after/3.json`)\n" in text
    assert "- left out, after: `unreadable`: it differs (`0.json`, `1.json`, `2.json`, `3.json`, `4.json` and 2 more)" in text  # fmt: skip


def test_each_primary_outcome_says_its_own_reason():
    rows = [primary("worse"), primary("inconclusive", name="waits")]
    text = markdown_of_comparison(comparison("worse", tables=rows))
    assert (
        "- `waits.above(5ms)`: the reason of inconclusive; record anew: record 8 new runs of each side\n"
        in text
    )
    assert "- `latency" not in text


def test_the_picture_is_folded_and_in_a_block():
    text = markdown_of_comparison(comparison())
    found = re.search(
        r"<details><summary>Histograms.*?</summary>\n\n```text\n(.*?)\n```\n\n</details>", text, re.DOTALL
    )
    assert "█" in found[1]
    assert max(map(len, found[1].splitlines())) <= 100


def test_other_rows_are_folded_and_at_most_twenty():
    rows = [exploratory(f"t{number}", adjusted=number / 1000) for number in range(25)]
    text = markdown_of_comparison(comparison(tables=[primary(), *rows]))
    assert "(exploratory, decides nothing): 25 of 25 rows that were looked at, 20 shown</summary>" in text
    names = [row[0] for row in Page(text).rows if row[0].startswith("t")]
    assert names == [f"t{number}{{comm=nginx}}.rate" for number in range(20)]
    quiet = markdown_of_comparison(comparison(tables=[exploratory(is_found=False)]))
    assert quiet.endswith("decides nothing): 0 of 1 rows that were looked at\n")


def test_where_nothing_is_known_nothing_is_invented():
    assert markdown_of_comparison(empty()).split("\n\n")[3:] == [
        "- runs: 0 before, 0 after; unpaired, in an order that is not known; these cannot carry a decision at p ≤ 0.01\n- load: not known\n"
    ]
    text = markdown_of_comparison(comparison(tables=[nothing_known(primary())]))
    assert "| `latency.above(5ms)` | not known | not known | not known | - | - | **same** |" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text(name):
    page = Page(markdown_of_comparison(hostile(name)))
    assert set(page.tags) <= TAGS
    assert sorted(page.tags) == sorted(page.closed)
    assert [len(row) for row in page.rows] == [7, 7, 4, 4, 4, 6, 6]
    shown = printable(name)
    assert page.rows[3][0] == shown
    assert page.rows[3][3].strip() == shown.strip()
    assert page.rows[1][0].startswith(f"{shown}{{")
    assert page.text.count("</details>") == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_both_ways_of_escaping_show_the_text(name):
    for escape in (prose, code):
        page = Page(f"| a |\n|---|\n| {escape(name)} |")
        assert [len(row) for row in page.rows] == [1, 1]
        assert page.rows[1][0].strip() == printable(name).strip()


def test_nobody_is_mentioned_and_no_address_is_a_link():
    text = prose("@someone http://evil.example www.evil.example")
    assert not re.search(r"@\w|://|www\.", text)


def test_backticks_in_a_picture_do_not_end_its_block():
    text = markdown_of_comparison(comparison(distributions=[pair(distribution([1] * 20), name="a ```` b")]))
    assert "\n`````text\na ```` b: 20 events before" in text
    assert set(Page(text).tags) <= TAGS


def test_no_more_than_five_pictures():
    pairs = [pair(distribution([1] * 20), name=f"h{number}") for number in range(7)]
    text = markdown_of_comparison(comparison(distributions=pairs))
    assert text.count("20 events before") == 5
    assert "… and 2 more histograms; the JSON has them" in text
