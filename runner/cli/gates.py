"""`--gate`: conditions that decide by the exit code, before a run and at its end."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.condition import Limit
    from runner.capture.document import Capture

Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="CONDITION",
        help="Exit with 1 unless it holds: 'latency.p99 <= 10ms', 'drops.rate < 5/s'. [may be repeated]",
        show_default=False,
    ),
]


class CountsAs(StrEnum):
    """What an inconclusive gate is to the exit code."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"


InconclusiveAs = Annotated[
    CountsAs | None,
    typer.Option(
        "--inconclusive",
        help="What a gate counts as that what is known does not decide. [default: fail]",
        show_default=False,
    ),
]


def parse_gates(texts: Sequence[str] | None, inconclusive: CountsAs | None) -> list[Limit]:
    """Parse gates on one capture.

    :raises NotParsed: One is none.
    :raises ValueRefused: One compares two sides.
    """
    if not texts:
        if inconclusive is not None:
            raise typer.BadParameter("--inconclusive says something of --gate alone")
        return []
    from runner.capture.condition import Limit, parse_condition, place_of
    from runner.errors import ValueRefused

    gates = []
    for text in texts:
        gate = parse_condition(text)
        if not isinstance(gate, Limit):
            raise ValueRefused(
                f"{place_of(gate, gate.column, 'gate')}: `not worse by` compares two sets of captures, "
                "and here is one",
                hint="an amount: 'latency.p99 <= 10ms'",
            )
        gates.append(gate)
    return gates


def decide(gates: Sequence[Limit], capture: Capture, inconclusive: CountsAs | None) -> None:
    """Put the verdicts of gates into a capture, where there are gates.

    :param gates: Checked against the capture's tables before.
    """
    if gates:
        from runner.capture.gate import gate_results

        capture["gates"] = gate_results(gates, capture, (inconclusive or CountsAs.FAIL).value)


def say_gates(capture: Capture) -> None:
    """Say what a capture's gates said."""
    from runner.cli.output import say

    if "gates" in capture:
        from runner.report.gates import gate_line

        for result in capture["gates"]:
            say(gate_line(result))


def exit_by_gates(capture: Capture) -> None:
    """Exit with 1 where a gate of a capture counts as failed."""
    from runner.errors import ExitCode

    if any(result["counts_as"] == "fail" for result in capture.get("gates", [])):
        raise typer.Exit(ExitCode.NEGATIVE)
