"""What privilege each bpftrace release demands of who starts it."""

from __future__ import annotations

CAPABILITIES = ("CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE")
"""What releases since 0.25 demand, of any user; seen on 0.27.1, which names the first that it misses."""


def missing_privilege(version: tuple[int, int, int], uid: int, capabilities: frozenset[str]) -> list[str]:
    """Return what bpftrace would refuse to start without: `root`, or capabilities.

    Up to 0.24 it demands the user root and looks at nothing else.

    :param uid: The effective user.
    :param capabilities: The effective ones.
    """
    if version < (0, 25, 0):
        return [] if uid == 0 else ["root"]
    return [each for each in CAPABILITIES if each not in capabilities]
