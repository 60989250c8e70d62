"""`make corpus`: run every program on real bpftrace; keep what it printed, and what that means, for review."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson

from runner.bpftrace.launch import clean_environment
from runner.bpftrace.version import Bpftrace, find_bpftrace
from tests.corpus.decode import decoded
from tests.corpus.programs import PROGRAMS, CorpusProgram
from tests.laboratory.releases import paths

FOLDER = Path(__file__).parent


def main() -> None:
    """Record with the bpftrace named on the command line, or with every one that is here."""
    for path in sys.argv[1:] or paths():
        bpftrace = find_bpftrace(path)
        folder = FOLDER / str(bpftrace)
        folder.mkdir(exist_ok=True)
        for program in PROGRAMS:
            if bpftrace.version[:2] >= program.since:
                _record(program, bpftrace, folder)
        print(f"{folder.name}: {sum(1 for _ in folder.glob('*.out'))} programs")


def _record(program: CorpusProgram, bpftrace: Bpftrace, folder: Path) -> None:
    head, variables = bpftrace.settings(
        max_map_keys=None if program.room > 1000 else program.room, buffer_pages=program.buffer_pages
    )
    argv = bpftrace.arguments(check_reads=program.tells_errors)
    # A loss may lose the end too.
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(variables),
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate((head + program.text).encode(), timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            stdout, stderr = process.communicate()
    (folder / f"{program.name}.out").write_bytes(stdout)
    (folder / f"{program.name}.err").write_bytes(stderr)
    document = decoded(program, str(bpftrace), stdout, stderr, process.returncode)
    target = folder / f"{program.name}.json"
    target.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
