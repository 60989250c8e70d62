"""The places of the matrix: this machine and guests, each with the releases of bpftrace that are tried there."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

HOST = "host"
"""This machine's own kernel."""


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """One kernel with one bpftrace.

    :param kernel: `host`, or the version of a guest's kernel.
    """

    kernel: str
    bpftrace: str


PLANNED = (
    Column(HOST, "0.17.0"),
    Column(HOST, "0.23.2"),
    Column(HOST, "0.27.1"),
    # What Debian 12, Debian 13 and Debian sid ship together.
    Column("6.1", "0.17.0"),
    Column("6.12", "0.23.2"),
    Column("7.2", "0.27.1"),
)
"""What the table has at least."""

_RELEASE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){2}", re.ASCII)

DEFAULT = "host,6.1,6.12,7.2"


def columns_of(text: str) -> tuple[Column, ...]:
    """Return the columns that are meant by words as `host,6.1,7.2+0.17.0`: a kernel, or a kernel and a release.

    :raises ArgumentTypeError: There is no such kernel, or what stands behind it is no release.
    """
    found: list[Column] = []
    for word in text.split(","):
        kernel, plus, release = word.strip().partition("+")
        own = [column for column in PLANNED if column.kernel == kernel]
        if not own:
            known = ", ".join(dict.fromkeys(column.kernel for column in PLANNED))
            raise argparse.ArgumentTypeError(f"{kernel!r} is no place; there are {known}")
        if plus and not _RELEASE.fullmatch(release):
            raise argparse.ArgumentTypeError(
                f"{word.strip()}: which bpftrace? as {kernel}+{PLANNED[-1].bpftrace}"
            )
        found += [Column(kernel, release)] if release else own
    return tuple(dict.fromkeys(found))
