"""What an investigation is tested on: what one would type of a load, and what is known of it without any probe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load that runs, and goes on until the end of its block.

    :param symptoms: What somebody on call would say of it, the likeliest first.
    :param filters: What they would type for whom they say it of: `("--comm", "nginx")`.
    :param counters: Reads what the kernel counts of the load, by name; none ever falls. The docstring of
        each scenario says which.
    :param latencies: Reads how long each operation of the load took since it began, in nanoseconds, by its kind, by
        the load's own clock.
    """

    symptoms: tuple[str, ...]
    filters: tuple[str, ...]
    counters: Callable[[], dict[str, int]]
    latencies: Callable[[], dict[str, list[int]]]

    @property
    def symptom(self) -> str:
        """Return the likeliest."""
        return self.symptoms[0]

    def since(
        self, before: tuple[Mapping[str, int], Mapping[str, list[int]]]
    ) -> tuple[dict[str, int], dict[str, list[int]]]:
        """Return by how much each counter rose, and the operations that ended, after an earlier `now`."""
        counters, latencies = self.now()
        return (
            {name: value - before[0][name] for name, value in counters.items()},
            {kind: each[len(before[1][kind]) :] for kind, each in latencies.items()},
        )

    def now(self) -> tuple[dict[str, int], dict[str, list[int]]]:
        """Return both, as they are."""
        return self.counters(), self.latencies()


def schedstat(pids: Iterable[int]) -> dict[str, int]:
    """Return what the scheduler counts of processes of one thread: /proc/PID/schedstat.

    :return: `ran_ns`, `waited_ns` (runnable, without a processor) and `runs` (how often they got one), summed.
    """
    each = [[int(word) for word in Path(f"/proc/{pid}/schedstat").read_text().split()] for pid in pids]
    return {
        name: sum(one[place] for one in each) for place, name in enumerate(("ran_ns", "waited_ns", "runs"))
    }
