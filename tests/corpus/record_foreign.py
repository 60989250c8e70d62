"""Run every foreign script on real bpftrace as a user would; keep what it printed, and what that means, for review."""

import contextlib
import os
import signal
import subprocess
import sys
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


def meaning(raw: bytes, program: ForeignProgram) -> dict[str, Any]:
    """Return what an output means: the capture, as far as it comes from the output, or why there is none."""
    return meaning_of([raw], program)


def meaning_of(chunks: list[bytes], program: ForeignProgram) -> dict[str, Any]:
    """Return the same of an output in pieces."""
    try:
        capture = decode(chunks, script=Script(program.text))
    except NotUnderstood as error:
        return {"refused": error.message}
    return {name: value for name, value in capture.items() if name not in _NOT_OF_THE_OUTPUT}


def is_taken(program: ForeignProgram, release: str) -> bool:
    """Whether a release, such as 0.23.2, takes a program."""
    version = tuple(int(number) for number in release.split(".")[:2])
    return program.since <= version <= program.until


def main() -> None:
    """Record with the bpftrace named on the command line, or with every one that is here."""
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
    name = f"{program.name}.{form}"
    (folder / f"{name}.out").write_bytes(stdout)
    document = orjson.dumps(meaning(stdout, program), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (folder / f"{name}.json").write_bytes(document)


if __name__ == "__main__":
    main()
