"""Where a program or shared library is that is named without its path."""

from __future__ import annotations

import re
import shutil
import subprocess


def find_binary(name: str) -> str | None:
    """Return the path of a program on PATH, or of a library in the loader's cache (`libc`), or None."""
    program = shutil.which(name)
    if program is not None:
        return program
    ldconfig = shutil.which("ldconfig") or "/sbin/ldconfig"
    try:
        said = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    stem = re.escape(name.removesuffix(".so"))
    found = re.search(rf"^\t{stem}\.so\S* \(libc6[^)]*\) => (\S+)$", said.stdout, re.MULTILINE)
    return found[1] if found else None
