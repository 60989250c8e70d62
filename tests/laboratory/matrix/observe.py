"""One cell, seen: the recipe is run for real around its known load, and what it counted is compared with that."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import ExitCode, HostRefused
from tests.laboratory.hidden import Process1, most_hidden
from tests.laboratory.known_loads import KINDS, known_load
from tests.laboratory.matrix.cell import Cell
from tests.laboratory.matrix.command import Done, run_limited
from tests.laboratory.matrix.digest import digest_of
from tests.laboratory.matrix.variants import standing
from tests.laboratory.missed import missed
from tests.laboratory.rendered import trace_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.laboratory.known_loads import KnownLoad
    from tests.laboratory.matrix.cell import Key, Outcome
    from tests.laboratory.matrix.variants import Standing

_COMMAND = (sys.executable, "-m", "runner")
"""`ebpf-recipe` of this checkout."""

_PREFIX = "ebpf-recipe: "

_UNTOLD = 0.01
"""The share of a load that may be missing where bpftrace ran alone: nobody counts then what the kernel left out."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What came of a cell, as Cell has it."""

    outcome: Outcome
    reason: str = ""
    seen: int | None = None
    expected: int | None = None


def observe(key: Key, bpftrace: str, limit_seconds: float) -> Cell:
    """See one cell.

    :param bpftrace: The path of the release that the key names.
    :param limit_seconds: How long the run may take; and as long its preparation, where a variant has to be forced.
    """
    at, begun = datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-matrix-") as folder:
        try:
            seen = _see(key, bpftrace, limit_seconds, Path(folder))
        except Exception as error:  # noqa: BLE001  # one cell that nobody foresaw is no reason to see no other
            seen = _Seen("failed", _line(f"{type(error).__name__}: {error}"))
    return Cell(
        key,
        digest_of(key.recipe, key.bpftrace),
        platform.release(),
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seen.outcome,
        seen.seen,
        seen.expected,
        round(time.monotonic() - begun, 1),
        seen.reason,
    )


def _see(key: Key, bpftrace: str, limit: float, folder: Path) -> _Seen:
    try:
        with known_load(key.recipe, folder, key.variant) as load:
            # Now: a device that the load made is one of the facts.
            guarded = standing(key.recipe, bpftrace) if key.recipe not in KINDS else None
            if guarded is not None and guarded.possible and key.variant in guarded.lacking:
                return _Seen("refused", f"this kernel has no {guarded.lacking[key.variant]}")
            before = Process1.now()
            if guarded is None or not guarded.possible or key.variant == guarded.possible[0]:
                done = _run(key.recipe, bpftrace, load, limit)
                untold = 0.0
            else:
                done = _run_forced(guarded, key.variant, bpftrace, load, limit, folder)
                untold = _UNTOLD
            slices = Process1.now().since(before).slices
    except HostRefused as error:
        return _Seen("refused", error.message)
    except (AssertionError, OSError) as error:
        # A loop device, a file system: what a place without them says.
        return _Seen("not-seen", f"the load could not be made: {_line(str(error))}")
    if done.exit_code != 0:
        return _refusal(done, limit)
    capture = json.loads(done.stdout)
    variant = key.variant if key.recipe not in KINDS else "probes"
    return _judge(load, capture, variant, slices, untold)


def _run(recipe: str, bpftrace: str, load: KnownLoad, limit: float) -> Done:
    words = ["run", recipe, *load.arguments, "--bpftrace", bpftrace, "-f", "json", "--", *load.command]
    return run_limited([*_COMMAND, *words], limit)


def _run_forced(
    guarded: Standing, variant: str, bpftrace: str, load: KnownLoad, limit: float, folder: Path
) -> Done:
    """Run a variant that the runner would not choose here: it is rendered, and its output decoded."""
    recipe = guarded.recipe.id
    facts, program, output = (folder / name for name in ("facts.json", "program.bt", "output"))
    facts.write_bytes(guarded.facts_for(variant))
    words = ["render", recipe, *load.arguments, "--host", str(facts), "-o", str(program)]
    rendered = run_limited([*_COMMAND, *words], limit)
    if rendered.exit_code != 0:
        return rendered
    try:
        trace_beside(bpftrace, program, output, load.command, limit)
    except (RuntimeError, TimeoutError) as error:
        return Done(ExitCode.TRACE, "", f"{_PREFIX}{error}")
    except subprocess.TimeoutExpired:
        return Done(None, "", "")
    except subprocess.CalledProcessError as error:
        return Done(ExitCode.WORKLOAD, "", f"{_PREFIX}the load failed: {_last_line(error.stderr.decode())}")
    return run_limited([*_COMMAND, "decode", str(output), "-f", "json"], limit)


def _refusal(done: Done, limit: float) -> _Seen:
    if done.exit_code is None:
        left = f"; still there: {', '.join(map(str, done.left))}" if done.left else ""
        return _Seen("failed", f"it did not end within {limit:g} s{left}")
    lines = [line for line in done.stderr.splitlines() if line.startswith(_PREFIX)]
    said = lines[-1].removeprefix(_PREFIX) if lines else _last_line(done.stderr)
    if done.exit_code in (ExitCode.VALUE, ExitCode.HOST):
        return _Seen("refused", said)
    return _Seen("failed", f"exit {done.exit_code}: {said}")


def _judge(load: KnownLoad, capture: dict[str, Any], variant: str, slices: int, untold: float) -> _Seen:
    """Compare what a capture says with the load."""
    seen, quality = load.counted(capture), capture["quality"]
    codes = ", ".join(problem["code"] for problem in quality["problems"])
    said = f"{quality['grade']}: {codes}" if quality["grade"] != "usable" else ""
    ran = capture["recipe"]["variant"]
    allowed = missed(capture) + most_hidden(capture["program"]["text"], slices) + round(untold * load.least)
    outcome: Outcome = "works"
    if ran != variant:
        outcome, said = "failed", f"the variant {ran} ran"
    elif quality["grade"] == "void":
        outcome = "failed"
    elif seen <= 0 or seen + allowed < load.least:
        outcome, said = "failed", f"it counted {seen:,} of {load.least:,}" + (f" ({said})" if said else "")
    return _Seen(outcome, said, seen, load.least)


def _line(text: str) -> str:
    return " ".join(text.split())


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return _line(lines[-1]) if lines else "it said nothing"
