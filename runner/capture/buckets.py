"""Layouts of histogram buckets: which values an index stands for, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass

BucketBounds = tuple[int | None, int | None]
"""Lowest and highest value of a bucket, both inclusive; None is open."""

NEGATIVE: BucketBounds = (None, -1)

_TOP_BIT = 63
_WORD = 1 << 64


@dataclass(frozen=True, slots=True)
class LogBuckets:
    """Powers of two, each cut into 2^bits equal parts; single values below 2^(bits+1).

    The buckets are those of bpftrace's `hist(x, bits)` (since v0.20, src/types_format.cpp).

    :param bits: 0 to 5: a bucket is at most 1/2^bits as wide as its lower bound.
    """

    bits: int = 2

    def index(self, value: int) -> int:
        """Return the index of a 64-bit value; a negative one is taken as its two's complement."""
        word = value % _WORD
        if word >> self.bits == 0:
            return word
        exponent = word.bit_length() - 1
        part = (word >> (exponent - self.bits)) & ((1 << self.bits) - 1)
        return ((exponent - self.bits + 1) << self.bits) + part

    def bounds(self, index: int, *, is_unsigned: bool) -> BucketBounds:
        """Return the values of a bucket.

        :param is_unsigned: Values of 2^63 and more are what they are; else they are negative ones.
        :raises ValueError: There is no such bucket.
        """
        parts = 1 << self.bits
        if index < parts:
            if index < 0:
                raise ValueError(f"there is no bucket {index}")
            return index, index
        exponent = (index >> self.bits) + self.bits - 1
        if exponent > _TOP_BIT:
            raise ValueError(f"there is no bucket {index}")
        if exponent == _TOP_BIT and not is_unsigned:
            return NEGATIVE
        width = 1 << (exponent - self.bits)
        lower = (parts + (index & (parts - 1))) * width
        return lower, lower + width - 1


@dataclass(frozen=True, slots=True)
class LinearBuckets:
    """Buckets of one width from `minimum` up to `maximum` (exclusive), and one open bucket at each end."""

    minimum: int
    maximum: int
    step: int

    def index(self, value: int) -> int:
        """Return the index of a signed value: 0 below the minimum."""
        if value < self.minimum:
            return 0
        return (min(value, self.maximum) - self.minimum) // self.step + 1

    def bounds(self, index: int, *, is_unsigned: bool) -> BucketBounds:  # noqa: ARG002
        """Return the values of a bucket.

        :raises ValueError: There is no such bucket.
        """
        lower = self.minimum + (index - 1) * self.step
        if index == 0:
            return None, self.minimum - 1
        if index < 0 or lower > self.maximum:
            raise ValueError(f"there is no bucket {index}")
        return lower, None if lower == self.maximum else lower + self.step - 1


Buckets = LogBuckets | LinearBuckets
