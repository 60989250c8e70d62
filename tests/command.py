"""The command as its users start it: a process of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

EBPF_RECIPE = str(Path(sys.executable).with_name("ebpf-recipe"))
FAKE_BPFTRACE = str(Path(__file__).parent / "fakes" / "bpftrace")
RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))


def ebpf_recipe(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; its output as text."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [EBPF_RECIPE, *arguments], capture_output=True, text=True, timeout=180, check=False, **options
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done
