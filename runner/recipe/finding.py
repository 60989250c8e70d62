"""What is wrong with a recipe, and where: findings, the rules' ids, the refusal that carries findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Severity = Literal["error", "warning"]

RULES: Mapping[str, Severity] = {
    "layout": "error",
    "unreadable": "error",
    "path-outside": "error",
    "yaml-syntax": "error",
    "yaml-duplicate-key": "error",
    "yaml-expansion": "error",
    "model": "error",
    "id-file-name": "error",
    "id-duplicate": "error",
    "layer-folder": "error",
    "placeholder": "error",
    "title-style": "warning",
    "description-verb": "error",
    "reference-missing": "error",
    "related-unknown": "error",
    "unit-kind": "error",
    "unit-none": "warning",
    "primary-statistic": "error",
    "primary-direction": "warning",
    "above-pair": "error",
    "hypothesis-unknown": "error",
    "evidence-condition": "error",
    "remedy-unknown": "error",
    "remedy-value": "error",
    "sign-unknown": "error",
    "feature-unused": "warning",
    "template-missing": "error",
    "template-orphan": "warning",
    "template-syntax": "error",
    "include-missing": "error",
    "include-cycle": "error",
    "include-dynamic": "error",
    "undefined-name": "error",
    "hand-written": "error",
    "map-undeclared": "error",
    "map-unused": "error",
    "render": "error",
    "program-braces": "error",
    "probe-unguarded": "error",
    "probe-wildcard": "error",
    "wildcard-counted": "warning",
    "value-unused": "error",
    "variant-unreachable": "error",
    "runbook-name": "error",
    "runbook-template": "error",
    "runbook-reference": "error",
    "runbook-secret": "error",
    "runbook-recipe": "error",
    "runbook-gate": "error",
    "runbook-value": "error",
    "experiment-value": "error",
}
"""Every rule's id and how grave it is to break it; `docs/lint.md` says what each holds."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake.

    :param path: The file, as it was named.
    :param line: From 1.
    :param column: From 1; 1 where it is not known.
    :param rule: Which rule is broken: a key of `RULES`.
    """

    path: str
    line: int
    column: int
    rule: str
    text: str

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return RULES[self.rule]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.text}"


class RecipeRefused(ValueRefused):
    """A recipe or its template has mistakes: a line of the message for each.

    :ivar findings: The mistakes, in the order of their places.
    """

    def __init__(self, findings: Iterable[Finding], *, hint: str | None = None) -> None:
        self.findings = sorted(set(findings))
        super().__init__("\n".join(str(finding) for finding in self.findings), hint=hint)
