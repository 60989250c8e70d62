"""Shares of a whole as people write them: `1%`, `0.5%`."""

import re

from runner.errors import ValueRefused

_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")

LEAST_SHARE = 0.0001
"""A hundredth of a percent: what is below it is less than reading the statistics takes."""


def parse_share(option: str, text: str) -> float:
    """Return a share of 1, from a hundredth of a percent to all of it.

    :raises ValueRefused: Naming the option and what it takes.
    """
    match = _SHARE.fullmatch(text)
    share = float(match[1]) / 100 if match else 0.0
    if not LEAST_SHARE <= share <= 1:
        raise ValueRefused(
            f"{option} {text!r}: not a share from 0.01% to 100%",
            hint=f"did you mean {option} {text}%?"
            if _SHARE.fullmatch(f"{text}%") and LEAST_SHARE <= float(text) / 100 <= 1
            else f"{option} takes 1%, 0.5% or 20%: a share of all processors together, from 0.01% to 100%",
        )
    return share
