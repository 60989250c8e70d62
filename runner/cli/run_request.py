"""What a command line asks of a run of a recipe: its options read, and combinations refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from runner.cli.options import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.capture.condition import Limit
    from runner.cli.run_options import Given
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Recipe
    from runner.recipe.parameters import Value

DEFAULT_DURATION = "10s"
LEAST_WINDOW_MS = 100
MOST_RUNS = 1000
_EXCLUDES = {
    "--dry-run": (
        "--replay",
        "--record",
        "--output",
        "-- COMMAND",
        "--sudo",
        "--budget",
        "--gate",
        "--junit",
    ),
    "--replay": ("--record", "-- COMMAND", "--sudo", "--duration", "--interval", "--windows", "--budget"),
    "--budget": ("--overhead off",),
    "--interval": ("--record", "--dry-run"),
    "--windows": ("--interval", "--count", "--record", "--dry-run"),
    "--repeat": ("--record", "--replay"),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A run of a recipe as it is asked for.

    :param texts: What was given for the recipe's own parameters, thresholds of gates among it.
    :param seconds: How long it lasts; None where something else ends it.
    :param window_ms: How long each window is; None where it is not cut.
    :param windows: How many there are to be, where that was asked for; `most` after how many the run ends.
    :param repeat: How often it is run; None where it is one run.
    :param folder: The directory for several captures; `output` is the file for one.
    """

    given: Given
    loaded: LoadedRecipe
    values: Mapping[str, tuple[Value, ...]]
    gates: list[Limit]
    command: list[str] | None
    seconds: float | None
    window_ms: int | None
    windows: int | None
    most: int | None
    repeat: int | None
    room: int | None
    pages: int | None
    budget: float | None
    output: Path | None
    folder: Path | None


def read_request(
    given: Given, loaded: LoadedRecipe, texts: Mapping[str, tuple[str, ...]], command: list[str] | None
) -> Request:
    """Read the options of a run.

    :param texts: What was given for the recipe's own parameters.
    :raises ValueRefused, NotParsed: A value is wrong.
    """
    from runner.cli.gates import parse_gates
    from runner.recipe.by import split_by
    from runner.recipe.cgroups import cgroups_asked_for
    from runner.recipe.durations import parse_interval
    from runner.recipe.given import parse_given
    from runner.recipe.parameters import parse_count, parse_power
    from runner.recipe.shares import parse_share

    _check_given(given, command)
    gates = parse_gates(given.gate, given.inconclusive)
    if given.by is not None:
        loaded = split_by(loaded, given.by)
    if gates:
        from runner.recipe.thresholds import check_gates, with_thresholds

        check_gates(loaded.recipe, gates)
        texts = with_thresholds(loaded.recipe, gates, texts)
    values = parse_given(loaded.recipe, texts)
    if given.exact and not cgroups_asked_for(values):
        raise typer.BadParameter("--exact says something of --cgroup, --container and --pod alone")
    is_open = command is not None or given.interval is not None
    seconds = read_duration(given.duration, is_open=is_open)
    window_ms = parse_interval("--interval", given.interval) if given.interval is not None else None
    windows = None
    if given.windows is not None:
        windows = parse_count("--windows", given.windows)
        seconds, window_ms = _cut(windows, seconds)
    if window_ms is not None:
        _check_cut(loaded.recipe, "--windows" if windows is not None else "--interval")
    folder = given.output if _is_folder(given) else None
    if folder is not None and given.form.value == "jsonl":
        raise typer.BadParameter("-f jsonl is one stream, and -o a directory: they do not go together")
    return Request(
        given,
        loaded,
        values,
        gates,
        command,
        seconds,
        window_ms,
        windows,
        most=parse_count("--count", given.count) if given.count is not None else None,
        repeat=parse_count("--repeat", given.repeat, MOST_RUNS) if given.repeat is not None else None,
        room=parse_count("--max-map-keys", given.max_map_keys) if given.max_map_keys is not None else None,
        pages=parse_power("--buffer-pages", given.buffer_pages) if given.buffer_pages is not None else None,
        budget=parse_share("--budget", given.budget) if given.budget is not None else None,
        output=None if folder is not None else given.output,
        folder=folder,
    )


def read_duration(text: str | None, *, is_open: bool) -> float | None:
    """Return how long a run lasts in seconds; None where nobody said so and something else ends it.

    :param is_open: Something else ends it.
    :raises ValueRefused: It is no duration.
    """
    from runner.recipe.durations import parse_duration

    if text is None and is_open:
        return None
    return parse_duration("--duration", DEFAULT_DURATION if text is None else text)


def check_combination(given: Mapping[str, bool]) -> None:
    """Refuse options that would be ignored."""
    for first, others in _EXCLUDES.items():
        for other in others:
            if given.get(first) and given.get(other):
                raise typer.BadParameter(f"{first} and {other} do not go together")


def check_command(command: list[str] | None) -> None:
    """Refuse `--` with nothing behind it."""
    if command == []:
        raise typer.BadParameter("there is no COMMAND behind --")


def _check_given(given: Given, command: list[str] | None) -> None:
    check_combination(
        {
            "--dry-run": given.dry_run,
            "--replay": given.replay is not None,
            "--record": given.record is not None,
            "--output": given.output is not None,
            "-- COMMAND": command is not None,
            "--sudo": given.is_elevated,
            "--duration": given.duration is not None,
            "--interval": given.interval is not None,
            "--count": given.count is not None,
            "--windows": given.windows is not None,
            "--repeat": given.repeat is not None,
            "--budget": given.budget is not None,
            "--gate": bool(given.gate),
            "--junit": given.junit is not None,
            "--overhead off": given.overhead is Measured.OFF,
        }
    )
    if given.count is not None and given.interval is None:
        raise typer.BadParameter("--count counts windows: it needs an --interval")
    check_command(command)
    if given.repeat is not None and not given.dry_run:
        _check_ends(given, command)
    if given.windows is not None and command is not None and given.duration is None:
        raise typer.BadParameter(
            "nobody knows how long COMMAND runs, so it cannot be cut into --windows: "
            "say how long they are (--interval 1s), or end it after a --duration"
        )


def _check_ends(given: Given, command: list[str] | None) -> None:
    """Refuse to repeat a run that nobody said how to end."""
    if command is None and given.duration is None and given.count is None:
        raise typer.BadParameter(
            "--repeat needs to know when a run ends: with its -- COMMAND, or after a --duration"
        )


def _cut(windows: int, seconds: float | None) -> tuple[float, int]:
    """Return how long the run is in seconds, and each of its windows in milliseconds: all of them equal.

    :raises ValueRefused: They would be too short.
    """
    from runner.errors import ValueRefused

    assert seconds is not None
    milliseconds = round(seconds * 1000 / windows)
    if milliseconds < LEAST_WINDOW_MS:
        most = int(seconds * 1000 // LEAST_WINDOW_MS)
        way = f"--windows {most}, or" if most else "a"
        raise ValueRefused(
            f"--windows {windows} of {seconds:g} s: maps cannot be read that often",
            hint=f"windows of {LEAST_WINDOW_MS}ms: {way} --duration {windows * LEAST_WINDOW_MS}ms",
        )
    return windows * milliseconds / 1000, milliseconds


def _check_cut(recipe: Recipe, option: str) -> None:
    """Refuse to cut what a recipe is for into windows, where it cannot be; say what else is left out.

    :raises ValueRefused: The recipe's first table has no windows.
    """
    from runner.capture.cutting import left_out
    from runner.cli.output import say
    from runner.errors import ValueRefused

    for each in left_out(output.declaration() for output in recipe.outputs):
        if each["table"] == recipe.primary.table:
            raise ValueRefused(
                f"{option}: {recipe.id} is not cut into windows: of {each['table']}, {each['reason']}",
                hint="without it; several runs (--repeat) are independent too",
            )
        say(f"note: the windows lack {each['table']}: {each['reason']}")


def _is_folder(given: Given) -> bool:
    """Whether -o names a directory for several captures."""
    if given.output is None:
        return False
    is_several = given.windows is not None or given.repeat is not None
    return is_several or (given.interval is not None and given.output.is_dir())
