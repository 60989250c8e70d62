"""What this process may do here: identity, capabilities, confinement, and the kernel's locks on tracing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO of include/linux/proc_ns.h."""

# By bit: include/uapi/linux/capability.h. Those that have to do with tracing.
_CAPABILITIES = {
    1: "CAP_DAC_OVERRIDE",
    2: "CAP_DAC_READ_SEARCH",
    12: "CAP_NET_ADMIN",
    19: "CAP_SYS_PTRACE",
    21: "CAP_SYS_ADMIN",
    24: "CAP_SYS_RESOURCE",
    34: "CAP_SYSLOG",
    38: "CAP_PERFMON",
    39: "CAP_BPF",
}
_CONTAINERS = {"run/.containerenv": "podman", ".dockerenv": "docker"}
_POD = Path("run/secrets/kubernetes.io")


@dataclass(frozen=True, slots=True)
class Confinement:
    """What limits this process; `None` where the kernel does not say.

    :param uid: The effective user.
    :param capabilities: The effective ones that have to do with tracing.
    :param seccomp: 0 none, 1 strict, 2 a filter of system calls.
    :param apparmor: The profile, with its mode, as `docker-default (enforce)`.
    :param container: What runs the container that this is, or None outside of any.
    :param is_first_pid_namespace: Whether process ids are those of the kernel.
    :param is_first_user_namespace: Whether capabilities hold for the host.
    :param lockdown: none, integrity or confidentiality; None where securityfs is not mounted or the kernel
        cannot lock down.
    :param has_securityfs: Whether securityfs is mounted: it alone tells of the lockdown.
    :param unprivileged_bpf_disabled: The sysctl: 0 anybody may use BPF, 1 and 2 only who has CAP_BPF.
    :param perf_event_paranoid: The sysctl.
    :param kptr_restrict: The sysctl: with 2 not even root sees addresses of kernel symbols.
    :param memlock_bytes: Limit of locked memory; None without a limit.
    """

    uid: int
    capabilities: frozenset[str]
    seccomp: int | None
    apparmor: str | None
    container: str | None
    is_first_pid_namespace: bool | None
    is_first_user_namespace: bool | None
    lockdown: str | None
    has_securityfs: bool
    unprivileged_bpf_disabled: int | None
    perf_event_paranoid: int | None
    kptr_restrict: int | None
    memlock_bytes: int | None


def read_confinement(root: Path = Path("/")) -> Confinement:
    """Return what limits this process.

    :param root: Below it are `proc` and `sys`.
    """
    status = dict(line.split(":", 1) for line in _text(root / "proc/self/status").splitlines() if ":" in line)
    uids = status.get("Uid", "0 0").split()
    held = int(status.get("CapEff", "0"), 16)
    sysctls = root / "proc/sys/kernel"
    security = root / "sys/kernel/security"
    return Confinement(
        uid=int(uids[1]),
        capabilities=frozenset(name for bit, name in _CAPABILITIES.items() if held >> bit & 1),
        seccomp=_number(status.get("Seccomp", "")),
        apparmor=_apparmor(root),
        container=_container(root),
        is_first_pid_namespace=_is_first_pid_namespace(root),
        is_first_user_namespace=_is_first_user_namespace(root),
        lockdown=_lockdown(security / "lockdown"),
        has_securityfs=_is_filled(security),
        unprivileged_bpf_disabled=_number(_text(sysctls / "unprivileged_bpf_disabled")),
        perf_event_paranoid=_number(_text(sysctls / "perf_event_paranoid")),
        kptr_restrict=_number(_text(sysctls / "kptr_restrict")),
        memlock_bytes=_memlock(root),
    )


def _text(path: Path) -> str:
    """Return a file's text, or none: files of /proc may be absent, or refuse to be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _apparmor(root: Path) -> str | None:
    profile = _text(root / "proc/self/attr/apparmor/current").strip().strip("\0")
    return profile or None


def _container(root: Path) -> str | None:
    if _is_filled(root / _POD):
        return "kubernetes"
    said = _text(root / "run/systemd/container").strip()
    if said:
        return said
    return next((name for path, name in _CONTAINERS.items() if (root / path).exists()), None)


def _is_filled(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _is_first_pid_namespace(root: Path) -> bool | None:
    try:
        return str((root / "proc/self/ns/pid").readlink()) == _FIRST_PID_NAMESPACE
    except OSError:
        return None


def _is_first_user_namespace(root: Path) -> bool | None:
    text = _text(root / "proc/self/uid_map")
    # Only the first one maps every id to itself; one that does the same is not told apart.
    return text.split() == ["0", "0", "4294967295"] if text else None


def _lockdown(path: Path) -> str | None:
    chosen = re.search(r"\[(\w+)\]", _text(path))
    return chosen[1] if chosen else None


def _memlock(root: Path) -> int | None:
    found = re.search(r"^Max locked memory +(\d+)", _text(root / "proc/self/limits"), re.MULTILINE)
    return int(found[1]) if found else None
