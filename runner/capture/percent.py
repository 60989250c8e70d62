"""Shares as people read them."""

import math


def in_percent(share: float) -> str:
    """Return a share as people read it: three digits, and no fewer than it takes to tell it from none."""
    percent = share * 100
    digits = max(0, min(4, 2 - math.floor(math.log10(percent)))) if percent > 0 else 0
    shown = f"{percent:.{digits}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown}%"
