"""What a run cost, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.percent import in_percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.capture.document import BudgetUse, Overhead

_MEGABYTE = 1e6


def format_overhead(overhead: Overhead) -> str:
    """Return the cost of a run; what was not measured is left out, or named where it is the BPF part."""
    return "cost: " + "; ".join(_parts(overhead))


def format_budget(use: BudgetUse) -> str:
    """Return what became of a run's budget, in one line."""
    head = f"budget: {in_percent(use['ratio'])} of {use['cpus']} processors"
    if use["measured_ratio"] is None:
        return f"{head}; what the run took was not measured"
    shares = {
        "in BPF": use["inside_ratio"],
        "around it": use["around_ratio"],
        "bpftrace": use["tracer_ratio"],
        "ebpf-recipe": use["runner_ratio"],
    }
    parts = ", ".join(f"{name} {in_percent(share or 0.0)}" for name, share in shares.items())
    return f"{head}, {use['outcome']}: {in_percent(use['measured_ratio'])} taken ({parts})"


def _parts(overhead: Overhead) -> Iterator[str]:
    ratio, seconds = overhead["cpu_ratio"], overhead.get("measured_seconds")
    if ratio is None or seconds is None:
        yield overhead.get("covers", "").partition(".")[0]
    else:
        runs = overhead["probe_runs"]
        each = f" of {overhead['ns_per_run']:.0f} ns" if overhead["ns_per_run"] is not None else ""
        yield f"{ratio:.3%} of one CPU in BPF ({runs} runs{each} in {seconds:.1f} s)"
    size = overhead.get("map_bytes")
    if size is not None:
        yield f"maps {size / _MEGABYTE:.1f} MB"
    cpu, memory = overhead.get("tracer_cpu_seconds"), overhead.get("tracer_rss_bytes")
    if cpu is not None and memory is not None:
        yield f"bpftrace {cpu:.1f} s of CPU, {memory / _MEGABYTE:.0f} MB"
