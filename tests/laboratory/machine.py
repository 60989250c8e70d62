"""What this machine can trace, as one reason or none."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

FORCE = "EBPF_RECIPE_KERNEL_TESTS"
"""Where this is 1, a test of the kernel that would be skipped is a failure."""
TRUTH_FILE = "EBPF_RECIPE_TRUTH"
"""Where the comparisons of this run are written: as docs/truth.md has them (`make truth`), or, where the name ends so, as
JSON."""
GUEST_TRUTH_FILE = "EBPF_RECIPE_TRUTH_OF_GUEST"
"""Comparisons of another run, as JSON, that belong on the same page."""

NEEDED = ("bpftrace", "nginx", "iptables-legacy", "ip", "nsenter", "unshare", "curl")


_KPROBES = Path("/sys/bus/event_source/devices/kprobe")


def has_kprobes() -> bool:
    """Whether this kernel has kprobes (CONFIG_KPROBE_EVENTS)."""
    return _KPROBES.exists()


@functools.cache
def missing_for_tracing() -> str | None:
    """Return why nothing can be traced here, or None where it can be."""
    if os.geteuid() != 0:
        return "not root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [command for command in NEEDED if shutil.which(command, path=path) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    if not Path("/sys/kernel/tracing/events/tcp/tcp_retransmit_skb").is_dir():
        return "this kernel has no tracepoint tcp:tcp_retransmit_skb, or tracefs is not mounted"
    tried = subprocess.run(
        ["bpftrace", "-e", "BEGIN { exit(); }"], capture_output=True, text=True, timeout=120, check=False
    )
    if tried.returncode != 0:
        last = (tried.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"bpftrace does not run here: {last}"
    return None
