"""What a hypothesis proposes, as plans have it: with the commands that change it by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.recipe.by_hand import commands_by_hand
from runner.recipe.model_hypothesis import PLACES
from runner.recipe.remedies import find_remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.recipe.model_hypothesis import ProposedRemedy
    from runner.workflow.documents import PlannedRemedy

_PLACE = re.compile(rf"\$\$({'|'.join(PLACES)})\b")


def planned_remedy(proposed: ProposedRemedy) -> PlannedRemedy:
    """Return a remedy as a plan has it: `$device` is filled in later, `$$` is a dollar sign.

    :raises ValueRefused: There is no such remedy.
    :raises RecipeRefused: Its file has mistakes.
    """
    if proposed.remedy is None:
        assert proposed.title is not None
        return {"title": proposed.title, "commands": [], "revert": [], "caution": proposed.caution}
    remedy = find_remedy(proposed.remedy).remedy
    change, revert = commands_by_hand(remedy, proposed.given)
    cautions = [each for each in (proposed.caution, _escaped(remedy.when_not)) if each is not None]
    if remedy.advice is not None:
        cautions.insert(0, _escaped(remedy.advice))
        return {"title": remedy.title, "commands": [], "revert": [], "caution": " ".join(cautions)}
    return {
        "title": remedy.title,
        "commands": _with_places(change),
        "revert": _with_places(revert),
        "caution": " ".join(cautions),
        "remedy": remedy.id,
        "given": dict(proposed.given),
    }


def _with_places(commands: Sequence[str]) -> list[str]:
    return [_PLACE.sub(r"$\1", _escaped(each)) for each in commands]


def _escaped(text: str) -> str:
    return text.replace("$", "$$")
