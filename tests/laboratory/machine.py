"""What this machine can trace, as one reason or none."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

NEEDED = ("bpftrace", "nginx", "iptables-legacy", "ip", "nsenter", "unshare", "curl")


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
