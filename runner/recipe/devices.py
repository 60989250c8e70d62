"""Parameters that name a block device: which requests of which host they mean."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.capture.words import ByteOrder
    from runner.host.facts import BlockDevice
    from runner.recipe.parameters import Value

_MINOR_BITS = 20
"""MINORBITS of include/linux/kdev_t.h."""

_NUMBER = re.compile(r"([0-9]{1,4}):([0-9]{1,7})")
_NAME = re.compile(r"[\w.+:@/-]{1,128}", re.ASCII)
_MOST_NEAR = 3


@dataclass(frozen=True, slots=True)
class Device:
    """A block device, as it was named, and what the tracepoints of requests say of it.

    They name disks alone: a partition is its disk and a range of sectors.

    :param disk: The kernel's dev_t of the disk; None before the host is known.
    :param sectors: Of a partition: the first of its sectors of 512 bytes, and the first behind it.
    """

    text: str
    disk: int | None = None
    sectors: tuple[int, int] | None = None

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:  # noqa: ARG002
        """Return `device == 8388608`, of a partition with its range.

        :param expressions: A request's device and its first sector.
        """
        if len(expressions) != 2:
            raise TypeError("a device is compared with two expressions: a request's device and first sector")
        device, sector = expressions
        assert self.disk is not None
        if self.sectors is None:
            return f"{device} == {self.disk}"
        first, behind = self.sectors
        return f"{device} == {self.disk} && {sector} >= {first} && {sector} < {behind}"

    def json(self) -> str:
        """Return the name as it was given."""
        return self.text


def parse_device(text: str) -> Device:
    """Parse the name of a block device, or its number; whether there is one, only the host can say."""
    if not _NAME.fullmatch(text) or text.endswith("/"):
        raise ValueError("no name of a block device")
    return Device(text)


def known_devices(
    values: Mapping[str, tuple[Value, ...]], devices: Sequence[BlockDevice]
) -> dict[str, tuple[Value, ...]]:
    """Return the values with every device looked up.

    :param devices: Those of the host.
    :raises ValueRefused: It has none of that name or number, or one without requests.
    """
    return {
        name: tuple(_known(name, each, devices) if isinstance(each, Device) else each for each in given)
        for name, given in values.items()
    }


def _known(option: str, given: Device, devices: Sequence[BlockDevice]) -> Device:
    found = _find(given.text, devices)
    if found is None:
        raise ValueRefused(
            f"--{option} {given.text}: there is no such block device", hint=_near(option, given.text, devices)
        )
    disk = next((each for each in devices if each.name == found.disk), found)
    if not disk.has_requests:
        below = " and ".join(f"--{option} {name}" for name in disk.below)
        raise ValueRefused(
            f"--{option} {given.text}: {disk.name} makes no requests: what it is given it serves itself or "
            "hands on to the devices below",
            hint=f"look below it: {below}" if below else None,
        )
    if not found.disk:
        return replace(given, disk=disk.number)
    return replace(given, disk=disk.number, sectors=(found.first_sector, found.first_sector + found.sectors))


def _find(text: str, devices: Iterable[BlockDevice]) -> BlockDevice | None:
    name = text.removeprefix("/dev/")
    number = _NUMBER.fullmatch(text)
    for device in devices:
        if number is not None:
            if device.number == int(number[1]) << _MINOR_BITS | int(number[2]):
                return device
        elif name == device.name or (device.mapped and name in (device.mapped, f"mapper/{device.mapped}")):
            return device
    return None


def _near(option: str, text: str, devices: Sequence[BlockDevice]) -> str:
    names = [name for each in devices if each.has_requests for name in (each.name, each.mapped) if name]
    near = difflib.get_close_matches(text.rpartition("/")[2], names, n=_MOST_NEAR)
    meant = f"--{option} {' or '.join(near)}? " if near else ""
    return f"{meant}lsblk lists block devices"
