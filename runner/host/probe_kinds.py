"""The mechanism by which the kernel calls each program of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from runner.host import bpf

if TYPE_CHECKING:
    from collections.abc import Iterable

ProbeKind = Literal[
    "tracepoint", "syscall", "raw-tracepoint", "kprobe", "kretprobe", "fentry", "uprobe", "uretprobe", "timer"
]
"""`syscall`: a tracepoint of system calls; `fentry`: a trampoline, at a function's entry or exit; `timer`: a
sample or an interval."""

# enum bpf_task_fd_type of include/uapi/linux/bpf.h.
_BY_ATTACHMENT: dict[int, ProbeKind] = {
    0: "raw-tracepoint", 1: "tracepoint", 2: "kprobe", 3: "kretprobe", 4: "uprobe", 5: "uretprobe",
}  # fmt: skip
# Kernels that do not tell entry from return (before 6.15) mean either: the dearer one.
_BY_LINK: dict[str, ProbeKind] = {
    "kprobe_multi": "kretprobe", "kretprobe_multi": "kretprobe",
    "uprobe_multi": "uretprobe", "uretprobe_multi": "uretprobe",
}  # fmt: skip
# enum bpf_prog_type; a function's probe of which nothing more is known may be any of the four.
_BY_PROGRAM: dict[int, ProbeKind] = {
    2: "uretprobe", 5: "tracepoint", 7: "timer", 17: "raw-tracepoint", 26: "fentry",
}  # fmt: skip
_SYSCALL_EVENTS = ("sys_enter", "sys_exit")


def probe_kinds(pid: int, descriptors: Iterable[str]) -> list[ProbeKind]:
    """Return the kind of probe that each program is attached to.

    :param descriptors: Those of the process that are BPF programs.
    :raises OSError: Not permitted (CAP_SYS_ADMIN), or the process is gone.
    """
    attachments, links = bpf.attachments(pid), bpf.link_types(pid)
    kinds = []
    for descriptor in descriptors:
        identity, program = bpf.program_type(pid, descriptor)
        attachment = attachments.get(identity)
        kinds.append(kind_of(program, attachment, links.get(identity)))
    return kinds


def kind_of(program: int, attachment: bpf.Attachment | None, link: str | None) -> ProbeKind:
    """Return the kind of probe, from what is known of a program.

    :param program: Its type.
    :param attachment: What it is attached to by a perf event.
    :param link: The type of the link that attaches it.
    """
    if attachment is not None and attachment.kind in _BY_ATTACHMENT:
        kind = _BY_ATTACHMENT[attachment.kind]
        is_syscall = kind == "tracepoint" and attachment.name.startswith(_SYSCALL_EVENTS)
        return "syscall" if is_syscall else kind
    return _BY_LINK.get(link or "") or _BY_PROGRAM.get(program, "uretprobe")
