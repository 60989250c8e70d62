"""What an experiment is going to do, and which remedies there are, as the command line prints them."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from runner.errors import ExitCode, ValueRefused
from runner.recipe.model_remedy import Remedy
from runner.recipe.remedies import find_remedy, remedy_paths
from runner.workflow.command import own_command, reason_of
from runner.workflow.experiment.conduct import refuse_where_one_was_left
from runner.workflow.experiment.journal import Entry
from runner.workflow.experiment.schedule import order_in_words
from runner.workflow.experiment.switch import refuse_if_so_already

if TYPE_CHECKING:
    from runner.recipe.model_remedy import RemedyParameter
    from runner.workflow.experiment.measuring import Measured
    from runner.workflow.experiment.prepare import Prepared


def plan_as_text(prepared: Prepared) -> str:
    """Return what would be done.

    :raises EbpfRecipeError: This host cannot, or a setting cannot be read.
    """
    change = prepared.change
    refuse_where_one_was_left()
    prepared.load.check()
    change.check_host()
    entries = [Entry(setting=each, before=each.read()) for each in change.settings]
    refuse_if_so_already(entries)
    for measure, _ in prepared.measures:
        _check_words(measure)
    lines = [f"{prepared.title}", f"change: {change.title}"]
    if change.caution:
        lines.append(f"when not: {change.caution}")
    for entry in entries:
        setting, before = entry.setting, entry.before
        lines += [f"  {setting.name} is {before or 'nothing'!r} now"]
        lines += [f"    change  {command}" for command in setting.change_by_hand]
        lines += [f"    revert  {command}" for command in setting.revert_by_hand(before)]
    load = prepared.load
    if load.prepare:
        lines.append(f"before each run: {shlex.join(load.prepare)}")
    lines.append(
        f"load: {shlex.join(load.argv) if load.argv else f'what comes by itself, {load.duration} a run'}"
    )
    lines += [f"measured by: {' '.join(measure.words)}" for measure, _ in prepared.measures]
    lines.append(
        f"{prepared.warm_up} to warm up, then {len(prepared.runs)} runs: {order_in_words(prepared.runs)} "
        "(A without the change, B with it); the first run says how long it will take"
    )
    return "\n".join(lines)


def _check_words(measure: Measured) -> None:
    """Have the recipe's options looked at by the command itself; nothing is traced.

    :raises ValueRefused: They are not its options, or have not such values.
    """
    done = subprocess.run(
        own_command("run", *measure.words, "--dry-run"), capture_output=True, text=True, check=False
    )
    if done.returncode in (ExitCode.USAGE, ExitCode.VALUE):
        raise ValueRefused(f"{measure.recipe}: {reason_of(done.stderr, done.returncode)}")


def remedies_as_text() -> str:
    """Return all remedies, each with its parameters and when it is not to be used.

    :raises RecipeRefused: A file has mistakes.
    """
    lines: list[str] = []
    for name in remedy_paths():
        remedy = find_remedy(name).remedy
        lines += [f"{remedy.id:<20} {remedy.layer:<6} {remedy.title}"]
        lines += [f"    {_parameter(each)}" for each in remedy.parameters]
        lines += [f"    {_kind(remedy)}measure with {', '.join(remedy.measure)}"]
    return "\n".join(lines)


def _parameter(parameter: RemedyParameter) -> str:
    more = (
        "required"
        if parameter.required
        else f"default {parameter.default}"
        if parameter.default
        else "may be left out"
    )
    return f"{parameter.name}: {parameter.description} [{parameter.type}, {more}]"


def _kind(remedy: Remedy) -> str:
    return "advice; " if remedy.advice is not None else ""
