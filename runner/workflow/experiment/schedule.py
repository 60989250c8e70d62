"""The order of runs: blocks of ABBA and BAAB in turns, so that a load that drifts favours neither side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.compare.limits import ALPHA
from runner.compare.planning import LEAST_BLOCKS, least_runs
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from runner.compare.document import SideName

_ABBA: tuple[tuple[SideName, ...], ...] = (
    ("before", "after", "after", "before"),
    ("after", "before", "before", "after"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is to be recorded: `before` is without the change, `after` with it.

    :param number: From 1.
    :param block: From 1.
    """

    number: int
    block: int
    side: SideName


def schedule(rounds: int | None, outcomes: int) -> list[Run]:
    """Return the runs in their order.

    :param rounds: Blocks of four; None for the least that can decide.
    :param outcomes: How many primary outcomes share the error level, at most, in one comparison.
    :raises ValueRefused: So few could decide nothing.
    """
    least = max(LEAST_BLOCKS, least_runs(ALPHA / outcomes, in_blocks=True) // 2)
    blocks = least if rounds is None else rounds
    if blocks < least:
        raise ValueRefused(
            f"{blocks} rounds of four runs cannot decide anything: {least} are the least",
            hint=f"rounds: {least}",
        )
    sides = [side for block in range(blocks) for side in _ABBA[block % 2]]
    return [Run(place + 1, place // 4 + 1, side) for place, side in enumerate(sides)]


def order_in_words(runs: list[Run]) -> str:
    """Return the order as people write it: `ABBA BAAB ABBA`, A without the change."""
    letters = "".join("A" if run.side == "before" else "B" for run in runs)
    return " ".join(letters[place : place + 4] for place in range(0, len(letters), 4))
