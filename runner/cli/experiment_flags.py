"""An experiment that options describe, a file, or a case's remedy."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from runner.errors import ValueRefused
from runner.recipe.model_base import location_text
from runner.recipe.remedies import find_remedy
from runner.workflow.experiment.load import load_experiment
from runner.workflow.experiment.model import Experiment
from runner.workflow.option_words import options_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Flags:
    """What options say of an experiment."""

    remedy: str | None
    given: list[str]
    settings: list[str]
    read: str | None
    apply: str | None
    verify: str | None
    revert: str | None
    netns: str | None
    measure: list[str]
    primary: list[str]
    margin: str | None
    gate: list[str]
    prepare: str | None
    duration: str | None
    settle: str | None
    warm_up: int | None
    rounds: int | None
    load: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """An experiment that is to be tried.

    :param directory: Of its file.
    :param case: The directory of the case whose remedy it is, and the hypothesis.
    """

    experiment: Experiment
    directory: Path
    case: tuple[str, str] | None = None


def experiment_of(file: Path | None, flags: Flags, case: Path | None) -> Found:
    """Return the experiment that was asked for.

    :raises ValueRefused: It is not said, or said twice.
    """
    if file is not None:
        said = [each.name for each in fields(flags) if getattr(flags, each.name) and each.name != "rounds"]
        if said or case is not None:
            raise ValueRefused(
                f"{file} says what is tried: beside it there is no {_option(said[0]) if said else '--case'}",
                hint="--rounds, --keep and --dir go with a file",
            )
        loaded = load_experiment(file)
        changed = {} if flags.rounds is None else {"rounds": flags.rounds}
        return Found(_checked({**loaded.model_dump(by_alias=True), **changed}), file.parent)
    if case is not None:
        from runner.workflow.proof import tried_of_case  # cases are not needed for others

        tried = tried_of_case(case, flags.remedy, _pairs(flags.given, "--with"))
        measures = _measures(flags) or tried.measures
        change = {"remedy": tried.remedy, "with": tried.given}
        return Found(
            _checked(_document(flags, tried.remedy, change, measures)), Path(), (str(case), tried.hypothesis)
        )
    change, named = _change(flags)
    return Found(_checked(_document(flags, named, change, _measures(flags))), Path())


def _document(
    flags: Flags, named: str, change: dict[str, Any], measures: list[dict[str, Any]]
) -> dict[str, Any]:
    if not measures:
        raise ValueRefused("what measures it? --measure 'RECIPE OPTIONS'", hint=_usual(change))
    if not flags.load and flags.duration is None:
        raise ValueRefused("under which load? -- COMMAND, or --duration where it comes by itself")
    if flags.netns is not None:
        change = {**change, "netns": flags.netns}
    first = {"primary": flags.primary, "margin": flags.margin, "gates": flags.gate}
    measures = [{**measures[0], **{name: value for name, value in first.items() if value}}, *measures[1:]]
    said = {
        "load": flags.load or None,
        "duration": flags.duration,
        "prepare": flags.prepare,
        "settle": flags.settle,
        "warm-up": flags.warm_up,
        "rounds": flags.rounds,
    }
    return {
        "experiment": 1,
        "id": named,
        "title": _title(change),
        "change": change,
        "measure": measures,
        **{name: value for name, value in said.items() if value is not None},
    }


def _usual(change: dict[str, Any]) -> str:
    """Return which recipes measure a change, where that is known."""
    if "remedy" not in change:
        return "ebpf-recipe list"
    remedy = find_remedy(change["remedy"]).remedy
    return f"{remedy.id} is measured with {', '.join(remedy.measure)}"


def _change(flags: Flags) -> tuple[dict[str, Any], str]:
    """Return the change that options describe, and a name for it."""
    by_commands = [flags.read, flags.apply, flags.verify, flags.revert]
    ways = [flags.remedy is not None, bool(flags.settings), any(by_commands)]
    if sum(ways) != 1:
        raise ValueRefused(
            "what is changed? FILE, or one of --remedy, --set, and --read with --apply and --revert",
            hint="ebpf-recipe experiment --list names the remedies",
        )
    if flags.remedy is not None:
        return {"remedy": flags.remedy, "with": _pairs(flags.given, "--with")}, flags.remedy
    if flags.given:
        raise ValueRefused("--with gives values to a --remedy")
    if flags.settings:
        specs = [
            {"file" if name.startswith("/") else "sysctl": name, "value": value}
            for name, value in _pairs(flags.settings, "--set").items()
        ]
        return {"settings": specs}, "settings"
    if None in (flags.read, flags.apply, flags.revert):
        raise ValueRefused(
            "a change by commands has --read, --apply and --revert; --verify where it can be seen"
        )
    texts = {"read": flags.read, "apply": flags.apply, "verify": flags.verify, "revert": flags.revert}
    spec = {name: text for name, text in texts.items() if text is not None}
    return {"settings": [{"name": flags.apply[:60] if flags.apply else "", **spec}]}, "commands"


def _title(change: dict[str, Any]) -> str:
    if "remedy" in change:
        values = "".join(f" {name}={value}" for name, value in change["with"].items())
        return f"{change['remedy']}{values}"[:80]
    first = change["settings"][0]
    return (
        f"{first['name']}"
        if "name" in first
        else f"{first.get('file', first.get('sysctl'))}={first['value']}"
    )[:80]


def _measures(flags: Flags) -> list[dict[str, Any]]:
    return [_measure(text) for text in flags.measure]


def _measure(text: str) -> dict[str, Any]:
    try:
        all_words = shlex.split(text)
    except ValueError as error:
        raise ValueRefused(f"--measure {text!r}: {error}") from error
    if not all_words:
        raise ValueRefused("--measure: it names no recipe", hint="'runqlat --comm nginx'")
    recipe, *words = all_words
    try:
        given = options_of(words)
    except ValueRefused as error:
        raise ValueRefused(f"--measure {text!r}: {error.message}", hint="'runqlat --comm nginx'") from error
    return {"recipe": recipe, "with": given}


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ValueRefused(f"{option} {text!r}: it is NAME=VALUE")
        if name in found:
            raise ValueRefused(f"{option}: {name} is given twice")
        found[name] = value
    return found


def _checked(document: dict[str, Any]) -> Experiment:
    try:
        return Experiment.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueRefused(
            f"{location_text(first['loc'])}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def _option(field: str) -> str:
    words = {"given": "with", "settings": "set", "warm_up": "warm-up"}
    return "-- LOAD" if field == "load" else f"--{words.get(field, field)}"
