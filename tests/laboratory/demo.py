"""`make demo`: whose packets are sent again? A laboratory with loss, the recipe, the answer."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from tests.laboratory.children import child
from tests.laboratory.machine import missing_for_tracing
from tests.laboratory.network import lose_packets, two_hosts
from tests.laboratory.nginx import PORT, load, nginx

RECIPE = ["tcp-retrans", "--comm", "nginx"]
LOSS = 0.05
REQUESTS = 200
RECORDED = Path(__file__).parents[1] / "recordings" / "tcp-retrans-nginx-0.17.0.json"
RESULTS = Path(__file__).parents[2] / "build" / "demo"


def _ebpf_recipe(*arguments: str) -> int:
    command = Path(sys.executable).with_name("ebpf-recipe")
    print(f"\n$ ebpf-recipe {shlex.join(arguments)}", flush=True)
    # Ctrl-C ends the run, and the run shows what it has: that is awaited, not cut short.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with child([command, *arguments]) as process:
            return process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


def _show(*options: str) -> int:
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = os.path.relpath(RESULTS / "tcp-retrans.json")
    code = _ebpf_recipe("run", *RECIPE, *options, "-o", result)
    if code == 0 and not sys.stdout.isatty():
        # On a terminal the run shows its table itself.
        code = _ebpf_recipe("report", result)
    if code == 0:
        print(f"\nThe capture, as JSON: {result}", flush=True)
    return code


def _traced() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="ebpf-recipe-demo-") as folder,
        two_hosts() as (server, client),
        nginx(server, Path(folder)),
    ):
        lose_packets(client, LOSS)
        print(
            f"laboratory: nginx at {server.ipv4}:{PORT}, a client at {client.ipv4}; "
            f"{LOSS:.0%} of the packets to the client are lost",
            flush=True,
        )
        # In a process namespace, so that with the loop its requests end too.
        alone = ["unshare", "--pid", "--fork", "--kill-child", *load(client, server.ipv4, REQUESTS)]
        with child(alone, end=signal.SIGKILL, stderr=subprocess.DEVNULL, start_new_session=True):
            code = _show("--duration", "8s")
    print("laboratory taken down", flush=True)
    return code


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Run the demo; return the exit code of the run."""
    signal.signal(signal.SIGTERM, _end)
    try:
        reason = missing_for_tracing()
        if reason is None:
            return _traced()
        print(f"nothing can be traced here ({reason}): the same command over a RECORDED run", flush=True)
        return _show("--replay", os.path.relpath(RECORDED))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("\ninterrupted; laboratory taken down", flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
