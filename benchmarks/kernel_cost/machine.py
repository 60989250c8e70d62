"""The machine that was measured on, as figures are labelled with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from runner.host import kernel


def kernel_release() -> str:
    """Return the kernel's release as far as its second number: 6.18."""
    return ".".join(os.uname().release.split(".")[:2])


def description() -> str:
    """Return kernel and processors in a line."""
    system = os.uname()
    return f"Linux {system.release} {system.machine}, {kernel.cpus_online()} processors ({_model()})"


def libbpf_release() -> str:
    """Return the release of libbpf-tools, or an empty text where Debian's package is not installed."""
    argv = ["dpkg-query", "--show", "--showformat=${Version}", "libbpf-tools"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "of a model that the kernel does not name"
