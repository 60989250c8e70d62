"""What a recipe declares about its tables and the decoder takes: kinds, key types, units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from runner.capture.buckets import Buckets

Kind = Literal["count", "sum", "min", "max", "avg", "stats", "histogram", "time-series", "value"]
"""How the rows of a table came about: bpftrace's aggregations, by their names in captures."""

KeyType = Literal[
    "string", "integer", "unsigned", "boolean", "comm", "ip", "port", "device", "kernel-stack", "user-stack",
    "socket", "enum", "ksym", "syscall", "error", "function", "cgroup",
]  # fmt: skip
"""`integer` is signed. `socket`, a socket's inode, is a program's alone: the capture has its owner. `enum` is
a value of a kernel enumeration by its name, `ksym` a kernel address by the function that it is in, `syscall`
a system call by its name (see `syscalls.py`), `error` an errno by its name, `function` which of the functions
of the command line, by its words there, `cgroup` a task's control group: by its path, or by the container or
pod that it belongs to, `null` where it belongs to none."""

FieldType = Literal[KeyType, "text", "path", "arguments"]
"""What a field of an event can be besides what a key can: a text of any length, the path of a file, the words
of a command line. An `error` is `null` where there was none."""

Unit = Literal[
    "packets", "segments", "switches", "calls", "events", "samples", "requests", "ns", "us", "ms", "seconds",
    "bytes", "pages", "sectors", "ratio", "processes", "connections", "periods", "rules", "none",
]  # fmt: skip

Better = Literal["lower", "higher"]

COMM_BYTES = 16
"""TASK_COMM_LEN of include/linux/sched.h: 15 bytes of name and a NUL."""

EVENT_MARK = 4072930817
"""The first number of a tuple that is an event, and PIECE_MARK of one that is a piece of it."""

PIECE_MARK = 4072930818

ARGUMENT_BYTES = 512
"""Most that is kept of a command line, and ARGUMENT_PIECE_BYTES what one piece of it holds."""

ARGUMENT_PIECE_BYTES = 64

WORD_BYTES = 8
STACK_DEPTH = 127
"""Most frames of a stack: the default of the sysctl kernel.perf_event_max_stack."""

KINDS: tuple[Kind, ...] = get_args(Kind)
KEY_TYPES: tuple[KeyType, ...] = get_args(KeyType)


@dataclass(frozen=True, slots=True)
class KernelEnum:
    """An enumeration of the kernel, whose names the running kernel itself is asked for.

    :param member: The name of one of its members, by which it is found: it may have no name of its own.
    :param prefix: What all names begin with and rows leave out, and `suffix` what they end with.
    """

    member: str
    prefix: str = ""
    suffix: str = ""

    def label(self, number: int, names: Mapping[int, str]) -> str:
        """Return the name of a value; of one that the kernel does not name, the number."""
        return names.get(number, str(number)).removeprefix(self.prefix).removesuffix(self.suffix)


@dataclass(frozen=True, slots=True)
class KeyDeclaration:
    """One key of a table.

    :param owner: The key names the owner of what was counted. A row whose owner keys all carry
        zero is `unattributed`: process id 0 owns no socket, file or request.
    :param bytes: Of a string: how many of its bytes travel; a multiple of 8.
    :param depth: Of a stack: how many frames are kept.
    """

    name: str
    type: KeyType
    owner: bool = False
    bytes: int = COMM_BYTES
    depth: int = STACK_DEPTH
    enum: KernelEnum | None = None

    @property
    def words(self) -> int:
        """Return how many 64-bit integers carry a text (see `words.py`); 0 for what is no text."""
        return self.bytes // WORD_BYTES if self.type in ("comm", "string") else 0

    @property
    def parts(self) -> int:
        """Return how many parts of a bpftrace map key carry this key."""
        return self.words or 1

    @property
    def is_stack(self) -> bool:
        """Whether the key is a stack."""
        return self.type in ("kernel-stack", "user-stack")


@dataclass(frozen=True, slots=True)
class TableDeclaration:
    """One table of a capture and the bpftrace map that carries it.

    :param unsigned: The values are unsigned 64-bit integers, else signed ones.
    :param buckets: Of a histogram.
    :param interval_ns: Of a time series.
    """

    name: str
    map: str
    kind: Kind
    unit: Unit
    keys: tuple[KeyDeclaration, ...] = field(default=())
    total_of: str | None = None
    """This table counts what the named one counts, without keys: rows that bpftrace had no room for
    are the difference."""
    unfollowed_of: str | None = None
    """This table counts events that the named one misses, for a map of the program had no room."""
    unreturned_of: str | None = None
    """This table counts calls that the named one misses, for the kernel did not follow their return."""
    unseen_of: str | None = None
    """This table counts events that the named one misses, for the kernel did not run the program then."""
    above_of: tuple[str, str] | None = None
    """This table counts what of the named one is as large as the value of the named parameter, or larger."""
    better: Better | None = None
    """Which way its numbers are better; None where neither is."""
    unsigned: bool = False
    buckets: Buckets | None = None
    interval_ns: int | None = None

    events_of: str | None = None
    """This table counts the events of that name, whether they arrive or not."""

    @property
    def socket_column(self) -> str | None:
        """Return the key that carries the socket of rows whose owner no probe saw."""
        return next((key.name for key in self.keys if key.type == "socket"), None)

    @property
    def extra_parts(self) -> int:
        """Return how many parts of the map's key, behind the declared ones, belong to the value.

        A histogram's bucket; a time series' interval; of an extreme the top bit (see `extremes.py`).
        """
        return 1 if self.kind in ("histogram", "time-series", "min", "max") else 0


@dataclass(frozen=True, slots=True)
class FieldDeclaration:
    """One field of an event.

    :param key: How it travels, where it does as a key of a table.
    """

    name: str
    type: FieldType
    unit: Unit | None = None
    key: KeyDeclaration | None = None

    @property
    def parts(self) -> int:
        """Return how many parts of what is printed carry this field."""
        return self.key.parts if self.key is not None else 1


@dataclass(frozen=True, slots=True)
class EventDeclaration:
    """Something that is reported as it happens."""

    name: str
    fields: tuple[FieldDeclaration, ...]
