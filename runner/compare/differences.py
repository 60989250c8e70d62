"""What differs between runs that are compared, besides their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.condition_check import shape_of
from runner.compare.findings import SIDES
from runner.compare.hosts import host_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.capture.condition_check import TableShape
    from runner.compare.document import ProblemCode
    from runner.compare.findings import Findings
    from runner.compare.runs import RecordedRun


def mark_differences(sides: Sequence[Sequence[RecordedRun]], found: Findings) -> None:
    """Tell what is not the same in all runs: what was meant to be changed, or what spoils the comparison.

    :param sides: Before and after; neither is empty.
    """
    for code, aspect, what in _ASPECTS:
        wanted = aspect(sides[0][0])
        for side, name in zip(sides, SIDES, strict=True):
            for run in side:
                seen = aspect(run)
                if seen != wanted:
                    detail = f"{what} is {_shown(seen)}, of the first run before it is {_shown(wanted)}"
                    found.add(code, name, run.files, detail, left_out=False)
    _mark_shapes(sides, found)
    names = host_names([run for side in sides for run in side])
    if len(names) > 1:
        detail = f"runs are of {len(names)} hosts: {', '.join(names)}"
        found.add("other-host", None, [], detail, left_out=False)
        return
    boots = {run.first["host"]["boot_id"] for side in sides for run in side} - {None}
    if len(boots) > 1:
        detail = f"{names[0]} was booted {len(boots)} times, or these are several machines of one name"
        found.add("other-host", None, [], detail, left_out=False)


def _mark_shapes(sides: Sequence[Sequence[RecordedRun]], found: Findings) -> None:
    first: dict[str, TableShape] = {}
    for side, name in zip(sides, SIDES, strict=True):
        for run in side:
            for table in run.all_tables:
                shape = shape_of(table)
                wanted = first.setdefault(shape.name, shape)
                if shape != wanted:
                    detail = f"the table {shape.name} is {_described(shape)}, "
                    detail += f"of the first run that has it {_described(wanted)}"
                    found.add("other-unit", name, run.files, detail, left_out=False)


def _described(shape: TableShape) -> str:
    keys = ", ".join(f"{name} ({kind or 'any'})" for name, kind in shape.keys.items())
    return f"a {shape.kind} in {shape.unit or 'no unit'} by {keys or 'no keys'}"


def _program(run: RecordedRun) -> Any:
    recipe, program = run.first["recipe"], run.first["program"]
    if recipe is not None:
        return {"recipe": recipe["digest"], "variant": recipe["variant"], "by": recipe.get("by")}
    return None if program is None else program["sha256"]


_ASPECTS: tuple[tuple[ProblemCode, Callable[[RecordedRun], Any], str], ...] = (
    ("other-program", _program, "the program"),
    ("other-parameters", lambda run: run.first["parameters"], "what was given for its parameters"),
    ("other-target", lambda run: run.first["target"], "the target"),
    ("other-kernel", lambda run: run.first["host"]["kernel"], "the kernel"),
    ("other-bpftrace", lambda run: run.first["host"]["bpftrace"], "bpftrace"),
)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        parts = [f"{name} {_shown(each)}" for name, each in value.items() if each is not None]
        return ", ".join(parts) or "none"
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return "not known" if value is None else str(value)
