"""The facts that guards of recipes are tested against: plain types, from this host or from a file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.capture.document import TextBytes
from runner.capture.words import ByteOrder

if TYPE_CHECKING:
    from runner.capture.document import Host


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A disk or a partition.

    :param name: As in /dev: `sda`, `cciss/c0d0`.
    :param number: The kernel's dev_t, major << 20 | minor (MKDEV of include/linux/kdev_t.h).
    :param mapped: Of a device of the device mapper its name there: /dev/mapper/NAME.
    :param disk: Of a partition the disk that it is on.
    :param first_sector: Of a partition, in sectors of 512 bytes; and `sectors`, how many it has.
    :param has_requests: Whether the kernel makes requests for it (blk-mq), whose tracepoints then name the
        disk. Other devices (most of dm, md, zram) hand on or serve what they are given.
    :param below: The devices that it hands on to, as far as the kernel says.
    """

    name: str
    number: int
    mapped: str = ""
    disk: str = ""
    first_sector: int = 0
    sectors: int = 0
    has_requests: bool = True
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionPlace:
    """Where a function is that was asked for by its name.

    :param path: Of the program or library, as bpftrace is given it.
    :param location: A symbol, or `0x…`: an address in the file, or, where no symbol covers it, its offset.
    :param is_unsafe: bpftrace finds no symbol there, and attaches with `--unsafe` alone.
    :param word_bytes: How large an address is: 4 in programs of 32 bits.
    :param build_id: Of the file, in hexadecimal; empty where it has none.
    :param can_throw: Exceptions may pass functions of the file, and may not where their returns are watched.
    :param pids: The processes that are meant by this place, where there are several places: files that
        overlays show at each of them may be one file, whose probes all processes then pass.
    """

    path: str
    location: str
    is_unsafe: bool = False
    word_bytes: int = 8
    build_id: str = ""
    can_throw: bool = False
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CgroupPlace:
    """A cgroup that was asked for.

    :param hierarchy: `v2`, or a controller of the v1 hierarchy that it is in.
    :param subsystem: The place of that controller in `struct css_set.subsys` of the running kernel; None
        for v2.
    :param path: Below the root of the hierarchy: `/kubepods/pod…`.
    :param level: How many cgroups are above it; the root has 0.
    :param id: The kernel's, which is the inode number of its directory.
    """

    hierarchy: str
    subsystem: int | None
    path: str
    level: int
    id: int


Label = str | TextBytes | None
"""What a cgroup is called: of a path that is not UTF-8 its exact bytes too."""


@dataclass(frozen=True, slots=True)
class CgroupFacts:
    """What programs need to know to tell a task's cgroup, and what cgroups are called.

    :param ancestors: Where `struct cgroup` of the running kernel has its ancestors, in bytes.
    :param places: The cgroups that were asked for, by option and words of the command line
        (`pod default/web`).
    :param is_exact: They alone are meant, without what is below them.
    :param by: In which hierarchy a task's cgroup is a key, and `subsystem` as above.
    :param labels: What the cgroups of that hierarchy are called, by their ids; None for those that have no
        such name (a service, where pods are asked for).
    """

    ancestors: int
    places: Mapping[str, tuple[CgroupPlace, ...]] = field(default_factory=dict)
    is_exact: bool = False
    by: str = "v2"
    subsystem: int | None = None
    labels: Mapping[int, Label] = field(default_factory=dict)


_PLAIN_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_QUOTED_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_.$]*")


def location_of(symbol: str) -> str | None:
    """Return a symbol as every bpftrace takes it behind a path; None where some release does not."""
    if _PLAIN_SYMBOL.fullmatch(symbol):
        return symbol
    return f'"{symbol}"' if _QUOTED_SYMBOL.fullmatch(symbol) else None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is known of a host.

    :param probes: For each probe that was asked about, the names of its fields (empty for probes
        without named fields), or `None` where the host does not have it.
    :param bpftrace: Version, as `0.17.0`.
    :param enums: Of each kernel enumeration that was asked about, by one of its members, the names of its
        values.
    :param devices: Block devices, where they were asked about.
    :param functions: Where the functions of programs and libraries are that were asked for, by the words of
        the command line: several where processes have files of their own.
    :param cgroups: Of cgroups, where they were asked about.
    :param bpftrace_features: Names of what that bpftrace can do (see `bpftrace/version.py`).
    """

    hostname: str
    kernel: str
    arch: str
    cpus: int
    boot_id: str
    byteorder: ByteOrder
    btf: bool
    probes: Mapping[str, tuple[str, ...] | None]
    bpftrace: str
    bpftrace_features: frozenset[str]
    enums: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    devices: tuple[BlockDevice, ...] = ()
    functions: Mapping[str, tuple[FunctionPlace, ...]] = field(default_factory=dict)
    cgroups: CgroupFacts | None = None

    def as_host(self) -> "Host":
        """Return what a capture says of the host."""
        return {
            "hostname": self.hostname,
            "kernel": self.kernel,
            "arch": self.arch,
            "cpus": self.cpus,
            "bpftrace": self.bpftrace,
            "boot_id": self.boot_id,
        }

    def device_names(self) -> dict[int, str]:
        """Return the names of block devices, by the kernel's dev_t."""
        return {device.number: device.name for device in self.devices}

    def with_devices(self, later: Iterable[BlockDevice]) -> "HostFacts":
        """Return the facts with devices that came later; what was known before keeps its name."""
        known = self.device_names()
        return replace(self, devices=(*self.devices, *(each for each in later if each.number not in known)))

    def with_labels(self, labels: Mapping[int, Label]) -> "HostFacts":
        """Return the facts with what cgroups are called."""
        if self.cgroups is None:
            return self
        return replace(self, cgroups=replace(self.cgroups, labels=labels))

    def joined(self, other: "HostFacts") -> "HostFacts":
        """Return these facts and what the same host was asked besides."""
        return replace(
            self.with_devices(other.devices),
            probes={**self.probes, **other.probes},
            enums={**self.enums, **other.enums},
            functions={**self.functions, **other.functions},
            cgroups=self.cgroups or other.cgroups,
        )

    def has_probe(self, probe: str) -> bool:
        """Whether the host has a probe; KeyError where nobody asked it."""
        return self.probes[probe] is not None

    def has_field(self, probe: str, field: str) -> bool:
        """Whether a probe has a field; KeyError where nobody asked the host for the probe."""
        return field in (self.probes[probe] or ())
