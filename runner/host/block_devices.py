"""Disks and partitions as the kernel has them now, from sysfs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.host.facts import BlockDevice

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYSFS = Path("/sys/class/block")
_MINOR_BITS = 20
"""MINORBITS of include/linux/kdev_t.h."""


def block_devices(root: Path = _SYSFS) -> tuple[BlockDevice, ...]:
    """Return every block device, by its name; none where sysfs is not mounted.

    :param root: Where sysfs lists them: /sys/class/block.
    """
    return tuple(sorted(_devices(root), key=lambda device: device.name))


def _devices(root: Path) -> Iterator[BlockDevice]:
    try:
        folders = list(root.iterdir())
    except OSError:
        return
    for folder in folders:
        try:
            yield _device(folder)
        except (OSError, ValueError):
            continue  # it went away meanwhile


def _device(folder: Path) -> BlockDevice:
    major, _, minor = _text(folder / "dev").partition(":")
    is_partition = (folder / "partition").exists()
    # /sys/devices/…/block/sda/sda1
    disk = folder.resolve().parent if is_partition else folder
    return BlockDevice(
        name=_name(folder),
        number=int(major) << _MINOR_BITS | int(minor),
        mapped=_text(folder / "dm/name") if (folder / "dm").exists() else "",
        disk=_name(disk) if is_partition else "",
        first_sector=int(_text(folder / "start")) if is_partition else 0,
        sectors=int(_text(folder / "size")) if is_partition else 0,
        # blk_mq_sysfs_register() of the kernel makes it.
        has_requests=(disk / "mq").exists(),
        below=tuple(sorted(_name(each) for each in folder.glob("slaves/*"))),
    )


def _name(folder: Path) -> str:
    """Return the name in /dev: sysfs has an exclamation mark where that has a slash."""
    return folder.name.replace("!", "/")


def _text(path: Path) -> str:
    return path.read_text().rstrip("\n")
