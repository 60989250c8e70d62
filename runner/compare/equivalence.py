"""Whether two sides are the same: two one-sided tests inside a margin.

Schuirmann's procedure (Journal of Pharmacokinetics and Biopharmaceutics 15, 1987), each of its two tests
a permutation test: the effect at the edge of the margin is taken away from the side *after*, or divided
out of it, and the runs are then exchangeable. So it needs no shape of the runs' distribution, it works
within blocks, and what it says never contradicts the interval beside it: `same` is said where the
interval of level 1 - 2 alpha lies inside the margin. A margin relative to the mean before is tested as a
ratio; that this mean is itself measured is in the test. docs/compare.md has its power beside that of
Welch's t, which needs normal runs and is better at 5 runs a side alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.compare.margin import Margin
    from runner.compare.permutation import PermutationTest


def p_same(test: PermutationTest, margin: Margin) -> float:
    """Return the p of the effect lying outside the margin: the greater one of the two one-sided tests."""
    return max(test.p_less(margin.upper), test.p_greater(margin.lower))


def p_beyond(test: PermutationTest, margin: Margin) -> tuple[float, float]:
    """Return the two-sided p of the effect not lying below the margin, and of it not lying above.

    Twice the one-sided one, as there are two sides to err on.
    """
    return min(1.0, 2 * test.p_less(margin.lower)), min(1.0, 2 * test.p_greater(margin.upper))
