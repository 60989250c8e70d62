"""A gate step: conditions held against the capture of a run before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.condition_check import check_condition, shape_of
from runner.capture.gate import gate_results
from runner.capture.read import read_capture
from runner.errors import ExitCode
from runner.recipe.catalogue import find_recipe
from runner.workflow.runbook.check_recipe import parse_gate
from runner.workflow.runbook.model import RunStep, walk
from runner.workflow.runbook.result import Result
from runner.workflow.runbook.values import Measured

if TYPE_CHECKING:
    from runner.capture.document import GateResult
    from runner.workflow.runbook.model import GateStep
    from runner.workflow.runbook.scene import Scene


def perform_gate(step: GateStep, scene: Scene) -> Result:
    """Judge.

    :raises EbpfRecipeError: A condition is wrong, or the capture cannot be read.
    """
    runs = (each for each, _ in walk(scene.loaded.runbook.steps) if isinstance(each, RunStep))
    of = next(each for each in runs if each.name == step.of)
    recipe = find_recipe(of.run).recipe
    gates = [parse_gate(recipe, scene.text(text)) for text in step.conditions]
    name = scene.outputs.get(step.of, {}).get("capture")
    if name is None:
        reason = f"there is nothing to decide by: the run {step.of} left no capture"
        return Result(ExitCode.NEGATIVE, reason, {"verdict": "inconclusive", "gates": []})
    capture = read_capture(scene.work.path / name)
    shapes = [shape_of(table) for table in capture["tables"]]
    for gate in gates:
        check_condition(gate, shapes)
    results = gate_results(gates, capture, step.inconclusive)
    for result in results:
        scene.tell("gate", step.name, gate_text(result))
    outputs: dict[str, Any] = {"verdict": _verdict(results), "gates": results}
    failed = [gate_text(result) for result in results if result["counts_as"] == "fail"]
    return Result(ExitCode.NEGATIVE if failed else ExitCode.DONE, "; ".join(failed) or None, outputs)


def gate_text(result: GateResult) -> str:
    """Return what a gate says in one line."""
    measured = result["measured"]
    found = f" (measured: {Measured(**measured)})" if measured is not None else ""
    why = f": {result['reason']}" if result["reason"] else ""
    return f"{result['gate']}: {result['verdict']}{found}{why}"


def _verdict(results: list[GateResult]) -> str:
    verdicts = {result["verdict"] for result in results}
    return "fail" if "fail" in verdicts else "inconclusive" if "inconclusive" in verdicts else "pass"
