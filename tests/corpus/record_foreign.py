"""Run every foreign script on real bpftrace as a user would; keep what it printed, and what that means, for review."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from runner.bpftrace.launch import clean_environment
from runner.bpftrace.script import Script
from runner.bpftrace.version import Bpftrace, find_bpftrace
from runner.decode import decode
from runner.errors import NotUnderstood
from tests.corpus.foreign import FOREIGN, ForeignProgram
from tests.laboratory.releases import paths

FOLDER = Path(__file__).parent
FORMATS = ("json", "text")

_NOT_OF_THE_OUTPUT = ("id", "run_id", "program")


def meaning(chunks: Sequence[bytes], program: ForeignProgram) -> dict[str, Any]:
    """Return what an output means: the capture, as far as it comes from the output, or why there is none."""
    try:
        capture = decode(chunks, script=Script(program.text))
    except NotUnderstood as error:
        return {"refused": error.message}
    return {name: value for name, value in capture.items() if name not in _NOT_OF_THE_OUTPUT}


def recorded() -> list[tuple[str, ForeignProgram, str]]:
    """Return what there should be: release, program and format."""
    releases = sorted(path.parent.name for path in FOLDER.glob("*/foreign"))
    return [
        (release, program, form)
        for release in releases
        for program in FOREIGN
        if is_taken(program, release)
        for form in FORMATS
    ]


def is_taken(program: ForeignProgram, release: str) -> bool:
    """Whether a release, such as 0.23.2, takes a program."""
    version = tuple(int(number) for number in release.split(".")[:2])
    return program.since <= version <= program.until


def main() -> None:
    """Record with the bpftrace named on the command line, or with every one that is here.

    With `--again` nothing is run: what the recorded outputs mean is written anew.
    """
    if sys.argv[1:] == ["--again"]:
        for release, program, form in recorded():
            _keep(FOLDER / release / "foreign", program, form)
        return
    for path in sys.argv[1:] or paths():
        bpftrace = find_bpftrace(path)
        folder = FOLDER / str(bpftrace) / "foreign"
        folder.mkdir(parents=True, exist_ok=True)
        for program in FOREIGN:
            if is_taken(program, str(bpftrace)):
                for form in FORMATS:
                    _record(program, bpftrace, form, folder)
        print(f"{folder.parent.name}: {sum(1 for _ in folder.glob('*.out'))} outputs")


def _record(program: ForeignProgram, bpftrace: Bpftrace, form: str, folder: Path) -> None:
    with subprocess.Popen(
        [str(bpftrace.path), "-f", form, *program.options, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if program.is_merged else subprocess.PIPE,
        env=clean_environment({}),
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(program.text.encode(), timeout=20)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            stdout, stderr = process.communicate()
    if process.returncode != 0:
        print(f"{bpftrace} {form} {program.name}: {process.returncode} {(stderr or stdout)[-600:]!r}")
    (folder / f"{program.name}.{form}.out").write_bytes(stdout)
    _keep(folder, program, form)


def _keep(folder: Path, program: ForeignProgram, form: str) -> None:
    document = meaning([(folder / f"{program.name}.{form}.out").read_bytes()], program)
    (folder / f"{program.name}.{form}.json").write_bytes(
        orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )


if __name__ == "__main__":
    main()
