"""What a recipe declares about its tables and the decoder takes: kinds, key types, units."""

from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["count", "sum", "min", "max", "avg", "stats", "histogram", "time-series", "value"]
"""How the rows of a table came about: bpftrace's aggregations, by their names in captures."""

KeyType = Literal[
    "string", "integer", "boolean", "comm", "ip", "port", "device", "syscall", "kernel-stack", "user-stack",
    "socket",
]  # fmt: skip
"""`socket`, a socket's inode, is a program's alone: the capture has its owner in place of it."""

Unit = Literal[
    "packets", "segments", "calls", "events", "samples", "requests", "ns", "us", "ms", "seconds",
    "bytes", "pages", "sectors", "ratio", "processes", "connections", "none",
]  # fmt: skip

WORDS_PER_KEY: dict[KeyType, int] = {"comm": 2}
"""How many parts of a bpftrace map key carry one declared key, where it is not one (see `words.py`)."""

KINDS: tuple[Kind, ...] = get_args(Kind)
KEY_TYPES: tuple[KeyType, ...] = get_args(KeyType)


@dataclass(frozen=True, slots=True)
class KeyDeclaration:
    """One key of a table.

    :param owner: The key names the owner of what was counted. A row whose owner keys all carry
        zero is `unattributed`: process id 0 owns no socket, file or request.
    """

    name: str
    type: KeyType
    owner: bool = False


@dataclass(frozen=True, slots=True)
class TableDeclaration:
    """One table of a capture and the bpftrace map that carries it."""

    name: str
    map: str
    kind: Kind
    unit: Unit
    keys: tuple[KeyDeclaration, ...] = field(default=())
    total_of: str | None = None
    """This table counts what the named one counts, without keys: rows that bpftrace had no room for
    are the difference."""

    @property
    def socket_column(self) -> str | None:
        """Return the key that carries the socket of rows whose owner no probe saw."""
        return next((key.name for key in self.keys if key.type == "socket"), None)
