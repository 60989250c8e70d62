"""The commands that mend what is missing, for this distribution and this container."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from runner.bpftrace.privilege import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.host.confinement import Confinement
    from runner.host.distribution import Distribution

# By the id of os-release, or one that it is like.
_INSTALL = {
    "debian": "apt-get install bpftrace",
    "ubuntu": "apt-get install bpftrace",
    "fedora": "dnf install bpftrace",
    "rhel": "dnf install bpftrace",
    "centos": "dnf install bpftrace",
    "amzn": "dnf install bpftrace",
    "suse": "zypper install bpftrace",
    "opensuse": "zypper install bpftrace",
    "arch": "pacman -S bpftrace",
    "alpine": "apk add bpftrace",
    "gentoo": "emerge dev-debug/bpftrace",
    "void": "xbps-install bpftrace",
    "nixos": "nix-env -iA nixos.bpftrace",
}


def as_root(confinement: Confinement, command: str) -> str:
    """Return a command that needs root, as this user types it."""
    return command if confinement.uid == 0 else f"sudo {command}"


def install_bpftrace(distribution: Distribution, confinement: Confinement) -> str | None:
    """Return what installs bpftrace here, or None where the package manager is not known."""
    found = next((_INSTALL[each] for each in distribution.ids if each in _INSTALL), None)
    return as_root(confinement, found) if found is not None else None


def container_start(confinement: Confinement, missing: Iterable[str]) -> tuple[str, str | None]:
    """Return how to start this container so that it may trace, in words and as a command.

    :param missing: Capabilities to add.
    """
    names = [each.removeprefix("CAP_") for each in missing]
    if confinement.container == "kubernetes":
        return (
            f"in the pod: hostPID: true; in the container: securityContext: {{capabilities: {{add: "
            f"[{', '.join(names)}]}}, seccompProfile: {{type: Unconfined}}, appArmorProfile: "
            "{type: Unconfined}}; mount the host's /sys/kernel/tracing"
        ), None
    engine = confinement.container if confinement.container in ("docker", "podman") else "docker"
    flags = [
        *(f"--cap-add {name}" for name in names),
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined",
        *(["--userns=host"] if confinement.is_first_user_namespace is False else []),
        "--pid=host -v /sys/kernel/tracing:/sys/kernel/tracing",
    ]
    return "start the container with what it lacks", f"{engine} run {' '.join(flags)} IMAGE"


def run_as_root(recipe: str | None) -> str:
    """Return how somebody who is not root runs a recipe: with sudo, bpftrace alone is raised."""
    name = recipe or "RECIPE"
    return f"ebpf-recipe run {name} --sudo" if shutil.which("sudo") else f"su -c 'ebpf-recipe run {name}'"


def needed_capabilities() -> tuple[str, ...]:
    """Return what a container needs: bpftrace's own, and what looking at others' processes takes."""
    return (*CAPABILITIES, "CAP_SYS_PTRACE")
