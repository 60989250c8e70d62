"""Programs for hosts that have bpftrace and nothing of ours, and their output as captures.

Such a program prints first what it is: recipe, filters, parameters, and the facts that it was made for.
Its output can then be decoded anywhere, by a release of ours that would make the same program.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from runner.bpftrace.frame import END_MAP, closing_statements, row_maps
from runner.bpftrace.recording import Moment, Recording
from runner.bpftrace.version import DEFAULT_MAP_KEYS, Bpftrace, features_of, parse_release
from runner.capture.quality import problem
from runner.errors import EbpfRecipeError, NotUnderstood
from runner.host.facts_file import decode_facts, encode_facts
from runner.outcome import Outcome
from runner.plan import Plan
from runner.recipe.catalogue import find_recipe
from runner.recipe.given import parse_given
from runner.recipe.probe_heads import check_wildcards
from runner.recipe.render import render_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.bpftrace.messages import Messages
    from runner.capture.document import Capture, Problem
    from runner.host.facts import HostFacts
    from runner.recipe.load import LoadedRecipe

SCHEMA = "ebpf-recipe/rendered/v1"

MARK = f"{SCHEMA} ".encode()
_LINE = re.compile(re.escape(MARK) + rb"([A-Za-z0-9+/=]+)(?:\\n|\n)")
_BEGAN = re.compile(r"ebpf-recipe/began (\d{1,20})\n?")
_ENDED = re.compile(r"ebpf-recipe/ended (\d{1,20})\n?")
_TIME = re.compile(r"ebpf-recipe/time (\d{1,12})\n?")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a program says of itself.

    :param end_value: What the map that is printed last holds.
    """

    plan: Plan
    room: int
    end_value: int


def render_for_node(
    loaded: LoadedRecipe,
    texts: Mapping[str, tuple[str, ...]],
    facts: HostFacts,
    *,
    max_map_keys: int | None = None,
    buffer_pages: int | None = None,
    count: Callable[[str], int | None] | None = None,
) -> str:
    """Return a program for a host with these facts.

    :param texts: Parameters and target filters as they were given, by name.
    :param count: Counts what a wildcard matches there; without it nobody knows.
    :raises ValueRefused: A value is wrong, or a wildcard matches much or nobody knows what.
    :raises HostRefused: A host with these facts cannot run the recipe.
    """
    recipe = loaded.recipe
    bpftrace = Bpftrace(Path("bpftrace"), parse_release("bpftrace", facts.bpftrace))
    values = parse_given(recipe, texts)
    program = render_program(loaded, values, facts)
    check_wildcards(program.text, count or (lambda _: None), recipe.id)
    end_value = secrets.randbits(31) | 1
    room = max_map_keys or recipe.max_map_keys
    header = {
        "recipe": recipe.id,
        "given": {name: list(each) for name, each in texts.items() if each},
        "facts": orjson.loads(encode_facts(facts)),
        "room": room or DEFAULT_MAP_KEYS,
        "program_sha256": program.sha256,
        "end_value": end_value,
    }
    encoded = base64.b64encode(orjson.dumps(header)).decode("ascii")
    head, variables = bpftrace.settings(
        max_map_keys=room,
        buffer_pages=buffer_pages,
        text_bytes=bpftrace.text_bytes if recipe.prints_texts else None,
    )
    settings = "".join(f"{name}={value} " for name, value in variables.items())
    options = " --no-warnings" if bpftrace.version >= (0, 24, 0) else ""
    options += " --unsafe" if Plan(loaded, values, facts, bpftrace, program).is_unsafe else ""
    rows = row_maps([output.declaration() for output in recipe.outputs], bpftrace.dialect)
    return (
        f"// {recipe.id} for bpftrace {facts.bpftrace}, Linux {facts.kernel}. As root, for 10 s:\n"
        f"//   {settings}timeout -s INT 10 bpftrace -f json{options} {recipe.id}.bt > {recipe.id}.out\n"
        f"// and anywhere: ebpf-recipe decode {recipe.id}.out\n"
        f'{head}BEGIN {{ {END_MAP} = {end_value}; printf("{MARK.decode()}{encoded}\\n"); '
        'printf("ebpf-recipe/began %llu\\n", nsecs); time("ebpf-recipe/time %s\\n"); } '
        f"{program.text}"
        '\nEND { printf("ebpf-recipe/ended %llu\\n", nsecs); '
        f"{closing_statements(rows, program.scratch_maps)} }}\n"
    )


_LAST_SECOND = 4102444800
"""The year 2100, in seconds since 1970."""

_LAST_READING = 100 * 366 * 86_400 * 10**9
"""A hundred years without a restart, in nanoseconds."""


def rendered_of(head: bytes) -> Rendered | None:
    """Return what the beginning of an output says of its program; None where it says nothing.

    :raises NotUnderstood: It is of a program that this release does not make.
    """
    match = _LINE.search(head)
    if match is None:
        return None
    try:
        header: Any = orjson.loads(base64.b64decode(match[1], validate=True))
        facts = decode_facts(orjson.dumps(header["facts"]), features_of, "the output")
        loaded = find_recipe(str(header["recipe"]))
        texts = {str(name): tuple(map(str, given)) for name, given in header["given"].items()}
        values = parse_given(loaded.recipe, texts)
        program = render_program(loaded, values, facts)
        room, end_value = int(header["room"]), int(header["end_value"])
        is_same = program.sha256 == header["program_sha256"]
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, EbpfRecipeError) as error:
        raise NotUnderstood(f"the output is of a program that cannot be made again: {error}") from error
    if not is_same:
        raise NotUnderstood(
            f"the output is of another program than this release makes of {loaded.recipe.id}",
            hint="decode it with the release of ebpf-recipe that rendered the program",
        )
    bpftrace = Bpftrace(Path("bpftrace"), parse_release("bpftrace", facts.bpftrace))
    return Rendered(Plan(loaded, values, facts, bpftrace, program), room, end_value)


def capture_of(rendered: Rendered, messages: Messages, *, is_contradictory: bool) -> Capture:
    """Return the capture of what a rendered program printed.

    When its last probe was attached and what it cost are not known, nor on which host it ran.

    :param is_contradictory: The output is not of the release that the program was made for.
    :raises NotUnderstood: A map was printed in a shape that its declaration does not have.
    """
    began, ended, wall = (_found(pattern, messages) for pattern in (_BEGAN, _ENDED, _TIME))
    messages.others = [each for each in messages.others if not _is_ours(each)]
    if (wall or 0) > _LAST_SECOND or not 0 <= (began or 0) <= (ended or began or 0) <= _LAST_READING:
        raise NotUnderstood("the output says that it began or ended at no time that a clock shows")
    started = Moment(began or 0, datetime.fromtimestamp(wall or 0, UTC))
    recording = Recording(started, rendered.end_value)
    if began is not None and wall is not None and ended is not None:
        recording.ended = Moment(ended, started.time_of(ended))
    problems: tuple[Problem, ...] = ()
    if is_contradictory:
        release = rendered.plan.facts.bpftrace
        problems = (problem("release-unclear", None, f"bpftrace {release} does not print all of this"),)
    outcome = Outcome(
        rendered.plan, recording, None, rendered.room, problems, messages=messages, is_elsewhere=True
    )
    return outcome.capture()


def _found(pattern: re.Pattern[str], messages: Messages) -> int | None:
    for _, data in messages.others:
        match = pattern.fullmatch(data) if isinstance(data, str) else None
        if match is not None:
            return int(match[1])
    return None


def _is_ours(message: tuple[str, Any]) -> bool:
    return isinstance(message[1], str) and message[1].startswith("ebpf-recipe/")
