"""A host as a file tells it: what `doctor --json` printed there, or the facts that `render` takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.bpftrace.version import Bpftrace, check_supported, features_of, parse_release
from runner.doctor.document import SCHEMA, Doctor
from runner.errors import HostRefused, NotUnderstood, ValueRefused
from runner.host import facts_file
from runner.host.facts import HostFacts

if TYPE_CHECKING:
    from runner.doctor.document import Check

_DOCTOR = TypeAdapter(Doctor)

UNSEEN = "a facts file does not tell"
"""Of what only a doctor on the host looks at."""

_LOOKED_AT_THERE = ("privilege", "bpf", "perf", "tracefs", "lockdown", "profile")
"""The checks without which a recipe, or one that takes samples, cannot run, and that facts do not hold."""


@dataclass(frozen=True, slots=True)
class StoredHost:
    """A host that is not here.

    :param facts: What it was asked; of a host where nothing could be asked, no probe.
    :param bpftrace: What would run there, or why nothing would.
    :param release: Of bpftrace, as the file has it.
    :param source: What the file is: without a doctor's checks, what they look at is not known.
    :param contested: Probes that two files of the host answer differently: what they say is not known.
    """

    facts: HostFacts
    checks: tuple[Check, ...]
    bpftrace: Bpftrace | HostRefused
    release: str | None
    source: Literal["doctor", "facts"]
    contested: frozenset[str] = frozenset()

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what two files of one host share; names of hosts are given twice."""
        facts = self.facts
        return (facts.hostname, facts.kernel, facts.arch, facts.boot_id, facts.bpftrace)

    @property
    def not_looked_at(self) -> list[str]:
        """Return what would keep recipes from running, and was not looked at."""
        unknown = {check["name"] for check in self.checks if check["status"] == "unknown"}
        return [name for name in _LOOKED_AT_THERE if name in unknown]

    def with_probes_of(self, other: StoredHost) -> tuple[StoredHost, list[str]]:
        """Return this host with what another file says that it was asked, and what both contradict in."""
        mine, theirs = self.facts.probes, other.facts.probes
        differing = sorted(probe for probe in mine.keys() & theirs.keys() if mine[probe] != theirs[probe])
        contested = self.contested | other.contested | set(differing)
        joined = self.facts.joined(other.facts)
        known = {probe: fields for probe, fields in joined.probes.items() if probe not in contested}
        return replace(self, facts=replace(joined, probes=known), contested=contested), differing


def read_stored(raw: bytes, name: str) -> StoredHost:
    """Return the host that a file tells of.

    :param name: Of the file, for messages.
    :raises NotUnderstood: It tells of none.
    """
    try:
        document: Any = orjson.loads(raw)
    except ValueError as error:
        raise NotUnderstood(f"{name} is no JSON: {error}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == facts_file.SCHEMA:
        return _of_facts(document, name)
    if schema == SCHEMA:
        return _of_doctor(document, name)
    shown = f"its schema is {schema[:60]}" if isinstance(schema, str) else "it has no schema"
    raise NotUnderstood(f"{name} is neither a doctor's document nor facts about a host: {shown}")


def _of_facts(document: dict[str, Any], name: str) -> StoredHost:
    facts = facts_file.facts_of_document(document, features_of, name)
    unseen: list[Check] = [_check(each, "unknown", UNSEEN) for each in _LOOKED_AT_THERE]
    found = _bpftrace_of(facts.bpftrace, name)
    if isinstance(found, HostRefused):
        unseen.append(_check("bpftrace", "missing", found.message))
    return StoredHost(facts, tuple(unseen), found, facts.bpftrace, "facts")


def _check(name: str, status: Literal["missing", "unknown"], detail: str) -> Check:
    return {
        "name": name,
        "group": "host",
        "status": status,
        "detail": detail,
        "cure": None,
        "command": None,
        "blocks": status == "missing",
    }


def _of_doctor(document: dict[str, Any], name: str) -> StoredHost:
    doctor = _validated(document, name)
    host, checks = doctor["host"], tuple(doctor["checks"])
    told = doctor.get("facts")
    found = _bpftrace_of(host["bpftrace"], name)
    if told is None:
        facts = HostFacts(
            hostname=host["hostname"],
            kernel=host["kernel"],
            arch=host["arch"],
            cpus=0,
            boot_id="",
            byteorder="little",
            btf=any(check["name"] == "btf" and check["status"] == "ok" for check in checks),
            probes={},
            bpftrace=host["bpftrace"] or "",
            bpftrace_features=frozenset() if isinstance(found, HostRefused) else found.features,
        )
    else:
        facts = facts_file.facts_of_document(told, features_of, name)
        if (facts.hostname, facts.kernel, facts.bpftrace) != (
            host["hostname"],
            host["kernel"],
            host["bpftrace"],
        ):
            raise NotUnderstood(f"{name} is damaged: its facts are of another host than its checks")
    return StoredHost(facts, checks, found, host["bpftrace"], "doctor")


def _validated(document: dict[str, Any], name: str) -> Doctor:
    try:
        return _DOCTOR.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{name} is damaged: {where}: {first['msg']}") from error


def _bpftrace_of(release: str | None, name: str) -> Bpftrace | HostRefused:
    """Return the bpftrace of a host by its release.

    :raises NotUnderstood: It is no release.
    """
    if release is None:
        return HostRefused("there is no bpftrace that can be used")
    try:
        version = parse_release("bpftrace", release)
        check_supported("it", version)
    except ValueRefused as error:
        raise NotUnderstood(f"{name} is damaged: {error.message}") from error
    except HostRefused as refusal:
        return refusal
    return Bpftrace(Path("bpftrace"), version)
