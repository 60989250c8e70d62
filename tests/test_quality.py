"""The rules of quality: one table in the code, the same in the documentation, and no other codes."""

import ast
from pathlib import Path

from runner.capture.quality import RULES, grade, problem
from runner.report.quality import rules_as_markdown

ROOT = Path(__file__).parents[1]


def test_the_worst_problem_decides():
    assert grade([]) == "usable"
    assert grade([problem("repaired", 3, "x")]) == "usable"
    assert grade([problem("repaired", 3, "x"), problem("lost-events", 1, "x")]) == "degraded"
    assert grade([problem("lost-events", 1, "x"), problem("output-incomplete", None, "x")]) == "void"


def test_a_cure_is_named_where_there_is_one():
    assert "--buffer-pages" in problem("lost-events", 1, "x")["cure"]
    assert "--max-map-keys" in problem("map-full", 1, "x")["cure"]
    assert "lower rate" in problem("samples-dropped", 1, "x")["cure"]
    assert "cure" not in problem("ended-early", None, "x")


def test_the_documentation_is_this_table():
    assert rules_as_markdown() in (ROOT / "docs" / "quality.md").read_text()


def test_every_rule_is_used_and_no_problem_is_without_one():
    used = set()
    for path in (ROOT / "runner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "problem":
                used |= {each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)}
            if isinstance(node, ast.Tuple) and [type(each) for each in node.elts] == [ast.Constant] * 2:
                used |= {each.value for each in node.elts} & RULES.keys()
    assert used == RULES.keys()
