"""The hosts of a fleet from stored files: several files of one host are one, and what is no host is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.doctor.stored import read_stored
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from runner.doctor.matrix_document import UnusedFile
    from runner.doctor.stored import StoredHost


class Fleet:
    """Hosts as their files are read.

    :ivar problems: What could not be used, by the name of its file.
    """

    def __init__(self) -> None:
        """Know no host."""
        self.problems: list[UnusedFile] = []
        self._hosts: dict[tuple[str, ...], StoredHost] = {}
        self._first: dict[tuple[str, ...], str] = {}

    @property
    def hosts(self) -> list[StoredHost]:
        """Return the hosts, in the order in which they were read."""
        return list(self._hosts.values())

    def refuse(self, name: str, message: str) -> None:
        """Take note of a file that cannot be used."""
        self.problems.append({"file": name, "message": message})

    def add(self, raw: bytes, name: str) -> None:
        """Take a file; one that is damaged or foreign is noted as a problem.

        :param name: Of the file.
        """
        try:
            host = read_stored(raw, name)
        except NotUnderstood as error:
            self.refuse(name, error.message)
            return
        known = self._hosts.setdefault(host.identity, host)
        first = self._first.setdefault(host.identity, name)
        if known is not host:
            self._join(known, host, first, name)

    def _join(self, known: StoredHost, host: StoredHost, first: str, name: str) -> None:
        """Take another file of a host: facts add to what is known, a second doctor has to say the same."""
        if known.source == host.source == "doctor" and known.checks != host.checks:
            self.refuse(name, f"{name} is of the same host as {first}, and its checks say something else")
            return
        base, other = (host, known) if host.source == "doctor" else (known, host)
        joined, contradicted = base.with_probes_of(other)
        self._hosts[host.identity] = joined
        if contradicted:
            answers = ", ".join(contradicted)
            self.refuse(name, f"{name} and {first} are of one host and contradict each other: {answers}")
