"""`ebpf-recipe experiment recover`: puts back what an experiment left that was killed."""

from __future__ import annotations

from typing import Annotated

import typer

_WAIT_SECONDS = 70.0
"""So long may a command of a killed experiment that changes a setting still take."""


def recover_host(
    put_back: Annotated[
        bool, typer.Option("--put-back", help="Also put back what somebody else changed meanwhile, unasked.")
    ] = False,
    leave: Annotated[
        bool,
        typer.Option(
            "--leave", help="Leave as it is what somebody else changed or cannot be put back, and forget it."
        ),
    ] = False,
) -> None:
    """Put back what an experiment left that was killed, or whose host went down."""
    from runner.cli.experiment import asking
    from runner.cli.output import print_text, say
    from runner.errors import HostRefused
    from runner.host.kernel import is_root
    from runner.interrupts import Interrupts
    from runner.workflow.experiment.recover import recover
    from runner.workflow.experiment.state import host_lock

    if put_back and leave:
        raise typer.BadParameter("--put-back or --leave, not both")
    if not is_root():
        raise HostRefused("to change this host needs root", hint="sudo ebpf-recipe experiment recover")
    # Until it is held a signal ends us; then not in the middle of a change.
    with host_lock(_WAIT_SECONDS, say), Interrupts() as signals:
        ask = (lambda _: True) if put_back else None if leave else asking(signals)
        found = recover(ask, leave=leave)
    if found is None:
        print_text("no experiment left anything on this host")
        return
    lines = [f"{found.journal.title}, begun {found.journal.started} on {found.journal.hostname}"]
    if found.since:
        lines.append(found.since)
    lines += [
        f"  {each.name}: {each.became}{f' ({each.detail})' if each.detail else ''}" for each in found.settings
    ]
    print_text("\n".join(lines))
