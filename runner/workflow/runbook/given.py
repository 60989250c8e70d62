"""What was given for a runbook's parameters, parsed; secrets apart, so that nothing shows them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import ValueRefused
from runner.recipe.examples import EXAMPLES
from runner.recipe.parameters import Duration, Number, parse_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.workflow.runbook.model import Runbook
    from runner.workflow.runbook.model_parameter import RunbookParameter

MASK = "***"


@dataclass(frozen=True, slots=True)
class Given:
    """The values of a run.

    :param values: By the words of templates: numbers, texts, lists of them; None where nothing was given.
    :param shown: By the names of parameters, what documents say of them.
    :param secrets: What is never shown.
    """

    values: Mapping[str, Any]
    shown: Mapping[str, Any]
    secrets: tuple[str, ...]

    def mask(self, text: str) -> str:
        """Return a text without what is secret, and with U+FFFD for what is not UTF-8."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return readable(text)


def readable(text: str) -> str:
    """Return a text with U+FFFD for bytes of a command line that are not UTF-8: JSON has no others."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def parse_parameters(
    runbook: Runbook, texts: Mapping[str, tuple[str, ...]], environment: Mapping[str, str]
) -> Given:
    """Parse what was given, take the rest from the environment and from defaults.

    :param texts: By the names of parameters.
    :raises ValueRefused: Naming the option, the value and what it may be; of a secret without the value.
    """
    values: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    secrets: list[str] = []
    for parameter in runbook.parameters:
        given = _given(parameter, texts.get(parameter.name, ()), environment)
        if parameter.secret:
            values[parameter.word] = _secret(given)
            shown[parameter.name] = MASK if given else None
            secrets += given
            continue
        found = [
            each.number if isinstance(each, Number) and not isinstance(each, Duration) else text
            for text, each in zip(given, parse_values(parameter.name, parameter.kind, given), strict=True)
        ]
        said = [readable(each) if isinstance(each, str) else each for each in found]
        values[parameter.word] = found if parameter.repeatable else next(iter(found), None)
        shown[parameter.name] = said if parameter.repeatable else next(iter(said), None)
    # The longest first: one may be a part of another.
    return Given(values, shown, tuple(sorted(secrets, key=len, reverse=True)))


def _given(
    parameter: RunbookParameter, texts: tuple[str, ...], environment: Mapping[str, str]
) -> tuple[str, ...]:
    variable = parameter.environment
    if not texts and variable is not None and environment.get(variable):
        texts = (environment[variable],)
    if not texts and parameter.default is not None:
        texts = (parameter.default,)
    if len(texts) > 1 and not parameter.repeatable:
        raise ValueRefused(f"--{parameter.name} takes one value, {len(texts)} were given")
    if parameter.required and not texts:
        example = EXAMPLES.get(parameter.type, parameter.kind.metavar)
        hint = f"such as --{parameter.name} {shlex.quote(example)}"
        raise ValueRefused(
            f"the runbook needs --{parameter.name} {parameter.kind.metavar}: {parameter.description}",
            hint=f"set {variable} in the environment" if parameter.secret and variable else hint,
        )
    return texts


def _secret(given: tuple[str, ...]) -> str | None:
    if not given:
        return None
    (secret,) = given
    if not secret or not secret.isprintable():
        raise ValueRefused("a secret is one line of printable text")
    return secret
