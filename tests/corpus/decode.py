"""What a file of the corpus means: tables, problems and other messages, as our decoder has them."""

from typing import Any

from runner.bpftrace.diagnosis import lost_in_all, lost_stacks
from runner.bpftrace.evidence import Evidence
from runner.bpftrace.messages import read_messages
from runner.bpftrace.names import Names
from runner.bpftrace.tables import Context, decode_tables
from tests.corpus.programs import CorpusProgram


def decoded(
    program: CorpusProgram, release: str, stdout: bytes, stderr: bytes, exit_code: int
) -> dict[str, Any]:
    """Decode what a program printed on a release, such as 0.23.2."""
    major, minor, patch = (int(number) for number in release.split("."))
    evidence = Evidence.of((major, minor, patch))
    messages = read_messages(stdout, evidence)
    context = Context(evidence.dialect, Names("little"), program.room, is_whole=exit_code == 0)
    tables, problems = decode_tables(program.tables, messages, context)
    return {
        "exit_code": exit_code,
        "tables": tables,
        "problems": problems,
        "errors": {
            f"{error.helper or error.kind} {error.code} {error.text}": n
            for error, n in messages.errors.items()
        },
        "lost_events": messages.lost_events,
        "lost_in_all": lost_in_all(stderr),
        "lost_stacks": lost_stacks(stderr),
        "repaired": messages.repaired,
        "others": [kind for kind, _ in messages.others if kind != "printf"],
    }
