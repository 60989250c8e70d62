"""How this kernel was built, where it says so."""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTION = re.compile(r"^(CONFIG_\w+)=(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """Options of a kernel's build.

    :param path: The file that told them.
    """

    path: Path
    options: Mapping[str, str]

    def has(self, option: str) -> bool:
        """Whether an option is built in or a module."""
        return self.options.get(option) in ("y", "m")


def read_kernel_config(root: Path = Path("/"), release: str | None = None) -> KernelConfig | None:
    """Return the options of this kernel, or None where no file tells them.

    :param root: Below it are `proc`, `boot` and `lib/modules`.
    :param release: The kernel's release; its file may stand in `boot`.
    """
    name = os.uname().release if release is None else release
    for path in (root / "proc/config.gz", root / f"boot/config-{name}", root / f"lib/modules/{name}/config"):
        try:
            raw = path.read_bytes()
            text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode(errors="replace")
        except (OSError, EOFError):
            continue
        return KernelConfig(path, dict(_OPTION.findall(text)))
    return None
