"""Texts of a runbook with the values that its parameters have where nobody gives one: what lint looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import ValueRefused
from runner.recipe.examples import EXAMPLES
from runner.workflow.runbook.given import parse_parameters
from runner.workflow.runbook.template import NotATemplate, Template
from runner.workflow.runbook.values import Values

if TYPE_CHECKING:
    from runner.workflow.runbook.model import Runbook
    from runner.workflow.runbook.model_parameter import RunbookParameter

_EXAMPLES = {"duration": EXAMPLES["duration"], "integer": "50"}
"""By type, what is as good as any value where a gate is read: `latency.p50` is there too."""


class Sample:
    """Values of a runbook's parameters: the default, or an example of the type."""

    def __init__(self, runbook: Runbook) -> None:
        texts = {each.name: _text(each) for each in runbook.parameters}
        known = tuple(each for each in runbook.parameters if texts[each.name] is not None)
        given = {name: (text,) for name, text in texts.items() if text is not None}
        values = parse_parameters(runbook.model_copy(update={"parameters": known}), given, {}).values
        self._context = {"parameters": Values(values, lambda name: ValueRefused(f"{name} is not known"))}

    def filled(self, text: str) -> str | None:
        """Return a text with these values; None where it needs others."""
        try:
            template = Template(text)
            if any(each.path[0] != "parameters" for each in template.references):
                return None
            return template.render(self._context)
        except (NotATemplate, ValueRefused):
            return None


def _text(parameter: RunbookParameter) -> str | None:
    if parameter.default is not None or parameter.secret:
        return parameter.default
    is_bounded = parameter.minimum is not None or parameter.maximum is not None
    return None if is_bounded else _EXAMPLES.get(parameter.type)
