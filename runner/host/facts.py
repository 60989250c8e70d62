"""The facts that guards of recipes are tested against: plain types, from this host or from a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.capture.words import ByteOrder

if TYPE_CHECKING:
    from runner.capture.document import Host


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is known of a host.

    :param probes: For each probe that was asked about, the names of its fields (empty for probes
        without named fields), or `None` where the host does not have it.
    :param bpftrace: Version, as `0.17.0`.
    :param enums: Of each kernel enumeration that was asked about, by one of its members, the names of its
        values.
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

    def has_probe(self, probe: str) -> bool:
        """Whether the host has a probe; KeyError where nobody asked it."""
        return self.probes[probe] is not None

    def has_field(self, probe: str, field: str) -> bool:
        """Whether a probe has a field; KeyError where nobody asked the host for the probe."""
        return field in (self.probes[probe] or ())
