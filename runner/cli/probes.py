"""`ebpf-recipe probes PATTERN`: what can be attached here, with arguments and types."""

from __future__ import annotations

from typing import Annotated

import typer

from runner.cli.options import BpftracePath


def find_probes(
    pattern: Annotated[
        str,
        typer.Argument(
            help="FAMILY:…:NAME with * for any characters, or a NAME alone for any of the kernel's."
        ),
    ],
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON array; arguments that are not known are null."),
    ] = False,
    bpftrace: BpftracePath = None,
) -> None:
    """Find what can be attached here, with arguments and types."""
    from runner.bpftrace.version import find_bpftrace
    from runner.cli.output import print_text, say
    from runner.probe_search import parse_pattern, search

    found = search(parse_pattern(pattern), lambda: find_bpftrace(bpftrace))
    if as_json:
        import orjson

        document = [
            {
                "probe": probe.name,
                "arguments": None
                if probe.arguments is None
                else [{"name": name, "type": type_of} for name, type_of in probe.arguments],
            }
            for probe in found.probes
        ]
        print_text(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        lines = []
        for probe in found.probes:
            lines.append(probe.name)
            lines += [f"    {type_of} {name}" for name, type_of in probe.arguments or ()]
        print_text("\n".join(lines))
    for note in found.notes:
        say(note)
