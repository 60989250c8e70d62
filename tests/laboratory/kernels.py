"""The kernels of the guests: Debian's, as `fetch-kernel` fetches them."""

from __future__ import annotations

from pathlib import Path

DEFAULT = "6.1"
"""The kernel that the tests marked `guest` are run on."""

FETCHED = Path("/var/cache/ebpf-recipe/kernel")


def fetched_kernel(release: str = DEFAULT) -> Path | None:
    """Return the image of a kernel that was fetched, its modules beside it, or None.

    :param release: Such as 6.12, the folder that it was fetched into.
    """
    return max((FETCHED / release / "boot").glob("vmlinuz-*"), default=None)
