"""How the JSON of a bpftrace release differs from the values that it means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""What a release does to its output; each seen on 0.17.0, 0.23.2 and 0.27.1.

    :param escapes_keys_twice: Keys of maps are escaped twice (0.22 and 0.23).
    :param drops_spaces_of_keys: Keys of maps lose their spaces (since 0.24).
    :param counts_turn_hexadecimal: After the first `\u` escape, counts of histograms and values of time
        series are hexadecimal (since 0.24: std::hex stays on the output stream).
    :param hist_holds_31_bits: hist() takes every value of 2^31 and more for one of its last bucket, whose
        bounds overflow (up to 0.19).
    :param refusals_are_told: An update that the kernel refused is reported (0.23: unasked; later ones keep
        silent with `--no-warnings`, without which warnings of the compilation stand between the data).
    :param splits_averages: avg() and stats() take two cells of a map for each key (up to 0.20).
    """

    escapes_keys_twice: bool = False
    drops_spaces_of_keys: bool = False
    counts_turn_hexadecimal: bool = False
    hist_holds_31_bits: bool = False
    refusals_are_told: bool = False
    splits_averages: bool = False


def dialect_of(version: tuple[int, int, int]) -> Dialect:
    """Return the dialect of a release."""
    return Dialect(
        escapes_keys_twice=(0, 22) <= version[:2] < (0, 24),
        drops_spaces_of_keys=version[:2] >= (0, 24),
        counts_turn_hexadecimal=version[:2] >= (0, 24),
        hist_holds_31_bits=version[:2] < (0, 20),
        refusals_are_told=version[:2] == (0, 23),
        splits_averages=version[:2] < (0, 21),
    )
