"""`make bench`: what the runner adds to bpftrace, paired and as ratios within one run."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from runner.bpftrace.frame import frame_program
from runner.bpftrace.launch import direct_launcher
from runner.bpftrace.session import Session
from runner.bpftrace.version import find_bpftrace
from tests.laboratory.releases import paths

COMMAND = str(Path(sys.executable).with_name("ebpf-recipe"))
ROUNDS = 9

BARE_APP = """
import typer
app = typer.Typer()
@app.command()
def a(): "One."
@app.command()
def b(): "Two."
app()
"""


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def command(*arguments: str, env: dict[str, str] | None = None) -> Callable[[], object]:
    """Return what runs the command to its end."""
    environment = {**os.environ, **(env or {})}
    return lambda: subprocess.run(
        [COMMAND, *arguments], stdout=subprocess.DEVNULL, env=environment, check=False
    )


def median_of_pairs(first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    """Return the medians of two measurements that are taken in turn."""
    pairs = [(first(), second()) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def attached_by_us(bpftrace: str) -> float:
    """Return the seconds from the start of our command until the last probe is attached."""
    begun = time.time()
    done = subprocess.run(
        [COMMAND, "run", "tcp-retrans", "-d", "50ms", "--bpftrace", bpftrace],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return datetime.fromisoformat(json.loads(done.stdout)["window"]["attached_at"]).timestamp() - begun


def attached_raw(bpftrace: str, program: str) -> float:
    """Return the same for bpftrace alone: until what BEGIN prints is read."""
    binary = find_bpftrace(bpftrace)
    head, variables = binary.settings(max_map_keys=16384, buffer_pages=None)
    begun = time.perf_counter()
    framed = frame_program(program, head=head, runner=1, scratch_maps=["@owner"], limit_seconds=60)
    with Session(framed, direct_launcher(binary.arguments(), variables)) as session:
        session.wait_ready()
        return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    print(f"medians of {ROUNDS} pairs, taken in turn\n")
    print("from command to probes attached (tcp-retrans), against bpftrace alone with the same program")
    for bpftrace in paths():
        program = subprocess.run(
            [COMMAND, "run", "tcp-retrans", "--dry-run", "--bpftrace", bpftrace],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        ours, raw = median_of_pairs(
            lambda bpftrace=bpftrace: attached_by_us(bpftrace),  # type: ignore[misc]
            lambda bpftrace=bpftrace, program=program: attached_raw(bpftrace, program),  # type: ignore[misc]
        )
        release = find_bpftrace(bpftrace)
        print(f"  {release!s:8} {ours:.2f} s, alone {raw:.2f} s: {ours / raw:.2f} times, {ours - raw:+.2f} s")
    print("\nstart-up, against a bare Typer application's --help")
    bare = [sys.executable, "-c", BARE_APP, "--help"]
    for name, action in (
        ("--help", command("--help")),
        ("list", command("list")),
        ("run tcp-retrans --help", command("run", "tcp-retrans", "--help")),
        ("completion of run", _completion("ebpf-recipe run ")),
        ("completion of a recipe's options", _completion("ebpf-recipe run tcp-retrans --")),
    ):
        ours, other = median_of_pairs(
            lambda action=action: seconds(action),  # type: ignore[misc]
            lambda: seconds(lambda: subprocess.run(bare, stdout=subprocess.DEVNULL, check=False)),
        )
        print(f"  {name:34} {ours:.2f} s, bare {other:.2f} s: {ours / other:.2f} times")
    argv = [COMMAND, "run", "tcp-retrans", "-d", "1s"]
    done = subprocess.run(argv, capture_output=True, check=True)
    peak = json.loads(done.stdout)["overhead"]["tracer_rss_bytes"] / (1 << 20)
    print(f"\npeak memory of the runner {_peak(argv):.0f} MiB, of bpftrace {peak:.0f} MiB")


def _completion(words: str) -> Callable[[], object]:
    return command(
        env={
            "_EBPF_RECIPE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
    )


def _peak(argv: list[str]) -> float:
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
        highest = 0
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            highest = max(
                [highest, *(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)]
            )
            time.sleep(0.02)
    return highest / 1024


if __name__ == "__main__":
    main()
