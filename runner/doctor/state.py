"""Everything about this host that checks are made of, read once, below a root that tests may choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.host import probes
from runner.host.confinement import Confinement, read_confinement
from runner.host.distribution import Distribution, read_distribution
from runner.host.families import Family, probe_families
from runner.host.kernel_config import read_kernel_config
from runner.host.trials import Trials, try_here

if TYPE_CHECKING:
    from collections.abc import Callable

TRACEFS = "/sys/kernel/tracing"


@dataclass(frozen=True, slots=True)
class TracefsState:
    """Where the kernel's tracepoints are described.

    :param readable: The mount that this process can read.
    :param mounted: A mount, readable or not.
    :param is_supported: Whether the kernel has a tracefs to mount; None where it does not say.
    """

    readable: Path | None
    mounted: Path | None
    is_supported: bool | None


@dataclass(frozen=True, slots=True)
class HostState:
    """What was found.

    :param btf: Whether the kernel describes its types.
    :param is_btf_built: Whether its build asked for that; None where that is not told.
    """

    confinement: Confinement
    distribution: Distribution
    tracefs: TracefsState
    btf: bool
    is_btf_built: bool | None
    families: tuple[Family, ...]
    trials: Trials


def read_state(root: Path = Path("/"), trials: Callable[[], Trials] = try_here) -> HostState:
    """Look at this host.

    :param root: Below it are `proc`, `sys` and `etc`.
    :param trials: Asks the kernel.
    """
    config = read_kernel_config(root)
    return HostState(
        confinement=read_confinement(root),
        distribution=read_distribution(root),
        tracefs=_tracefs(root),
        btf=(root / "sys/kernel/btf/vmlinux").exists(),
        is_btf_built=None if config is None else config.has("CONFIG_DEBUG_INFO_BTF"),
        families=tuple(probe_families(root, config)),
        trials=trials(),
    )


def _tracefs(root: Path) -> TracefsState:
    readable = probes.tracefs_root([root / path.relative_to("/") for path in probes.TRACEFS])
    try:
        mounts = [line.split() for line in (root / "proc/self/mounts").read_text().splitlines()]
        kinds = (root / "proc/filesystems").read_text().split()
    except OSError:
        return TracefsState(readable, None, None)
    mounted = next((Path(fields[1]) for fields in mounts if fields[2] == "tracefs"), None)
    return TracefsState(readable, mounted, "tracefs" in kinds)
