"""The report of a case as Markdown: commands that can be copied, and names that are shown and not obeyed."""

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from runner.report.case import case_as_markdown, case_as_text

STORED = Path(__file__).parent / "cases" / "file-server" / "case.json"


@pytest.fixture
def case():
    return json.loads(STORED.read_bytes())


def tokens(case):
    found = []
    for each in MarkdownIt("commonmark").parse(case_as_markdown(case)):
        found += [each, *(each.children or ())]
    return found


def test_every_command_is_code_as_it_has_to_be_typed(case):
    code = "".join(each.content for each in tokens(case) if each.type == "code_block").splitlines()
    commands = [text for each in case["remedies"] for text in (*each["commands"], *each["revert"])]
    assert any("*" in text for text in commands)
    assert code == [*commands, case["next"]]


@pytest.mark.parametrize(
    "name",
    [
        "![x](http://evil/x.png)",
        "[x](http://evil)",
        "<img src=x>",
        "&lt;",
        "`a`",
        "*a* _b_",
        "a\\\\*b",
        "\\1",
        "x_y",
    ],
)
def test_a_name_is_shown_and_not_obeyed(case, name):
    case["target"] = {"comm": [name]}
    case["findings"][0]["rows"][0]["what"] = f"comm {name}"
    found = tokens(case)
    assert not {each.type for each in found} & {"image", "link_open", "html_inline", "em_open", "code_inline"}
    shown = ["".join(one.content for one in each.children) for each in found if each.children]
    assert any(text.startswith(f"comm {name}: ") for text in shown), shown
    assert name in shown[0]


def test_control_characters_are_shown(case):
    case["findings"][0]["rows"][0]["what"] = "comm a\x1b[31m\n\u202eb"
    for text in (case_as_markdown(case), case_as_text(case, Path("a\x1b[31m"))):
        assert "\x1b" not in text
        assert "\u202e" not in text
