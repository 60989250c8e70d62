"""`run --repeat N`: independent runs, one after the other; each is judged, and kept when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.capture.document import Capture
    from runner.cli.several import Several
    from runner.interrupts import Interrupts
    from runner.recipe.model import Recipe


@dataclass(frozen=True, slots=True)
class Repeats:
    """How a run is repeated.

    :param seconds: How long each lasts, where that is known.
    :param several: Takes captures as JSON, where they are not printed one by one.
    :param is_spaced: Tables go to stdout, with a line between runs.
    """

    times: int
    seconds: float | None
    several: Several | None
    is_spaced: bool


def run_repeatedly(
    repeats: Repeats, once: Callable[[], Capture], recipe: Recipe, interrupts: Interrupts
) -> None:
    """Run until all runs are over, one fails, or a signal comes; what is done is kept.

    :param once: Runs, prints or keeps what it says, and returns the capture of the whole run.
    :raises TraceFailed, WorkloadFailed: A run is void, or its command failed.
    :raises Interrupted, Terminated: A signal came before a run was complete.
    :raises typer.Exit: With 1, where a gate of a run counts as failed.
    """
    from runner.cli.output import say

    if repeats.seconds is not None:
        say(
            f"{repeats.times} runs of {repeats.seconds:g} s: {repeats.times * repeats.seconds:g} s, "
            "and each time what bpftrace takes to start and to end"
        )
    captures: list[Capture] = []
    try:
        _run_all(repeats, once, recipe, interrupts, captures)
    finally:
        if repeats.several is not None and captures:
            repeats.several.close()
    _exit_by_gates(captures)


def judged(capture: Capture, recipe: Recipe) -> None:
    """Say what one run says, and fail or exit by it.

    :raises TraceFailed, WorkloadFailed: It is void, or its command failed.
    :raises typer.Exit: With 1, where a gate counts as failed.
    """
    from runner.cli.gates import say_gates
    from runner.cli.run_end import finish

    say_gates(capture)
    finish(capture, recipe)
    _exit_by_gates([capture])


def _run_all(
    repeats: Repeats,
    once: Callable[[], Capture],
    recipe: Recipe,
    interrupts: Interrupts,
    captures: list[Capture],
) -> None:
    from runner.cli.gates import say_gates
    from runner.cli.output import print_text, say
    from runner.cli.run_end import finish
    from runner.errors import EbpfRecipeError, Interrupted, Terminated

    complete = 0
    for number in range(1, repeats.times + 1):
        say(f"run {number} of {repeats.times}")
        if number > 1 and repeats.is_spaced:
            print_text("")
        try:
            capture = once()
            captures.append(capture)
            interrupts.keep_from_now_on()
            say_gates(capture)
            finish(capture, recipe)
        except (Interrupted, Terminated) as error:
            if not complete:
                raise
            say(f"note: {complete} of {repeats.times} runs are complete: {error.message}")
            return
        except EbpfRecipeError as error:
            error.message = f"run {number} of {repeats.times}: {error.message}"
            raise
        else:
            complete += capture["window"]["ended_by"] != "interrupt"
        if interrupts.first is not None:
            _stop(interrupts.first, complete, repeats.times)
            return


def _stop(signal: str, complete: int, times: int) -> None:
    """Say how many runs a signal left complete.

    :raises Interrupted, Terminated: None.
    """
    from runner.cli.output import say
    from runner.errors import Interrupted, Terminated

    if complete == 0:
        kind = Terminated if signal == "SIGTERM" else Interrupted
        raise kind(
            f"{signal} before a run was complete: what there is of the first one says that it was interrupted"
        )
    if complete < times:
        say(f"note: {signal} ended the runs: {complete} of {times} are complete")


def _exit_by_gates(captures: list[Capture]) -> None:
    from runner.cli.gates import exit_by_gates

    for capture in captures:
        exit_by_gates(capture)
