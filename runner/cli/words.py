"""Words of a fixed vocabulary on the command line."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_word(option: str, given: str | None, vocabulary: Sequence[str]) -> None:
    """Refuse a word that is not in the vocabulary, with the nearest that is.

    :raises ValueRefused: It is not.
    """
    if given is None or given in vocabulary:
        return
    near = difflib.get_close_matches(given, vocabulary, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(vocabulary)}"
    raise ValueRefused(f"{option} {given!r}: there is no such word", hint=hint)
