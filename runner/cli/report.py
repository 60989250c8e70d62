"""`ebpf-recipe report`: a saved capture as a table, or an experiment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runner.cli.gates import Gates, InconclusiveAs
from runner.cli.junit import Junit


def report_capture(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", readable=False, help="A capture, - is stdin; or the directory of an experiment."
        ),
    ],
    gate: Gates = None,
    inconclusive: InconclusiveAs = None,
    junit: Junit = None,
) -> None:
    """Print a saved capture as tables, or what became of an experiment."""
    if path.is_dir() or path.name == "experiment.json":
        _print_experiment(
            path if path.is_dir() else path.parent, is_alone=not (gate or inconclusive or junit)
        )
        return
    from runner.capture.read import read_capture
    from runner.cli.gates import decide, exit_by_gates, parse_gates, say_gates
    from runner.cli.junit import junit_destination, write_gates
    from runner.cli.output import print_text
    from runner.report.terminal import format_capture

    gates = parse_gates(gate, inconclusive)
    destination = junit_destination(junit)
    source = Path("/dev/stdin") if str(path) == "-" else path
    capture = read_capture(source)
    if gates:
        from runner.capture.condition_check import check_condition, shape_of

        shapes = [shape_of(table) for table in capture["tables"]]
        for each in gates:
            check_condition(each, shapes)
        decide(gates, capture, inconclusive)
    print_text(format_capture(capture, in_color=sys.stdout.isatty()))
    write_gates(destination, [capture])
    if gates:
        say_gates(capture)
        exit_by_gates(capture)


def _print_experiment(path: Path, *, is_alone: bool) -> None:
    """Print the experiment that a directory keeps."""
    from runner.cli.output import print_text
    from runner.errors import ValueRefused
    from runner.report.experiment import experiment_as_text
    from runner.workflow.experiment.folder import DOCUMENT, read_experiment

    if not (path / DOCUMENT).exists():
        raise ValueRefused(f"{path}: it is a directory without {DOCUMENT}", hint="name a capture in it")
    if not is_alone:
        raise typer.BadParameter("gates are held against a capture: an experiment had its own")
    print_text(experiment_as_text(read_experiment(path / DOCUMENT)).rstrip("\n"))
