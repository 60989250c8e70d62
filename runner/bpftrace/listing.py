"""What bpftrace itself finds in programs and libraries: functions and their arguments, USDT probes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from runner.bpftrace.diagnosis import diagnose, warnings_of
from runner.bpftrace.launch import clean_environment
from runner.errors import HostRefused

if TYPE_CHECKING:
    from runner.bpftrace.version import Bpftrace

Listed = dict[str, list[tuple[str, str]]]
"""Arguments, as names and types, by probe; none where the file does not describe them."""

_TIMEOUT_SECONDS = 60.0
_MOST_DESCRIBED = 500
"""0.17 takes 10 ms and more to describe one function."""


def list_probes(bpftrace: Bpftrace, pattern: str) -> tuple[Listed, bool]:
    """Return the probes of a file that match, and whether their arguments were asked for.

    :param pattern: `uprobe:FILE:NAME`, with wildcards.
    :raises HostRefused: bpftrace refuses, or gives no answer.
    """
    names = _ask(bpftrace, ["-l"], pattern)
    if not names or len(names) > _MOST_DESCRIBED:
        return names, not names
    try:
        return _ask(bpftrace, ["-lv"], pattern) or names, True
    except HostRefused:
        return names, False


def _ask(bpftrace: Bpftrace, options: list[str], pattern: str) -> Listed:
    try:
        done = subprocess.run(
            [bpftrace.path, *options, pattern],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean_environment({}),
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except OSError as error:
        raise HostRefused(f"{bpftrace.path} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise HostRefused(
            f"bpftrace gave no answer in {_TIMEOUT_SECONDS:.0f} s", hint="a narrower pattern is faster"
        ) from error
    kind = pattern.partition(":")[0]
    listed: Listed = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith(f"{kind}:"):
            probe = line
            listed[probe] = []
        elif listed and line.startswith("    "):
            type_of, _, name = line.strip().rpartition(" ")
            listed[probe].append((name, type_of))
    if done.returncode != 0 and not listed and warnings_of(done.stderr):
        raise diagnose(done.returncode, done.stderr, done.stdout)
    return listed
