"""What a result speaks for or against: conditions on a recipe's tables, each with its reason."""

from typing import Annotated, Literal

from pydantic import Field

from runner.recipe.model_base import Id, Strict, Text

Company = Literal["any", "attached", "none"]
"""What may run beside a recipe in an investigation: `attached` is what is attached already, for where another
bpftrace compiles meanwhile that would be measured too."""


class Evidence(Strict):
    """What all of some conditions together say of a hypothesis.

    In a condition `$slo` stands for the time that the objective allows (10 ms unless given), `$tail` for the
    share that may take longer (1 %), `$tenth` for a tenth of the time, and `$enough` for three times the
    inverse of the share.
    """

    hypothesis: Id
    when: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Conditions on the recipe's tables, as gates are written (docs/gates.md)."""
    reason: Text
    """Why these thresholds, and what follows where they are passed."""


class Support(Evidence):
    """What speaks for a hypothesis."""

    establishes: bool = False
    """It is enough; else it makes the hypothesis likely and no more."""
