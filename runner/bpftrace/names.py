"""What the traced host and the command line call the values that keys and fields carry as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.capture.document import TextBytes
    from runner.capture.words import ByteOrder

Enums = Mapping[str, Mapping[int, str]]
"""The names of values, by a member of the kernel enumeration that has them."""

DeviceNames = Mapping[int, str]
"""The names of block devices, by the kernel's dev_t."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of numbers.

    :param byteorder: Of the host, whose integers carry texts.
    :param arch: Of the host, as `uname -m` says it: system calls have names by it.
    :param devices: Of those that are not here the numbers stand in the key.
    :param cgroups: By their ids; None where they have no such name.
    :param functions: The functions that were asked for, in their order, by the words of the command line.
    """

    byteorder: ByteOrder
    enums: Enums = field(default_factory=dict)
    arch: str = ""
    devices: DeviceNames = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    cgroups: Mapping[int, str | TextBytes | None] = field(default_factory=dict)
