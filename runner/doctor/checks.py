"""From what was found to checks: each ok, a warning, missing or unknown, with the cure."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Literal

from runner.bpftrace.privilege import missing_privilege
from runner.doctor.cures import (
    as_root,
    container_start,
    install_bpftrace,
    needed_capabilities,
    run_as_root,
)
from runner.doctor.state import TRACEFS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.bpftrace.version import Bpftrace
    from runner.doctor.document import Check, Status
    from runner.doctor.state import HostState
    from runner.errors import HostRefused
    from runner.host.families import Family

_Group = Literal["host", "privilege", "bpftrace", "probes"]
_REFUSED = (errno.EPERM, errno.EACCES)


def _check(
    name: str,
    group: _Group,
    status: Status,
    detail: str,
    *,
    cure: str | None = None,
    command: str | None = None,
    blocks: bool = False,
) -> Check:
    return {
        "name": name,
        "group": group,
        "status": status,
        "detail": detail,
        "cure": cure,
        "command": command,
        "blocks": blocks and status == "missing",
    }


def all_checks(state: HostState, bpftrace: Bpftrace | HostRefused) -> list[Check]:
    """Return every check of a host.

    :param bpftrace: The binary, or why there is none.
    """
    return [
        _bpftrace(state, bpftrace),
        _privilege(state, bpftrace),
        _bpf(state),
        _perf(state),
        _tracefs(state),
        _btf(state),
        _lockdown(state),
        *_confinement(state),
        *_limits(state),
        *(_family(family, state) for family in state.families),
    ]


def _bpftrace(state: HostState, found: Bpftrace | HostRefused) -> Check:
    if isinstance(found, Exception):
        command = install_bpftrace(state.distribution, state.confinement)
        is_absent = "not installed" in found.message
        return _check(
            "bpftrace",
            "bpftrace",
            "missing",
            found.message,
            cure="install it" if is_absent and command else found.hint,
            command=command if is_absent else None,
            blocks=True,
        )
    return _check("bpftrace", "bpftrace", "ok", f"{found} at {found.path}, supported")


def _privilege(state: HostState, bpftrace: Bpftrace | HostRefused) -> Check:
    held = state.confinement.capabilities
    shown = ", ".join(sorted(held)) or "no capability that tracing needs"
    detail = f"uid {state.confinement.uid}, {shown}"
    if state.confinement.uid != 0:
        # A run asks for root whatever bpftrace does: facts and costs are read besides.
        also = ""
        if not isinstance(bpftrace, Exception):
            lacking = missing_privilege(bpftrace.version, state.confinement.uid, held)
            also = f"; bpftrace {bpftrace} lacks {', '.join(lacking)}" if lacking else ""
        return _check(
            "privilege",
            "privilege",
            "missing",
            f"{detail}: tracing needs root{also}",
            cure="run it as root, or raise bpftrace alone with --sudo",
            command=run_as_root(None),
            blocks=True,
        )
    if state.confinement.is_first_user_namespace is False:
        cure, command = _permission_cure(state)
        return _check(
            "privilege",
            "privilege",
            "missing",
            f"{detail}, which hold in this user namespace alone",
            cure=cure,
            command=command,
            blocks=True,
        )
    lacking = [each for each in ("CAP_BPF", "CAP_PERFMON") if each not in held]
    if "CAP_SYS_ADMIN" in held:
        lacking = []  # it holds both in it
    if not isinstance(bpftrace, Exception):
        asked = missing_privilege(bpftrace.version, 0, held)
        lacking += [each for each in asked if each not in lacking]
    if not lacking:
        return _check("privilege", "privilege", "ok", detail)
    cure, command = _more_privilege(state, lacking)
    return _check(
        "privilege",
        "privilege",
        "missing",
        f"{detail}; missing: {', '.join(lacking)}",
        cure=cure,
        command=command,
        blocks=True,
    )


def _more_privilege(state: HostState, lacking: list[str]) -> tuple[str, str | None]:
    """Return how to get capabilities: only who started this process can give them."""
    if state.confinement.container is not None:
        missing = [each for each in needed_capabilities() if each not in state.confinement.capabilities]
        return container_start(state.confinement, missing)
    return f"something took {', '.join(lacking)} from root here: start it from a login of root", "sudo -i"


def _bpf(state: HostState) -> Check:
    code = state.trials.load
    asked = "a program of two instructions for a tracepoint"
    if code == 0:
        return _check("bpf", "host", "ok", f"the kernel takes {asked}")
    said = f"the kernel does not take {asked}: {os.strerror(code)}"
    if code in _REFUSED and state.confinement.uid != 0:
        disabled = state.confinement.unprivileged_bpf_disabled
        detail = f"{said} (kernel.unprivileged_bpf_disabled = {disabled}): to be seen as root only"
        return _check("bpf", "host", "unknown", detail, cure="ask as root", command="sudo ebpf-recipe doctor")
    if code in _REFUSED:
        cure, command = _permission_cure(state)
        return _check("bpf", "host", "missing", said, cure=cure, command=command, blocks=True)
    cure = "boot a kernel that has CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS"
    return _check("bpf", "host", "missing", said, cure=cure, blocks=True)


def _permission_cure(state: HostState) -> tuple[str, str | None]:
    if state.confinement.container is not None:
        return container_start(state.confinement, needed_capabilities())
    if state.confinement.is_first_user_namespace is False:
        return "start it as the host's root, outside of this user namespace", None
    if state.confinement.seccomp:
        return "a filter of system calls (seccomp) is over this process: start it outside of that", None
    if state.confinement.apparmor not in (None, "unconfined"):
        return f"the AppArmor profile {state.confinement.apparmor} is over it: start it outside of that", None
    return "a security module refuses it: its log says which", "dmesg | tail"


def _perf(state: HostState) -> Check:
    code = state.trials.sample
    if code == 0:
        return _check("perf", "host", "ok", "perf_event_open gives a clock of samples")
    paranoid = state.confinement.perf_event_paranoid
    said = f"perf_event_open: {os.strerror(code)} (kernel.perf_event_paranoid = {paranoid})"
    if code in _REFUSED and state.confinement.uid != 0:
        return _check(
            "perf", "host", "unknown", f"{said}: to be seen as root only", cure="ask as root",
            command="sudo ebpf-recipe doctor",
        )  # fmt: skip
    if code in _REFUSED:
        cure, command = _permission_cure(state)
    else:
        cure, command = "boot a kernel that has CONFIG_PERF_EVENTS", None
    # bpftrace attaches tracepoints, kprobes and uprobes through such events.
    return _check("perf", "host", "missing", said, cure=cure, command=command, blocks=True)


def _tracefs(state: HostState) -> Check:
    tracefs, confinement = state.tracefs, state.confinement
    if tracefs.readable is not None:
        return _check("tracefs", "host", "ok", f"readable at {tracefs.readable}")
    mount = f"mount -t tracefs tracefs {TRACEFS}"
    if tracefs.mounted is not None:
        detail = f"mounted at {tracefs.mounted}, which this user may not read; BTF is asked instead"
        if confinement.uid != 0:
            return _check(
                "tracefs", "host", "unknown", detail, cure="ask as root", command="sudo ebpf-recipe doctor"
            )
        return _check(
            "tracefs", "host", "missing", f"mounted at {tracefs.mounted}, but not readable",
            cure="mount it anew", command=mount, blocks=True,
        )  # fmt: skip
    if tracefs.is_supported is False:
        return _check(
            "tracefs", "host", "missing", "the kernel has none (/proc/filesystems)",
            cure="boot a kernel that has CONFIG_FTRACE and CONFIG_TRACING", blocks=True,
        )  # fmt: skip
    may_not = confinement.is_first_user_namespace is False or (
        confinement.container is not None and "CAP_SYS_ADMIN" not in confinement.capabilities
    )
    if confinement.uid == 0 and may_not:
        cure, command = _permission_cure(state)
        return _check(
            "tracefs", "host", "missing", "not mounted, and this process may not mount it",
            cure=cure, command=command, blocks=True,
        )  # fmt: skip
    return _check(
        "tracefs", "host", "missing", "not mounted", cure="mount it", command=as_root(confinement, mount),
        blocks=True,
    )  # fmt: skip


def _btf(state: HostState) -> Check:
    if state.btf:
        return _check("btf", "host", "ok", "/sys/kernel/btf/vmlinux is there")
    missing = "/sys/kernel/btf/vmlinux is missing"
    if state.is_btf_built:
        detail = f"{missing}, though the kernel was built with CONFIG_DEBUG_INFO_BTF"
        return _check(
            "btf", "host", "missing", detail, cure="mount the kernel's own /sys",
            command=as_root(state.confinement, "mount -t sysfs sysfs /sys"),
        )  # fmt: skip
    return _check("btf", "host", "missing", missing, cure="boot a kernel that has CONFIG_DEBUG_INFO_BTF")


def _lockdown(state: HostState) -> Check:
    confinement = state.confinement
    if confinement.lockdown == "confidentiality":
        return _check(
            "lockdown", "host", "missing", "confidentiality: BPF programs may read nothing",
            cure="boot with lockdown=integrity (where secure boot sets it: without secure boot)",
            blocks=True,
        )  # fmt: skip
    if confinement.lockdown is not None:
        return _check("lockdown", "host", "ok", confinement.lockdown)
    if not confinement.has_securityfs:
        return _check(
            "lockdown", "host", "unknown", "securityfs is not mounted", cure="mount it to know",
            command=as_root(confinement, "mount -t securityfs securityfs /sys/kernel/security"),
        )  # fmt: skip
    return _check("lockdown", "host", "ok", "this kernel cannot lock down, or does not say so")


def _confinement(state: HostState) -> Iterator[Check]:
    confinement = state.confinement
    modes = {0: "none", 1: "strict", 2: "a filter of system calls"}
    seccomp = modes.get(confinement.seccomp, "not told") if confinement.seccomp is not None else "not told"
    profile = confinement.apparmor or "none"
    is_refused = state.trials.load in _REFUSED and confinement.uid == 0
    for name, told, is_confined in (
        ("seccomp", seccomp, bool(confinement.seccomp)),
        ("apparmor", profile, profile not in ("none", "unconfined")),
    ):
        if is_confined and is_refused:
            cure, command = _permission_cure(state)
            yield _check(
                name, "privilege", "warning", f"{told}, and BPF is refused", cure=cure, command=command
            )
        else:
            yield _check(name, "privilege", "ok", f"{told}; BPF is let through" if is_confined and
                         state.trials.load == 0 else told)  # fmt: skip
    where = f"in a container ({confinement.container})" if confinement.container else "in no known container"
    inner = []
    if confinement.is_first_pid_namespace is False:
        inner.append(
            "a pid namespace of its own: process ids are the kernel's, not those seen here, and owners of "
            "sockets are not looked up"
        )
    if confinement.is_first_user_namespace is False:
        inner.append("a user namespace of its own: it gives no rights over the host")
    if inner:
        cure, command = "start it in the first namespaces", None
        if confinement.container is not None:
            cure, command = container_start(confinement, ())
        detail = f"{where}; in {'; in '.join(inner)}"
        yield _check("namespaces", "privilege", "warning", detail, cure=cure, command=command)
    else:
        yield _check("namespaces", "privilege", "ok", f"{where}; the first pid and user namespaces")


def _limits(state: HostState) -> Iterator[Check]:
    confinement, code = state.confinement, state.trials.memory
    limit = confinement.memlock_bytes
    shown = "no limit" if limit is None else f"{limit >> 10} KiB"
    if code in (None, 0) or (code in _REFUSED and state.trials.load != 0):
        counted = "; a larger map is given all the same" if code == 0 else ""
        yield _check("memlock", "host", "ok", f"{shown} of locked memory{counted}")
    else:
        assert code is not None
        raised = "CAP_SYS_RESOURCE" in confinement.capabilities
        yield _check(
            "memlock", "host", "ok" if raised else "warning",
            f"{shown} of locked memory, and this kernel counts maps there"
            + ("; bpftrace raises it" if raised else f" ({os.strerror(code)})"),
            cure=None if raised else "raise it in the shell that starts it",
            command=None if raised else "ulimit -l unlimited",
        )  # fmt: skip
    restrict = confinement.kptr_restrict
    if restrict == 2:
        yield _check(
            "kptr-restrict", "host", "warning", "kernel.kptr_restrict = 2: kernel stacks have no symbols",
            cure="allow root to see them", command=as_root(confinement, "sysctl -w kernel.kptr_restrict=1"),
        )  # fmt: skip
    else:
        yield _check("kptr-restrict", "host", "ok", f"kernel.kptr_restrict = {restrict}")


def _family(family: Family, state: HostState) -> Check:
    is_there, detail = family.is_there, family.evidence
    code = {"fentry": state.trials.fentry, "profile": state.trials.sample}.get(family.name)
    if is_there is not False and code is not None:
        refused = f"; the kernel refuses one on trial: {os.strerror(code)}"
        if code == 0:
            is_there, detail = True, f"{detail}; one was attached on trial"
        elif code in _REFUSED and (state.confinement.uid != 0 or state.trials.load in _REFUSED):
            is_there, detail = None, f"{detail}{refused}"
        else:
            is_there, detail = False, f"{detail}{refused}"
    if is_there:
        return _check(family.name, "probes", "ok", detail)
    if is_there is None and state.confinement.uid == 0:
        return _check(family.name, "probes", "unknown", detail, cure="first mend what refuses BPF")
    if is_there is None:
        return _check(
            family.name, "probes", "unknown", detail, cure="ask as root", command="sudo ebpf-recipe doctor"
        )
    if family.sysctl is not None:
        return _check(
            family.name, "probes", "missing", detail, cure="switch it on",
            command=as_root(state.confinement, f"sysctl -w {family.sysctl}"),
        )  # fmt: skip
    if family.is_there is not False:
        return _check(
            family.name, "probes", "missing", detail,
            cure="boot a kernel, or a policy of it, that lets programs attach to functions",
        )  # fmt: skip
    cure = f"boot a kernel that has {', '.join(family.options)}"
    return _check(family.name, "probes", "missing", detail, cure=cure)
