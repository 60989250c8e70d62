"""Which parameters the steps of a runbook cannot do without: asked for before the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.workflow.runbook.model import places_of_steps
from runner.workflow.runbook.template import Expression, Template
from runner.workflow.runbook.texts import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.workflow.runbook.model import AnyStep

Place = tuple[str | int, ...]


def parameters_needed(
    steps: Sequence[AnyStep], context: Mapping[str, Any], at: Place = ("steps",)
) -> Iterator[tuple[str, Place]]:
    """Return the words of the parameters that texts of steps say by themselves, each with the text's place.

    Left out are those of a step whose `when` hangs on parameters alone and is not so, and those under `with`:
    an option without a value is left out.

    :param context: What expressions are evaluated with before the first step.
    :raises ValueRefused: A `when` is neither true nor false.
    """
    for number, step in enumerate(steps):
        place = (*at, number)
        if step.when is not None:
            when = Expression(step.when)
            if all(each.step is None for each in when.references) and not when.holds(context):
                continue
        for text in texts_of(step):
            if text.place[0] == "with":
                continue
            for reference in Template(text.text).said:
                if reference.path[0] == "parameters":
                    yield reference.path[1].replace("-", "_"), (*place, *text.place)
        for inside, more in places_of_steps(step):
            yield from parameters_needed(more, context, (*place, *inside))
