"""Least and greatest values as bpftrace carries them: the value's top bit, and the max() of the rest.

bpftrace 0.17 leaves no row for min() of 2^32 and more, nor for max() of a negative value: both start from
zero and compare as signed. So every release is given max() of 63 bits, which is never negative, and the
top bit as the last part of the key; for the least value the 63 bits are inverted.
"""

from typing import Literal

LOW_BITS = (1 << 63) - 1


def extreme(kind: Literal["min", "max"], by_top_bit: dict[int, int], *, is_unsigned: bool) -> int:
    """Return the extreme of all values.

    :param by_top_bit: What max() kept of the values whose top bit is 0 and of those where it is 1.
    """
    # The top bit is the sign of a signed value, and the greater half of the unsigned ones.
    wanted = (kind == "max") == is_unsigned
    bit = max(by_top_bit) if wanted else min(by_top_bit)
    low = by_top_bit[bit] if kind == "max" else LOW_BITS - by_top_bit[bit]
    weight = (1 << 63) if is_unsigned else -(1 << 63)
    return low + bit * weight
