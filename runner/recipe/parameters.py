"""Typed parameters: from the words of a command line to values that have a bpftrace form.

Only these values can enter a program; each says how it is compared there. All conditions are built
from integers, so there is nothing to quote.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from runner.capture.declaration import COMM_BYTES
from runner.capture.encode import encode_text
from runner.capture.syscalls import all_syscalls, syscall_numbers
from runner.capture.words import name_to_words
from runner.errors import ValueRefused
from runner.recipe.cgroups import CGROUP_OPTIONS, parse_cgroup, parse_container, parse_pod
from runner.recipe.devices import parse_device
from runner.recipe.function import parse_called_function, parse_function

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from runner.capture.document import TextBytes
    from runner.capture.words import ByteOrder

PID_MAX = 1 << 22
"""PID_MAX_LIMIT of include/linux/threads.h on 64-bit kernels."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_WORD_MASK = (1 << 64) - 1


class Value(Protocol):
    """One parsed value of a parameter or target filter."""

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:
        """Return the bpftrace condition that the expressions (of the program) equal this value."""
        ...

    def json(self) -> str | int | TextBytes:
        """Return the value as a capture shows it."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number (a port, a process id): any of the expressions may equal it."""

    number: int

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:  # noqa: ARG002
        """Return `a == 80 || b == 80`."""
        return " || ".join(f"{expression} == {self.number}" for expression in expressions)

    def json(self) -> int:
        """Return the number."""
        return self.number


@dataclass(frozen=True, slots=True)
class Duration(Number):
    """A duration in nanoseconds, with the words that it was given in."""

    text: str

    def json(self) -> str:  # type: ignore[override]
        """Return the duration as it was given: `10ms`."""
        return self.text


@dataclass(frozen=True, slots=True)
class SyscallName:
    """A system call, whatever number a task of the host knows it by.

    :param arch: Of the host, as `uname -m` says it; not known yet where the value is parsed.
    """

    name: str
    arch: str = ""

    def on(self, arch: str) -> SyscallName:
        """Return the call on a host.

        :raises ValueRefused: Hosts of this architecture do not have it.
        """
        if not syscall_numbers(self.name, arch):
            there = [each for each in all_syscalls() if syscall_numbers(each, arch)]
            raise ValueRefused(
                f"{self.name}: {arch} has no such system call", hint=_near(self.name, there) or None
            )
        return SyscallName(self.name, arch)

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:  # noqa: ARG002
        """Return a comparison with the integers that carry the call (see `capture/syscalls.py`)."""
        numbers = syscall_numbers(self.name, self.arch)
        return " || ".join(f"{each} == (uint64){number}" for each in expressions for number in numbers)

    def json(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True, slots=True)
class TaskName:
    """A task's name, whole or a prefix; compared with the two words that carry a name."""

    name: bytes
    is_prefix: bool

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:
        """Return a comparison of exactly the bytes that matter.

        Kernels before v5.17 left stale bytes behind the NUL of a name, so a whole name is compared
        up to its NUL and no further.
        """
        significant = len(self.name) + (0 if self.is_prefix else 1)
        mask = b"\xff" * significant + b"\0" * (COMM_BYTES - significant)
        masks = (int.from_bytes(mask[:8], byteorder), int.from_bytes(mask[8:], byteorder))
        return _masked(expressions, masks, name_to_words(self.name, byteorder))

    def fits(self, name: bytes) -> bool:
        """Whether a name is meant by this one."""
        return name.startswith(self.name) if self.is_prefix else name == self.name

    def json(self) -> str | TextBytes:
        """Return the name as it was asked for."""
        return encode_text(self.name + (b"*" if self.is_prefix else b""))


@dataclass(frozen=True, slots=True)
class Network:
    """An address or a network (CIDR), IPv4 also as it appears on an IPv6 socket."""

    first: Address
    prefix_length: int

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:  # noqa: ARG002
        """Return a comparison with the 16 bytes of an address, IPv4 in its mapped form.

        So the kernel's `*_v6` tracepoint fields are filled (TP_STORE_ADDRS, include/trace/events).

        :param expressions: Names of variables without the number of the byte: `$remote_` for
            `$remote_0` to `$remote_15`.
        """
        version = self.first.version
        packed = self.first.packed if version == 6 else bytes(10) + b"\xff\xff" + self.first.packed
        length = self.prefix_length + (96 if version == 4 else 0)
        whole, bits = divmod(length, 8)
        # From the end: most addresses differ there, and the first difference settles it.
        parts = [(place, 0xFF) for place in reversed(range(whole))]
        if bits:
            parts.insert(0, (whole, 0xFF << (8 - bits) & 0xFF))
        conditions = [
            " && ".join(
                f"{expression}{place} == {packed[place]}"
                if mask == 0xFF
                else f"({expression}{place} & {mask}) == {packed[place]}"
                for place, mask in parts
            )
            for expression in expressions
        ]
        return " || ".join(f"({condition or 1})" for condition in conditions)

    def json(self) -> str:
        """Return the address, with its prefix length where it is a network."""
        return str(self.first) + (f"/{self.prefix_length}" if not self._is_host else "")

    @property
    def _is_host(self) -> bool:
        return self.prefix_length == self.first.max_prefixlen


def _masked(expressions: Sequence[str], masks: tuple[int, int], words: tuple[int, int]) -> str:
    parts = []
    for expression, mask, word in zip(expressions, masks, words, strict=True):
        if mask == _WORD_MASK:
            parts.append(f"{expression} == (uint64){word}")
        elif mask:
            parts.append(f"({expression} & (uint64){mask}) == (uint64){word}")
    return " && ".join(parts) or "1"


def parse_port(text: str) -> Number:
    """Parse a port, 1 to 65535."""
    return Number(_integer(text, 1, 65535))


def parse_pid(text: str) -> Number:
    """Parse a process id, 1 to the kernel's largest."""
    return Number(_integer(text, 1, PID_MAX))


def parse_comm(text: str) -> TaskName:
    r"""Parse a task name; a trailing `*` makes it a prefix, `\*` is a star of the name's own."""
    is_prefix = text.endswith("*") and not text.endswith("\\*")
    body = text[:-1] if is_prefix else text[:-2] + "*" if text.endswith("\\*") else text
    name = body.encode(errors="surrogateescape")
    if not name:
        raise ValueError("a name has at least one byte")
    if len(name) >= COMM_BYTES:
        kept = name[: COMM_BYTES - 1].decode(errors="ignore")
        # A cut in the middle of a character leaves nothing to type but a prefix.
        star = "*" if is_prefix or len(kept.encode()) < COMM_BYTES - 1 else ""
        raise ValueError(
            f"the kernel keeps {COMM_BYTES - 1} bytes of a name, this has {len(name)}: "
            f"what would match is {kept + star!r}"
        )
    return TaskName(name, is_prefix)


def parse_network(text: str) -> Network:
    """Parse an IPv4 or IPv6 address, or a network in CIDR form."""
    try:
        if "%" in text:
            raise ValueError("a packet carries no zone")
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("not an IPv4 or IPv6 address or network such as 10.0.0.0/8") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return Network(mapped, network.prefixlen - 96)
    return Network(network.network_address, network.prefixlen)


def parse_syscall(text: str) -> SyscallName:
    """Parse the name of a system call that Linux has on any architecture."""
    names = all_syscalls()
    if text not in names:
        near = _near(text, names)
        raise ValueError(f"there is no such system call{near and f'; {near}'}")
    return SyscallName(text)


def _near(name: str, names: Collection[str]) -> str:
    """Return the question for the names that are nearest to a mistyped one; empty where none is near."""
    # Nothing else needs it where commands start.
    import difflib  # noqa: PLC0415

    found = difflib.get_close_matches(name, names, n=3, cutoff=0.7)
    return f"did you mean {', '.join(found)}?" if found else ""


_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ns|us|ms|s|m)")
_NANOSECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
LONGEST_NS = 3600 * 1_000_000_000


def parse_latency(text: str) -> Duration:
    """Parse a duration with its unit, 1 ns to 1 h, a whole number of nanoseconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a duration with its unit")
    exact = Fraction(match[1]) * _NANOSECONDS[match[2]]
    if exact.denominator != 1 or not 1 <= exact <= LONGEST_NS:
        raise ValueError("not a whole number of nanoseconds up to 1h")
    return Duration(int(exact), text)


def _integer(text: str, lowest: int, highest: int) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise ValueError("not a whole number")
    number = int(text[:20])
    if not lowest <= number <= highest:
        raise ValueError(f"outside {lowest} to {highest}")
    return number


@dataclass(frozen=True, slots=True)
class ParameterType:
    """How a type is written: its name in help texts, its range, its parser."""

    metavar: str
    range: str
    parse: Callable[[str], Value]


INTEGER_BOUNDS = (0, (1 << 31) - 1)
"""What an integer may be where its parameter sets no bounds: numbers that no release takes for negative."""


def integer_type(lowest: int | None, highest: int | None) -> ParameterType:
    """Return the type of a whole number within bounds, both inclusive."""
    least = INTEGER_BOUNDS[0] if lowest is None else lowest
    most = INTEGER_BOUNDS[1] if highest is None else highest
    return ParameterType("N", f"{least} to {most}", lambda text: Number(_integer(text, least, most)))


CALLED_FUNCTION = ParameterType(
    "FUNCTION", "PATH:SYMBOL, PATH:0xADDRESS or a kernel function", parse_called_function
)
"""A function whose return is probed too."""

PARAMETER_TYPES: Mapping[str, ParameterType] = {
    "duration": ParameterType("DURATION", "10ms, 250us, 1.5s", parse_latency),
    "integer": integer_type(None, None),
    "port": ParameterType("PORT", "1 to 65535", parse_port),
    "syscall": ParameterType("NAME", "the name of a system call, as in syscalls(2)", parse_syscall),
    "device": ParameterType("DEVICE", "a block device: sda, /dev/sda1, MAJOR:MINOR", parse_device),
    "function": ParameterType(
        "FUNCTION",
        "PATH:SYMBOL, PATH:0xADDRESS, a kernel function or tracepoint:CATEGORY:NAME",
        parse_function,
    ),
    "network": ParameterType("ADDRESS", "an IPv4 or IPv6 address or network (CIDR)", parse_network),
}

TARGET_FILTERS: Mapping[str, ParameterType] = {
    "pid": ParameterType("PID", "1 to 4194304", parse_pid),
    "comm": ParameterType("NAME", "a name; a trailing * matches a prefix", parse_comm),
    "thread": ParameterType("NAME", "a name; a trailing * matches a prefix", parse_comm),
    "cgroup": ParameterType("PATH", "a path as in /proc/PID/cgroup, or a directory", parse_cgroup),
    "container": ParameterType("ID", "a container's id (6 digits or more) or name", parse_container),
    "pod": ParameterType("POD", "NAMESPACE/NAME, or the name alone", parse_pod),
}
"""The target filters, the same words for every recipe."""

HONOURED_AS: Mapping[str, str] = {
    option: "cgroup" if option in CGROUP_OPTIONS else option for option in TARGET_FILTERS
}
"""What a recipe says of each filter whether it honours it: containers and pods are cgroups."""


def parse_values(option: str, kind: ParameterType, texts: Sequence[str]) -> tuple[Value, ...]:
    """Parse what was given for one option.

    :raises ValueRefused: Naming the option, the value and what it may be.
    """
    values = []
    for text in texts:
        try:
            values.append(kind.parse(text))
        except ValueError as error:
            raise ValueRefused(
                f"--{option} {_shown(text)}: {error}", hint=f"--{option} takes {kind.range}"
            ) from error
    return tuple(values)


def parse_count(option: str, text: str, highest: int = 10_000_000) -> int:
    """Parse a count of things, 1 or more.

    :raises ValueRefused: It is none.
    """
    try:
        return _integer(text, 1, highest)
    except ValueError as error:
        raise ValueRefused(f"{option} {_shown(text)}: {error}") from error


def parse_power(option: str, text: str, highest: int = 1 << 16) -> int:
    """Parse a count that is a power of two.

    :raises ValueRefused: It is none.
    """
    number = parse_count(option, text, highest)
    if number & (number - 1):
        raise ValueRefused(
            f"{option} {number}: not a power of two", hint=f"{option} {1 << number.bit_length()}"
        )
    return number


def _shown(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def as_json(values: tuple[Value, ...], *, repeatable: bool) -> Any:
    """Return what a capture says of a parameter: a list where it is repeatable, else the value."""
    return [value.json() for value in values] if repeatable else values[0].json()
