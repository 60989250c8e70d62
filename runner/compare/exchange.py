"""Arrangements of runs over the two sides of a comparison: all of them, or a seeded sample.

An arrangement says which runs are called *after*; within a block each side keeps its number of runs. It
is given by what it exchanges: runs of the side *after* that leave it, and as many of *before* that take
their place.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Number = TypeVar("Number", int, float)

MOST_ENUMERATED = 200_000
"""With more arrangements than that a sample of them is drawn."""

SAMPLED = 9_999
"""How many are drawn: with the observed one that is a round number."""

_SEED = 20_000


def arrangements(sizes: Sequence[tuple[int, int]]) -> int:
    """Return how many arrangements there are.

    :param sizes: Of each block, the number of runs before and after; of an unpaired comparison, one pair.
    """
    return math.prod(math.comb(before + after, after) for before, after in sizes)


def least_p(sizes: Sequence[tuple[int, int]]) -> float:
    """Return the least two-sided p that this many runs can reach, whatever they say.

    5 runs a side reach 2/252, 4 reach 2/70; 3 blocks of ABBA reach 2/216.
    """
    return min(1.0, 2 / arrangements(sizes))


def is_sampled(sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether there are too many to look at each."""
    return arrangements(sizes) > MOST_ENUMERATED


def exchanges(
    before: Sequence[Sequence[Number]], after: Sequence[Sequence[Number]]
) -> Iterator[tuple[Number, Number, int]]:
    """Return what each arrangement exchanges: all but the observed one, or a sample of all.

    The sample is the same for the same numbers of runs, so that a comparison says the same each time.

    :param before: Values by block; `after` has the same blocks.
    """
    sizes = tuple((len(one), len(other)) for one, other in zip(before, after, strict=True))
    if is_sampled(sizes):
        return _sampled(list(itertools.chain(*before)), list(itertools.chain(*after)), sizes)
    return _enumerated(before, after)


def _enumerated(
    before: Sequence[Sequence[Number]], after: Sequence[Sequence[Number]]
) -> Iterator[tuple[Number, Number, int]]:
    found: list[tuple[Number, Number, int]] = []
    for count in range(min(len(before[0]), len(after[0])) + 1):
        entered = [sum(runs) for runs in itertools.combinations(before[0], count)]
        for left in map(sum, itertools.combinations(after[0], count)):
            found += [(left, each, count) for each in entered]
    if len(before) == 1:
        return iter(found[1:])
    nothing = before[0][0] - before[0][0]
    rest = list(_enumerated(before[1:], after[1:]))
    rest.insert(0, (nothing, nothing, 0))
    both = ((one[0] + other[0], one[1] + other[1], one[2] + other[2]) for one in found for other in rest)
    next(both)
    return both


def _sampled(
    before: Sequence[Number], after: Sequence[Number], sizes: tuple[tuple[int, int], ...]
) -> Iterator[tuple[Number, Number, int]]:
    return ((sum(leave(after)), sum(enter(before)), count) for leave, enter, count in _sample(sizes))


Picker = Callable[[Sequence[Any]], Sequence[Any]]
"""Takes the values of all runs of a side and returns those of some."""


@functools.lru_cache(maxsize=4)
def _sample(sizes: tuple[tuple[int, int], ...]) -> list[tuple[Picker, Picker, int]]:
    """Return who picks the runs that leave and those that enter, and how many; drawn with replacement."""
    chance = random.Random(_SEED)  # noqa: S311
    drawn: list[tuple[Picker, Picker, int]] = []
    for _ in range(SAMPLED):
        left: list[int] = []
        entered: list[int] = []
        first_before = first_after = 0
        for before, after in sizes:
            keys = [chance.random() for _ in range(before + after)]
            order = sorted(range(before + after), key=keys.__getitem__)
            entered += [first_before + place for place in order[:after] if place < before]
            left += [first_after + place - before for place in order[after:] if place >= before]
            first_before += before
            first_after += after
        drawn.append((_picker(left), _picker(entered), len(left)))
    return drawn


def _picker(places: Sequence[int]) -> Picker:
    # An itemgetter of one place returns no tuple, and of none there is none.
    return itemgetter(*places) if len(places) > 1 else lambda values: [values[place] for place in places]
