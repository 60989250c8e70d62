"""A network namespace with a name (`ip netns`), and what this process does inside it."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000
"""include/uapi/linux/sched.h"""

_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBERS = itertools.count()


@contextlib.contextmanager
def named_namespace() -> Iterator[str]:
    """Make a network namespace whose loopback interface is up; return its name."""
    name = f"ebpf-recipe-{os.getpid()}-{next(_NUMBERS)}"
    _run("ip", "netns", "add", name)
    try:
        run_inside(name, "ip", "link", "set", "lo", "up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """Have this thread in a namespace for a block: sockets that it makes stay there."""
    with Path("/proc/thread-self/ns/net").open("rb") as ours, Path(f"/run/netns/{name}").open("rb") as other:
        _enter(other.fileno())
        try:
            yield
        finally:
            _enter(ours.fileno())


def run_inside(name: str, *argv: str) -> str:
    """Run a command in a namespace to its end; return its stdout."""
    return _run("ip", "netns", "exec", name, *argv)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
