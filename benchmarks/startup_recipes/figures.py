"""The figures of one recipe with one bpftrace, as they are stored."""

from typing import TypedDict


class Figures(TypedDict):
    """Seconds until the probes are attached: medians of rounds in which everything was measured in turn.

    :ivar ours: Our command; `started` is where it starts bpftrace.
    :ivar alone: bpftrace alone, with the same program.
    :ivar framed: Likewise with the probes that the runner adds.
    :ivar bodiless: Likewise with the program's probes, and nothing in them.
    :ivar nothing: Likewise without any of them.
    :ivar causes: How often bpftrace does what takes time; None where that was not looked at.
    """

    recipe: str
    bpftrace: str
    date: str
    probes: int
    ours: float
    started: float
    alone: float
    framed: float
    bodiless: float
    nothing: float
    causes: dict[str, int] | None


class Stored(TypedDict):
    """What `docs/startup.json` holds."""

    machine: str
    rounds: int
    figures: list[Figures]
