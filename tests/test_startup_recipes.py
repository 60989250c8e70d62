"""docs/startup.md: the programs that a recipe's is compared with, and what the page says of the figures."""

import json

import pytest

from benchmarks.startup_recipes.document import page
from benchmarks.startup_recipes.programs import count_probes, without_bodies
from runner.recipe.catalogue import data_dir

PROGRAM = """\
// A comment with a brace {
tracepoint:sched:sched_wakeup,
tracepoint:sched:sched_wakeup_new
/args->pid == 3/
{
  if (1) { printf("} // %d {\\n", 1); }
}
uprobe:"/opt/a b/lib.so":f0 { @x = 7 / 2; }
interval:s:1 /1/ { exit(); }
"""

FIGURES = {
    "recipe": "runqlat", "bpftrace": "0.27.1", "date": "2026-01-02", "probes": 3, "ours": 0.43, "started": 0.2,
    "alone": 0.2, "framed": 0.21, "bodiless": 0.15, "nothing": 0.12,
    "causes": {"available_events": 4, "runs of libclang over C definitions": 2},
}  # fmt: skip


def stored(*changes):
    return {
        "machine": "Linux 6.18, x86_64, 2 processors",
        "rounds": 5,
        "figures": [{**FIGURES, **each} for each in changes],
    }


def test_probes_without_what_is_in_them():
    assert without_bodies(PROGRAM) == (
        "tracepoint:sched:sched_wakeup,\ntracepoint:sched:sched_wakeup_new { }\n"
        'uprobe:"/opt/a b/lib.so":f0 { }\n'
        "interval:s:1 { }\n"
    )
    assert count_probes(PROGRAM) == 4


@pytest.mark.parametrize("program", ["interval:s:1 { exit();", "interval:s:1 { exit(); } }", "interval:s:1"])
def test_a_program_that_does_not_close(program):
    with pytest.raises(ValueError, match="braces do not close"):
        without_bodies(program)


def test_the_page_says_what_is_over_the_goal():
    text = page(stored({}, {"recipe": "syscount", "ours": 0.46}))
    assert "at most 0.26 s more than bpftrace alone (syscount with 0.27.1)" in text
    assert "missed by syscount with 0.27.1." in text
    assert "missed by" not in page(stored({}))
    assert "| runqlat | 0.43 | 0.20 | 0.23 | 0.20 | 0.01 | 0.12 | 0.03 | 0.05 | 3 | 2026-01-02 |" in text


def test_the_page_names_what_takes_the_time():
    text = page(stored({}, {"recipe": "syscount", "causes": {"available_events": 9}}))
    assert "| reads the list of all tracepoints (`available_events`) | 4 | 9 | syscount |" in text
    assert "| runs of libclang over C definitions | 0 | 2 | runqlat |" in text
    assert "strace" not in page(stored({"causes": None}))


def test_releases_stand_in_their_order():
    text = page(stored({}, {"bpftrace": "0.9.2"}))
    assert text.index("## bpftrace 0.9.2") < text.index("## bpftrace 0.27.1")


def test_the_stored_page_is_what_the_stored_figures_say():
    docs = data_dir("recipes").parent / "docs"
    assert (docs / "startup.md").read_text() == page(json.loads((docs / "startup.json").read_text()))
