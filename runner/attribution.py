"""Owners that no probe saw: rows that name a socket get the process that holds it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from runner.capture.encode import encode_text
from runner.capture.rows import row_identity, sorted_rows
from runner.errors import NotUnderstood
from runner.host import kernel, processes
from runner.host.sockets import socket_holders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.bpftrace.evidence import Evidence
    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import ScalarRow, Table
    from runner.host.sockets import Holder


class SocketWatch:
    """Who holds the host's sockets: looked at while the probes attach, and for the rest at the end.

    A connection may die during the run, so the end alone would be too late; one that is made during
    the run is nowhere to be seen at its beginning.
    """

    def __init__(self, declarations: Sequence[TableDeclaration]) -> None:
        """Look at nothing yet.

        :param declarations: The run's tables; nothing is done where none of them names sockets.
        """
        self._declarations = declarations
        self._before: Mapping[int, tuple[Holder, ...]] = {}
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Look, beside whatever else goes on, where we can see every process of the host."""
        is_asked = any(declaration.socket_column for declaration in self._declarations)
        if is_asked and kernel.is_root() and processes.own_pid_in_kernel() is not None:
            self._thread = threading.Thread(target=self._look, name="sockets", daemon=True)
            self._thread.start()

    def holders(self, stdout: bytes, evidence: Evidence) -> dict[int, tuple[Holder, ...]]:
        """Return the holders of the sockets that bpftrace printed without an owner."""
        if self._thread is None:
            return {}
        self._thread.join()
        # What decodes is loaded when there is something to decode: bpftrace starts the earlier.
        from runner.bpftrace.messages import read_messages  # noqa: PLC0415
        from runner.bpftrace.tables import unowned_sockets  # noqa: PLC0415

        try:
            asked = unowned_sockets(self._declarations, read_messages(stdout, evidence), evidence.dialect)
        except NotUnderstood:
            return {}  # whoever decodes it will say so
        after = socket_holders() if asked - self._before.keys() else {}
        found = {inode: self._before.get(inode) or after.get(inode) for inode in asked}
        return {inode: holders for inode, holders in found.items() if holders}

    def _look(self) -> None:
        self._before = socket_holders()


def attribute(
    declarations: Sequence[TableDeclaration],
    tables: Sequence[Table],
    holders: Mapping[int, Sequence[Holder]],
    is_wanted: Callable[[Holder], bool],
) -> None:
    """Replace the sockets of rows by their owners, in place.

    A socket that one process holds is that process's. Where several hold it, the name is theirs if
    they share it, and the process is not known. A socket that nobody holds stays without owner.

    :param holders: The processes that hold each socket, by inode.
    :param is_wanted: Whether a process is among those that the run was asked for: rows that turn out
        to be others' leave the table, and their number leaves its total.
    """
    by_name = {table["name"]: table for table in tables}
    for declaration in declarations:
        column = declaration.socket_column
        if column is None:
            continue
        table = by_name[declaration.name]
        table["keys"] = [key for key in table["keys"] if key["name"] != column]
        rows: dict[bytes, ScalarRow] = {}
        dropped = 0
        for row in table["rows"]:
            inode = row["key"].pop(column)
            owners = holders.get(inode, ()) if isinstance(inode, int) and "unattributed" in row else ()
            if owners and not any(is_wanted(owner) for owner in owners):
                dropped += row["value"]  # type: ignore[typeddict-item]
                continue
            if owners:
                _name(declaration, row, owners)
            same = rows.setdefault(row_identity(row), row)  # type: ignore[arg-type]
            if same is not row:
                same["value"] += row["value"]  # type: ignore[typeddict-item]
        table["rows"] = sorted_rows(rows.values())
        for other in declarations:
            if other.total_of == declaration.name:
                for row in by_name[other.name]["rows"]:
                    row["value"] -= dropped  # type: ignore[typeddict-item]


def _name(declaration: TableDeclaration, row: Any, owners: Sequence[Holder]) -> None:
    pids = {owner.pid for owner in owners}
    names = {owner.name for owner in owners}
    for key in declaration.keys:
        if key.owner and key.type == "comm" and len(names) == 1:
            row["key"][key.name] = encode_text(owners[0].name)
            del row["unattributed"]
        elif key.owner and key.type == "integer" and len(pids) == 1:
            row["key"][key.name] = owners[0].pid
        elif key.type == "cgroup" and all(owner.group == owners[0].group for owner in owners):
            row["key"][key.name] = owners[0].group
