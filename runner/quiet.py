"""Whether other BPF programs leave room for samples: they would be dropped, before they are taken."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from runner.errors import HostRefused
from runner.host import kernel
from runner.overhead import others_cpu_ratio

if TYPE_CHECKING:
    from runner.recipe.model import Recipe

_MOST_BUSY = 0.02
"""The share of samples that may be lost."""


class QuietCheck:
    """Measures what other programs take, for a fifth of a second, beside whatever else goes on."""

    def __init__(self, recipe: Recipe) -> None:
        """Measure nothing yet, and nothing at all where a recipe takes no samples by the clock."""
        self._recipe = recipe
        self._share = 0.0
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin; while our own programs are not attached, all that run are others'."""
        if self._recipe.sampling is not None and self._thread is None:
            self._thread = threading.Thread(target=self._measure, name="quiet", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait for the figure; what is to be checked later is measured anew.

        :raises HostRefused: They take more than a fiftieth of the host's processors.
        """
        self.begin()
        if self._thread is None:
            return
        self._thread.join()
        self._thread = None
        if self._share > _MOST_BUSY:
            raise HostRefused(
                f"{self._recipe.id} takes samples, and about {self._share:.0%} of them would be dropped: "
                f"other BPF programs are busy that much of the time",
                hint="wait for the other run to end (`ebpf-recipe programs --stats 2s` names the programs)",
            )

    def _measure(self) -> None:
        # Where it is not ours to measure, the number of samples will tell.
        with contextlib.suppress(OSError):
            self._share = others_cpu_ratio() / kernel.cpus_online()


def check_quiet(recipe: Recipe) -> None:
    """Refuse to take samples by the clock while other BPF programs are busy.

    :raises HostRefused: They take more than a fiftieth of the host's processors.
    """
    QuietCheck(recipe).finish()
