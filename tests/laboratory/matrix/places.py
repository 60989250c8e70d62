"""The places of the matrix: this machine and guests, each with the releases of bpftrace that are tried there."""

from __future__ import annotations

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

DEFAULT = "host,6.1,6.12,7.2"


def columns_of(text: str) -> tuple[Column, ...]:
    """Return the columns that are meant by words as `host,6.1,7.2+0.17.0`: a kernel, or a kernel and a release.

    :raises ValueError: A kernel stands alone, and which bpftrace belongs to it is not known.
    """
    found: list[Column] = []
    for word in text.split(","):
        kernel, _, release = word.strip().partition("+")
        own = [column for column in PLANNED if column.kernel == kernel]
        if not release and not own:
            raise ValueError(f"{kernel}: with which bpftrace? as {kernel}+{PLANNED[-1].bpftrace}")
        found += [Column(kernel, release)] if release else own
    return tuple(dict.fromkeys(found))
