"""Rules about evidence: its hypothesis is there, its conditions can be held against the recipe's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.condition import Limit, parse_condition
from runner.errors import NotParsed, ValueRefused
from runner.recipe.finding import RecipeRefused
from runner.recipe.hypotheses import near_ids
from runner.recipe.lint.subject import Subject
from runner.recipe.objective import DEFAULT_OBJECTIVE
from runner.recipe.thresholds import check_gates
from runner.recipe.yaml_file import YamlFile, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.recipe.finding import Finding
    from runner.recipe.load import LoadedRecipe


def evidence(subject: Subject, known: Mapping[str, object]) -> Iterator[Finding]:
    """What a result speaks for is a hypothesis, and each condition is one on the recipe's tables.

    :param known: The ids of all hypotheses.
    """
    for field, items in (("supports", subject.recipe.supports), ("refutes", subject.recipe.refutes)):
        for place, item in enumerate(items):
            if item.hypothesis not in known:
                text = f"there is no hypothesis {item.hypothesis!r}{near_ids(item.hypothesis, known)}"
                yield subject.finding("hypothesis-unknown", (field, place, "hypothesis"), text)
            for number, condition in enumerate(item.when):
                text = _mistake(subject, condition) or ""
                if text:
                    yield subject.finding("evidence-condition", (field, place, "when", number), text)


def check_evidence(loaded: LoadedRecipe, known: Mapping[str, object]) -> None:
    """Refuse a recipe whose evidence has mistakes, before anything is measured for it.

    :raises RecipeRefused: All of them, with their places in its file.
    """
    if not (loaded.recipe.supports or loaded.recipe.refutes):
        return
    # Its file is read once more only where something is wrong: places are not kept.
    blind = Subject(YamlFile(loaded.path, None, ()), loaded.recipe, loaded.path.parent.name, ())
    if any(evidence(blind, known)):
        subject = Subject(read_yaml(loaded.path), loaded.recipe, loaded.path.parent.name, ())
        raise RecipeRefused(evidence(subject, known), hint="`ebpf-recipe lint` checks all of it")


def _mistake(subject: Subject, condition: str) -> str | None:
    try:
        parsed = parse_condition(DEFAULT_OBJECTIVE.filled_in(condition), what="condition")
        if not isinstance(parsed, Limit):
            return f"{condition!r} needs two sets of captures"
        check_gates(subject.recipe, [parsed])
    except (NotParsed, ValueRefused) as error:
        return error.message
    except ValueError as error:
        return str(error)
    return None
