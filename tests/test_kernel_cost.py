"""What `make bench-kernel` writes: the page, the figures that are kept, and the figures in recipes."""

import difflib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks.kernel_cost import stored
from benchmarks.kernel_cost.document import as_page
from benchmarks.kernel_cost.loads import LOADS
from benchmarks.kernel_cost.measuring import Cost, ProgramCost, Turn, shortest_free_ns
from benchmarks.kernel_cost.recipe_edit import Misread, with_figures
from benchmarks.kernel_cost.stored import Figure, Measured
from benchmarks.kernel_cost.subjects import SUBJECTS
from benchmarks.kernel_cost.tools import Tool
from runner.recipe.model import Recipe

ROOT = Path(__file__).parents[1]
RECIPES = [
    path
    for path in sorted((ROOT / "recipes").glob("*/*.yaml"))
    if path.parent.name not in ("hypotheses", "remedies", "runbooks")
]

RECIPE = """\
id: r
# A comment.
overhead:
  level: low   # why not
  reason: >
    Two probes.

    More of it.

related: []
"""


def ours(release: str, ns: float | None, slowdown: float | None = 0.123, why_not: str = "") -> Figure:
    return Figure(
        "recipe", "r", release, "", why_not, ns, 2.0, slowdown, (("sched_switch", 1.0, 90.4), ("x", 0.001, 5))
    )


def measured(*figures: Figure, **other: object) -> Measured:
    one = Measured("r", "2026-11-29", "Linux 6.18.44", "6.18", "0.5", "wake-up", "two threads", 3, figures)
    return replace(one, **other)


ALL = measured(
    ours("0.17.0", 711.4),
    Figure("plain", "plain r", "0.17.0", "", "", 711.4, 2.0, 0.1),
    Figure("script", "r.bt", "0.17.0", "", "needs kprobes"),
    ours("0.27.1", 520.6, -0.014),
    Figure("script", "r.bt", "0.27.1", "one histogram", "", 400.0, 2.0, 0.1),
    replace(ours("0.27.1", 60.0), name="r --pid 1", is_filtered=True),
    Figure("libbpf", "r -P", "", "by process", "", 500.0, 2.0, 0.1),
)


def test_plain_scripts_are_of_recipes_that_are_measured() -> None:
    scripts = {path.stem for path in (ROOT / "benchmarks/kernel_cost/plain").glob("*.bt")}
    assert scripts
    assert scripts <= {each.recipe for each in SUBJECTS}
    assert {each.recipe for each in SUBJECTS if each.plain_differs} <= scripts


def figures_of(text: str) -> list[dict[str, object]]:
    return yaml.safe_load(text)["overhead"].get("measured", [])


class TestPage:
    def test_it_has_costs_ratios_and_what_could_not_be_measured(self) -> None:
        page = as_page({"r": ALL})
        row = next(line for line in page.splitlines() if line.startswith("| [r]"))
        assert (
            row
            == "| [r](#r) | wake-up | 711 (+12%) | 521 (-1%) | 1.00 | none | needs kprobes | 1.30 | 1.04 |"
        )

    def test_programs_that_ran_by_chance_are_not_in_it(self) -> None:
        assert "sched_switch 1.00 of 90 |" in as_page({"r": ALL})

    def test_output_that_was_lost_is_named(self) -> None:
        losing = replace(ours("0.27.1", 520.6), lost=0.251)
        assert "| 521 (+12%), 0.25 lines lost for an event |" in as_page({"r": measured(losing)})

    def test_it_says_where_and_when_of_each(self) -> None:
        later = replace(ALL, recipe="s", date="2026-11-30")
        page = as_page({"r": ALL, "s": later})
        assert "- 2026-11-29, Linux 6.18.44, libbpf-tools 0.5; 3 rounds: r\n" in page
        assert "- 2026-11-30, Linux 6.18.44, libbpf-tools 0.5; 3 rounds: s\n" in page

    def test_a_recipe_that_does_not_run_there_says_why(self) -> None:
        page = as_page({"r": measured(ours("0.27.1", None, None, "no probe | here"))})
        assert r"| wake-up | no probe \| here | none | none | none |" in page


class TestStored:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "cost.json"
        stored.write(path, {"r": ALL})
        assert stored.read(path) == {"r": ALL}
        assert stored.read(tmp_path / "none.json") == {}

    def test_the_cheapest_turn_and_the_shortest_times_are_kept(self) -> None:
        tool = Tool("libbpf", "r -P", "", ("r",))
        turns = [
            Turn((ProgramCost("a", 1.0, 300.0), ProgramCost("b", 2.0, 50.0)), 110, 150),
            Turn((ProgramCost("a", 1.0, 200.0), ProgramCost("b", 2.0, 60.0)), 100, 160),
        ]
        kept = stored.figure(Cost(tool, turns), shortest_free_ns([Cost(tool, turns)]))
        assert (kept.ns, kept.runs, kept.slowdown) == (320.0, 3.0, 0.5)


class TestRecipe:
    def test_figures_stand_at_the_end_of_the_block(self) -> None:
        edited = with_figures(RECIPE, ALL)
        assert edited == RECIPE.replace(
            "    More of it.\n",
            "    More of it.\n"
            "  measured:\n"
            '    - {bpftrace: 0.17.0, kernel: "6.18", event: wake-up, ns: 711, slowdown: 0.12}\n'
            '    - {bpftrace: 0.27.1, kernel: "6.18", event: wake-up, ns: 521, slowdown: -0.01}\n',
        )

    def test_later_figures_take_the_place_of_earlier_ones(self) -> None:
        once = with_figures(RECIPE, ALL)
        assert with_figures(once, ALL) == once
        again = with_figures(once, measured(ours("0.27.1", 100.0)))
        assert [(each["bpftrace"], each["ns"]) for each in figures_of(again)] == [("0.27.1", 100)]
        assert with_figures(once, measured(ours("0.27.1", None, None, "no"))) == RECIPE

    def test_members_behind_the_figures_stay(self) -> None:
        text = RECIPE.replace("  reason: >", "  measured: []\n  reason: >")
        assert figures_of(with_figures(text, ALL)) == figures_of(with_figures(RECIPE, ALL))

    def test_figures_of_another_kernel_stay_where_they_are_of_the_same_event(self) -> None:
        other = measured(ours("0.27.1", 700.0), kernel="6.1")
        text = with_figures(with_figures(RECIPE, other), ALL)
        assert [(each["kernel"], each["ns"]) for each in figures_of(text)] == [
            ("6.1", 700),
            ("6.18", 711),
            ("6.18", 521),
        ]
        renamed = with_figures(text, replace(ALL, event="wait"))
        assert {each["event"] for each in figures_of(renamed)} == {"wait"}

    def test_a_layout_that_would_be_damaged_is_refused(self) -> None:
        with pytest.raises(Misread, match="no `overhead:`"):
            with_figures("id: r\noverhead: {level: low, reason: x}\n", ALL)

    @pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
    def test_in_a_recipe_of_the_catalogue_nothing_else_changes(self, path: Path) -> None:
        before = path.read_text()
        edited = with_figures(before, replace(ALL, recipe=path.stem))
        lines = [line for line in difflib.ndiff(before.splitlines(), edited.splitlines()) if line[0] in "+-"]
        assert all(line[1:].strip() == "measured:" or "- {bpftrace: " in line for line in lines), lines
        recipe = Recipe.model_validate(yaml.safe_load(edited))
        assert [(each.bpftrace, each.ns) for each in recipe.overhead.measured] == [
            ("0.17.0", 711),
            ("0.27.1", 521),
        ]


class TestSubjects:
    def test_each_recipe_is_measured_once(self) -> None:
        assert sorted(each.recipe for each in SUBJECTS) == sorted(path.stem for path in RECIPES)

    def test_each_load_is_there_and_its_event_can_stand_in_a_recipe(self) -> None:
        for subject in SUBJECTS:
            one = measured(ours("0.27.1", 1.0), event=LOADS[subject.load].event)
            Recipe.model_validate(yaml.safe_load(with_figures(RECIPES[0].read_text(), one)))
