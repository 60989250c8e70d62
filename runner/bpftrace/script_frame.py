"""What the runner adds to a foreign script, and in which format bpftrace then loses least."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.bpftrace.frame import END_MAP, FramedProgram, closing_probes

if TYPE_CHECKING:
    from runner.bpftrace.dialect import Dialect
    from runner.bpftrace.output_format import OutputFormat
    from runner.bpftrace.script import Script

_SHAPED = ("histogram", "stats", "time-series")
"""Kinds of maps whose rows cannot be printed one by one."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """In which format bpftrace prints, and which maps the program prints row by row besides.

    Up to 0.23 JSON keeps every key and says where a message ends. Later releases drop the spaces of keys
    in JSON, where rows that the program prints itself have them; of histograms and statistics it cannot
    print rows, and text, which drops no more than parentheses, loses least.
    """

    form: OutputFormat
    row_maps: tuple[str, ...] = ()


_LEAST_END = 1_000_000_000
"""What ours does in a BEGIN always takes as many columns."""


def _begin(token: str, end_value: int) -> str:
    return f'{END_MAP} = {end_value}; printf("{token}\\n");'


def own_places(message: str, name: str, script: Script) -> str:
    """Return a message of bpftrace with the places of the script as it was given: its name, and its columns.

    :param name: What the script is called.
    """
    begin = script.begin()
    line = script.text.count("\n", 0, begin) + 1 if begin is not None else 0
    column = begin - script.text.rfind("\n", 0, begin) - 1 if begin is not None else 0
    shift = len(_begin("ebpf-recipe-ready-" + "0" * 16, _LEAST_END)) + 2

    def own(match: re.Match[str]) -> str:
        first, last = int(match[2]), int(match[3])
        if int(match[1]) == line and first > column:
            first, last = max(column, first - shift), max(column, last - shift)
        return f"{name}:{match[1]}:{first}-{last}"

    return re.sub(r"stdin:(\d+):(\d+)-(\d+)", own, message).replace("stdin:", f"{name}:")


def carrier_for(script: Script, dialect: Dialect) -> Carrier:
    """Return what loses least of a script's output on a release."""
    if not dialect.drops_spaces_of_keys:
        return Carrier("json")
    texts = {name: use for name, use in script.maps.items() if use.parts != 0 and use.may_hold_text}
    rows = tuple(name for name, use in texts.items() if use.kind not in _SHAPED)
    is_shaped = any(use.kind in _SHAPED for use in texts.values())
    # What is printed meanwhile has no rows that are printed one by one besides.
    is_printed = bool(texts) and script.prints_maps_meanwhile
    return Carrier("text" if is_shaped or is_printed or script.has_paths_of_groups else "json", rows)


def frame_script(
    script: Script, carrier: Carrier, *, runner: int | None, limit_seconds: int | None
) -> FramedProgram:
    """Put the runner's own probes around a script, without moving any of its lines.

    A second BEGIN is refused up to 0.23: what ours does stands in the script's own, where it has one.
    """
    token = f"ebpf-recipe-ready-{secrets.token_hex(8)}"
    end_value = _LEAST_END + secrets.randbelow(_LEAST_END)
    begin = _begin(token, end_value)
    place = script.begin()
    if place is not None:
        text = f"{script.text[:place]} {begin} {script.text[place:]}"
    else:
        text = f"{script.text}\nBEGIN {{ {begin} }}\n"
    text += closing_probes(
        runner=runner,
        limit_seconds=limit_seconds,
        row_maps=carrier.row_maps,
        is_text=carrier.form == "text",
    )
    return FramedProgram(text, token, end_value)
