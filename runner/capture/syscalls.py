"""Names of system calls: by the architecture of the host, and by the interface of the program that calls.

A program of 32 bits on a host of 64 has numbers of its own: 20 is getpid to it, and writev to the others. So
one integer carries both: the number in its lower half, and COMPAT where the 32-bit interface of the host was
called (`include/syscall.bt.j2`). The tables are those of the package system-calls, made of the kernel's
sources.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPAT = 1 << 32

_HALF = (1 << 32) - 1
_SIGN = 1 << 31

_TABLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # Calls of x32 are told by bit 30 of their number (__X32_SYSCALL_BIT), which its table has.
    "x86_64": (("x86_64", "x32"), ("i386",)),
    "i386": (("i386",), ()),
    "i586": (("i386",), ()),
    "i686": (("i386",), ()),
    "aarch64": (("arm64",), ("arm",)),
    "armv6l": (("arm",), ()),
    "armv7l": (("arm",), ()),
    "armv8l": (("arm",), ()),
    "riscv64": (("riscv64",), ()),
    "loongarch64": (("loongarch64",), ()),
    "ppc64": (("powerpc64",), ()),
    "ppc64le": (("powerpc64",), ()),
    "s390x": (("s390x",), ()),
}
"""By what `uname -m` says: tables of calls to the host's own interface, and of those to its 32-bit one."""


def syscall_name(carried: int, arch: str) -> str:
    """Return the name of a call; of one that the tables do not have, its number.

    :param carried: The integer that carries it.
    :param arch: Of the host where it was made, as `uname -m` says it.
    """
    number = carried & _HALF
    return _names(arch).get(carried, str((number ^ _SIGN) - _SIGN))


def syscall_numbers(name: str, arch: str) -> tuple[int, ...]:
    """Return the integers that carry a call on a host: one for each interface that has it."""
    return tuple(number for number, each in _names(arch).items() if each == name)


@functools.cache
def all_syscalls() -> frozenset[str]:
    """Return the names of the calls of every architecture in the tables."""
    return frozenset(name for arch in _TABLES for name in _names(arch).values())


@functools.cache
def _names(arch: str) -> Mapping[int, str]:
    # Most commands name no system call: importing the tables takes milliseconds.
    import system_calls  # noqa: PLC0415

    tables = system_calls.syscalls()
    own, compat = _TABLES.get(arch, ((), ()))
    found = {}
    for each, mark in (*((table, 0) for table in own), *((table, COMPAT) for table in compat)):
        found.update({number | mark: name for name, number in tables.load_arch_table(each).items()})
    return found
