"""The target filters as options of commands that are about no one recipe."""

from __future__ import annotations

from typing import Annotated

import typer

Pids = Annotated[
    list[str] | None,
    typer.Option("--pid", metavar="PID", help="Of this process. [may be repeated]", show_default=False),
]
Comms = Annotated[
    list[str] | None,
    typer.Option(
        "--comm",
        metavar="NAME",
        help="Of processes whose leader has this name; a trailing * matches a prefix. [may be repeated]",
        show_default=False,
    ),
]
Threads = Annotated[
    list[str] | None,
    typer.Option(
        "--thread", metavar="NAME", help="Of threads of this name. [may be repeated]", show_default=False
    ),
]
Cgroups = Annotated[
    list[str] | None,
    typer.Option(
        "--cgroup",
        metavar="PATH",
        help="Of tasks in this control group. [may be repeated]",
        show_default=False,
    ),
]
Containers = Annotated[
    list[str] | None,
    typer.Option(
        "--container", metavar="ID", help="Of tasks in this container. [may be repeated]", show_default=False
    ),
]
Pods = Annotated[
    list[str] | None,
    typer.Option("--pod", metavar="POD", help="Of tasks in this pod. [may be repeated]", show_default=False),
]
