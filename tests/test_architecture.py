"""Imports point downward only: the table of the rooms, held against the syntax trees."""

import ast
from pathlib import Path

import pytest

RUNNER = Path(__file__).parents[1] / "runner"
LOWER = {"errors", "capture", "recipe", "host", "bpftrace", "workload", "plan", "run", "report", "replay"}
LOWER |= {
    "compare",
    "workflow",
    "outcome",
    "events",
    "targets",
    "overhead",
    "quiet",
    "ending",
    "interrupts",
    "decode",
    "run_script",
    "trace",
    "rendered",
    "companions",
    "doctor",
    "probe_search",
    "programs",
}
MAY_IMPORT = {
    "errors": set(),
    "capture": {"errors"},
    "host": {"errors", "capture"},
    "recipe": {"errors", "capture", "host.facts"},
    "lifetime": set(),
    "bpftrace": {"errors", "capture", "lifetime"},
    "interrupts": {"errors"},
    "work": set(),
    "workload": {"errors", "lifetime", "host", "interrupts", "work"},
    "plan": {"errors", "capture", "recipe", "host", "bpftrace", "cgroup_facts"},
    "quiet": {"errors", "host", "overhead", "recipe"},
    "overhead": {"capture", "host"},
    "attribution": {"errors", "capture", "host", "bpftrace"},
    "companions": {"capture", "host"},
    "ending": {"capture", "bpftrace", "workload"},
    "outcome": {
        "errors",
        "capture",
        "recipe",
        "host",
        "bpftrace",
        "plan",
        "workload",
        "attribution",
        "ending",
        "events",
        "wanted",
    },
    "events": {"errors", "capture", "bpftrace", "plan"},
    "targets": set(),
    "wanted": {"host", "recipe", "plan"},
    "cgroup_facts": {"host", "recipe"},
    "cgroup_names": {"capture", "host"},
    "probe_costs": {"host"},
    "budget": {"capture", "host", "overhead", "probe_costs"},
    "trace": {
        "targets",
        "budget",
        "errors",
        "capture",
        "host",
        "bpftrace",
        "workload",
        "interrupts",
        "overhead",
        "attribution",
        "companions",
    },
    "windows": {"errors", "capture", "host", "bpftrace", "plan", "outcome", "attribution", "wanted"},
    "run": {
        "errors",
        "cgroup_facts",
        "cgroup_names",
        "capture",
        "host",
        "bpftrace",
        "plan",
        "workload",
        "interrupts",
        "overhead",
        "outcome",
        "trace",
        "windows",
        "attribution",
        "events",
        "wanted",
    },
    "run_script": {
        "errors",
        "capture",
        "host",
        "bpftrace",
        "workload",
        "interrupts",
        "overhead",
        "trace",
        "ending",
        "decode",
    },
    "rendered": {"errors", "capture", "recipe", "host", "bpftrace", "plan", "outcome"},
    "decode": {"errors", "capture", "bpftrace", "rendered"},
    "replay": {"errors", "capture", "recipe", "host", "bpftrace", "plan", "outcome", "workload", "work"},
    "doctor": {"errors", "recipe", "host", "bpftrace", "plan", "quiet"},
    "probe_search": {"errors", "host", "bpftrace"},
    "programs": {"errors", "capture", "host", "bpftrace.provenance"},
    "compare": {"errors", "capture"},
    "workflow": {
        "errors",
        "capture",
        "recipe",
        "host",
        "bpftrace",
        "run",
        "plan",
        "doctor",
        "compare",
        "interrupts",
        "lifetime",
        "probe_costs",
    },
    "report": {
        "errors",
        "capture",
        "compare.document",
        "workflow.documents",
        "workflow.runbook.document",
        "workflow.experiment.document",
        "doctor.matrix_document",
        "programs.document",
    },
    "cli": LOWER,
}
FILES = sorted(path for path in RUNNER.rglob("*.py") if path.parent != RUNNER or path.stem in MAY_IMPORT)


def room_of(path):
    return path.relative_to(RUNNER).with_suffix("").parts[0]


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("runner."):
            rest = node.module.removeprefix("runner.")
            yield from (f"{rest}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "runner":
            yield from (alias.name for alias in node.names if alias.name != "__version__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RUNNER)))
def test_a_room_knows_only_what_stands_below_it(path):
    room = room_of(path)
    allowed = MAY_IMPORT[room] | {room}
    for imported in imports_of(path):
        assert any(imported == name or imported.startswith(f"{name}.") for name in allowed), imported


@pytest.mark.parametrize("path", sorted(RUNNER.rglob("*.py")), ids=lambda path: str(path.relative_to(RUNNER)))
def test_a_files_first_line_says_its_job(path):
    assert ast.get_docstring(ast.parse(path.read_text())), path
    assert path.read_text().startswith('"""')


def test_only_the_command_line_prints():
    for path in RUNNER.rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        prints = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not prints or room_of(path) == "cli", path


@pytest.mark.parametrize("path", sorted(RUNNER.rglob("*.py")), ids=lambda path: str(path.relative_to(RUNNER)))
def test_no_regular_expression_has_what_python_gets_wrong(path):
    """Possessive groups match another text in Python 3.11.0 to 3.11.4 (gh-106052), which Debian 12 has."""
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    for text in texts:
        if isinstance(text, bytes | str):
            shown = text if isinstance(text, str) else text.decode("latin-1")
            assert not any(mark in shown for mark in (")*+", ")++", ")?+", "}+", "(?>")), shown
