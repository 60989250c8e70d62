"""What the runs of an experiment say: a comparison of each recipe, by the rules of `compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from runner.compare.comparing import compare
from runner.compare.encode import encode_comparison
from runner.compare.loading import read_side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.compare.document import Comparison as Whole
    from runner.compare.document import SideName
    from runner.workflow.experiment.document import Comparison, ExperimentResult
    from runner.workflow.experiment.folder import ExperimentFolder
    from runner.workflow.experiment.prepare import Prepared


def judge(prepared: Prepared, folder: ExperimentFolder, result: ExperimentResult) -> list[Comparison]:
    """Compare the runs of each recipe, and keep the comparisons.

    :raises ValueRefused: There is nothing to compare.
    """
    found: list[Comparison] = []
    for place, (measure, wanted) in enumerate(prepared.measures):
        sides = [_side(folder, result, place, side) for side in ("before", "after")]
        comparison = compare(read_side(sides[0], "before"), read_side(sides[1], "after"), wanted)
        name = f"comparisons/{measure.recipe}.json"
        folder.write(name, encode_comparison(comparison))
        found.append(
            {
                "recipe": measure.recipe,
                "words": list(measure.words),
                "verdict": comparison["verdict"],
                "reason": comparison["reason"],
                "anew": comparison["anew"],
                "outcomes": [cast("dict[str, Any]", row) for row in comparison["tables"] if row["primary"]],
                "load": cast("dict[str, Any] | None", comparison["load"]),
                "gates": [cast("dict[str, Any]", gate) for gate in comparison["gates"]],
                "problems": [*(each["detail"] for each in comparison["problems"]), *_notes(comparison)],
                "file": name,
            }
        )
    return found


def _side(folder: ExperimentFolder, result: ExperimentResult, place: int, side: SideName) -> list[str]:
    runs = [run for run in result["runs"] if run["number"] and run["side"] == side]
    return [str(folder.path / run["captures"][place]) for run in runs]


def _notes(comparison: Whole) -> Iterator[str]:
    """Return what is to be known of a verdict on nothing, and of a load that is as fast as it can."""
    for row in comparison["tables"]:
        if row["primary"] and row["statistic"] == "above" and not row["before"] and not row["after"]:
            yield (
                f"nothing of {row['name']} was above {row.get('threshold')} on either side: "
                f"--primary {row['name']}.mean-log2, or a lower threshold, sees more"
            )
    load = comparison["load"]
    if load is not None and load["differs"] and load["unit"] != "events":
        yield (
            "the load did more with one side than with the other: one that runs as fast as it can does so; "
            "have it run at a fixed rate"
        )
