"""What a recipe costs: a level and why, and what was measured of it."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from runner.recipe.cost import EVENT, KERNEL, LEAST_SLOWDOWN, MOST_NS, MOST_SLOWDOWN, RELEASE
from runner.recipe.model_base import Strict, Text


class MeasuredCost(Strict):
    """What all programs of the recipe took under a fixed load, with one bpftrace on one kernel."""

    bpftrace: Annotated[str, StringConstraints(pattern=RELEASE)]
    """The release, as `bpftrace --version` says it: 0.27.1."""
    kernel: Annotated[str, StringConstraints(pattern=KERNEL)]
    """The kernel's release, as far as its second number: 6.18."""
    event: Annotated[str, StringConstraints(pattern=EVENT)]
    """What the load did a known number of times: wake-up."""
    ns: Annotated[int, Field(ge=1, le=MOST_NS, strict=True)]
    """Nanoseconds that the recipe's programs ran, all of them together, for each such event."""
    slowdown: (
        Annotated[float, Field(gt=LEAST_SLOWDOWN, le=MOST_SLOWDOWN, allow_inf_nan=False, strict=True)] | None
    ) = None
    """By what part of its time the load took longer: 0.12 is 12 %. Its own variation makes it less than 0."""


class OverheadNote(Strict):
    """What the recipe costs: a level, and why."""

    level: Literal["low", "medium", "high"]
    reason: Text
    measured: tuple[MeasuredCost, ...] = ()
    """With each bpftrace and kernel once, all of one event."""

    @model_validator(mode="after")
    def _side_by_side(self) -> Self:
        pairs = [(each.bpftrace, each.kernel) for each in self.measured]
        twice = sorted({pair for pair in pairs if pairs.count(pair) > 1})
        if twice:
            shown = ", ".join(f"{bpftrace} on {kernel}" for bpftrace, kernel in twice)
            raise ValueError(f"measured: {shown} stands twice")
        if len({each.event for each in self.measured}) > 1:
            raise ValueError("measured: costs of different events cannot be compared")
        return self
