"""The instructions of one program, as the kernel rewrote them or as the processor runs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostRefused, ValueRefused
from runner.host.bpf_holders import read_holders
from runner.host.bpf_objects import list_programs
from runner.host.bpftool import ObjectMissing
from runner.programs.owners import run_of

if TYPE_CHECKING:
    from runner.host.bpftool import Bpftool

MOST_BYTES = 16 << 20


def disassemble(
    tool: Bpftool, identity: int, *, is_native: bool, of_any: bool, proc: Path = Path("/proc")
) -> str:
    """Return the instructions of a program of ours, a line for each.

    :param is_native: The processor's, else the kernel's.
    :param of_any: Of any program, whosever it is.
    :raises ValueRefused: There is no such program, or it is not ours.
    :raises HostRefused: This kernel or bpftool does not show them.
    """
    if identity not in {each.identity for each in list_programs(tool, with_pins=False)}:
        raise ValueRefused(
            f"--disassemble {identity}: there is no such program", hint="ebpf-recipe programs shows them"
        )
    if not of_any and not _is_ours(identity, proc):
        raise ValueRefused(
            f"--disassemble {identity}: that program is not of a run of ours", hint="--any takes any program"
        )
    kind = "jited" if is_native else "xlated"
    try:
        answer = tool.raw("prog", "dump", kind, "id", str(identity), most=MOST_BYTES)
    except ObjectMissing as error:
        raise ValueRefused(f"program {identity} is no longer there") from error
    except HostRefused as error:
        if "libbfd" in error.message or "disassembl" in error.message or "LLVM" in error.message:
            hint = "name a bpftool that is built with one (--bpftool), or leave --jited out"
            raise HostRefused(f"this bpftool has no disassembler: {error.message}", hint=hint) from error
        raise
    text = answer.decode(errors="replace")
    if not text.strip():
        raise HostRefused(
            f"the kernel shows no instructions of program {identity}",
            hint="kernel.kptr_restrict may hide them; --jited needs net.core.bpf_jit_enable",
        )
    return text


def _is_ours(identity: int, proc: Path) -> bool:
    holders = read_holders(proc)
    pids = holders.programs.get(identity, set()) | holders.linked.get(identity, set())
    return any(run_of(pid, proc) is not None for pid in pids)
