"""The labels of histogram rows in text, as bounds."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = rb"-?\d{1,20}[KMGTPE]?"
_LABEL = re.compile(
    rb"\(\.\.\., (?P<below>%b)\)|\[(?P<one>%b)\]|\[(?P<lower>%b), (?:(?P<upper>%b)|\.\.\.)\)"
    % ((_NUMBER,) * 4)
)
_SUFFIXES = "KMGTPE"


@lru_cache(maxsize=4096)
def hist_bounds(label: bytes) -> Mapping[str, int] | None:
    """Return the inclusive bounds, `min` and `max`, of a label such as `[512, 1K)`; None for other texts.

    An open bound is left out, as in bpftrace's JSON. Suffixes are powers of 1024 in every release.
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        return None
    if match["below"]:
        return MappingProxyType({"max": _number(match["below"]) - 1})
    if match["one"]:
        return MappingProxyType(dict.fromkeys(("min", "max"), _number(match["one"])))
    lower = {"min": _number(match["lower"])}
    return MappingProxyType(lower | {"max": _number(match["upper"]) - 1} if match["upper"] else lower)


def _number(text: bytes) -> int:
    suffix = text[-1:].decode()
    power = _SUFFIXES.find(suffix) + 1 if suffix in _SUFFIXES else 0
    return int(text[: len(text) - (power > 0)]) << (10 * power)
