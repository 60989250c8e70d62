"""The command to type after an experiment."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.workflow.experiment.document import ExperimentResult

_VALUED = ("--rounds", "--dir")
"""Options of the last time that are not those of the next."""


def next_command(result: ExperimentResult, typed: Sequence[str]) -> str | None:
    """Return what to type next; None where nothing is left to be done.

    :param typed: The words of the command that it was.
    """
    if result["state"] == "not-as-before":
        return "ebpf-recipe experiment recover"
    if result["ending"] != "finished":
        return None
    if result["verdict"] == "better" and result["state"] == "as-before" and result["exit_code"] == 0:
        return _typed(typed, "--keep")
    if result["verdict"] == "inconclusive":
        needed = [row.get("runs_needed") for row in result["comparisons"][0]["outcomes"]]
        known = [each for each in needed if each is not None]
        # Two of each side are in a round.
        if known and 2 * result["design"]["runs"] // 4 < max(known):
            return _typed(typed, "--rounds", str(-(-max(known) // 2)))
    return None


def _typed(typed: Sequence[str], *options: str) -> str:
    place = list(typed).index("--") if "--" in typed else len(typed)
    words: list[str] = []
    rest = iter(typed[:place])
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith(tuple(f"{each}=" for each in _VALUED)):
            words.append(word)
    return shlex.join(["ebpf-recipe", "experiment", *words, *options, *typed[place:]])
