"""What an objective of latency allows, as people write it: `p99 <= 10ms`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from string import Template

from runner.errors import ValueRefused

_OBJECTIVE = re.compile(r"\s*p(\d{2})(?:\.?(\d{1,2}))?\s*<=?\s*(\d{1,9})\s*(us|ms|s)\s*")
_US = {"us": 1, "ms": 1000, "s": 1_000_000}
_LONGEST_US = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Objective:
    """So much of everything has to be done in time.

    :param text: As it is written.
    :param microseconds: What is in time.
    :param tail: The share that may take longer, in percent, as it is written in conditions.
    """

    text: str
    microseconds: int
    tail: str

    @property
    def time(self) -> str:
        """Return what is in time, as parameters and conditions have it."""
        return _written(self.microseconds)

    @property
    def enough(self) -> int:
        """Return how many have to be seen before that none is late says something: the rule of three."""
        return math.ceil(300 / Fraction(self.tail.removesuffix("%")))

    def filled_in(self, condition: str) -> str:
        """Return a condition with the objective's numbers for `$slo`, `$tail`, `$tenth` and `$enough`.

        :raises ValueError: It has another word with a dollar sign.
        """
        words = {
            "slo": self.time,
            "tail": self.tail,
            "tenth": _written(max(self.microseconds // 10, 1)),
            "enough": str(self.enough),
        }
        try:
            return Template(condition).substitute(words)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{condition!r}: it knows $slo, $tail, $tenth and $enough") from error


def parse_objective(option: str, text: str) -> Objective:
    """Return an objective.

    :raises ValueRefused: It is none.
    """
    found = _OBJECTIVE.fullmatch(text)
    microseconds = int(found[3]) * _US[found[4]] if found else 0
    if found is None or int(found[1]) < 50 or not 1 <= microseconds <= _LONGEST_US:
        raise ValueRefused(
            f"{option} {text!r}: not an objective of latency",
            hint=f"such as {option} 'p99 <= 10ms' or 'p99.9 <= 2s': p50 and above, at most an hour",
        )
    digits = found[1] + (found[2] or "")
    above = 10 ** len(digits) - int(digits)
    tail = f"{above / 10 ** (len(digits) - 2):.{max(len(digits) - 2, 0)}f}%"
    shown = found[1] + (f".{found[2]}" if found[2] else "")
    return Objective(f"p{shown} <= {_written(microseconds)}", microseconds, tail)


def _written(microseconds: int) -> str:
    for unit in ("s", "ms"):
        if microseconds % _US[unit] == 0:
            return f"{microseconds // _US[unit]}{unit}"
    return f"{microseconds}us"


DEFAULT_OBJECTIVE = Objective("p99 <= 10ms", 10_000, "1%")
"""Where nobody says: what is taken for slow in a service that people wait for."""
