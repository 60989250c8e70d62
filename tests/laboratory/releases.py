"""The bpftrace releases that the tests of the kernel run on: the system's and those that were fetched."""

import os
import shutil
import subprocess
from pathlib import Path

SUITES = ("trixie", "sid")
"""Debian suites whose bpftrace `fetch-bpftrace` fetches."""

_CACHE = Path("/var/cache/ebpf-recipe/bpftrace")
_TEXT = "bpftrace v"


def paths() -> list[str]:
    """Return every bpftrace that is here, or the one that EBPF_RECIPE_BPFTRACE names."""
    chosen = os.environ.get("EBPF_RECIPE_BPFTRACE")
    if chosen:
        return [chosen]
    system = shutil.which("bpftrace", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    fetched = [str(path) for suite in SUITES if (path := _CACHE / suite / "bpftrace").exists()]
    return [*([system] if system else []), *fetched]


def missing() -> list[str]:
    """Return the suites whose bpftrace was not fetched."""
    if os.environ.get("EBPF_RECIPE_BPFTRACE"):
        return []
    return [suite for suite in SUITES if not (_CACHE / suite / "bpftrace").exists()]


def tools_of(path: str) -> list[Path]:
    """Return the scripts that Debian ships with a bpftrace."""
    root = Path("/") if Path(path).parent in (Path("/usr/bin"), Path("/bin")) else Path(path).parent / "root"
    return sorted((root / "usr/sbin").glob("*.bt"))


def release_of(path: str) -> str:
    """Return the release of a bpftrace, such as 0.23.2."""
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.partition(_TEXT)[2].strip()
