"""`ebpf-recipe render RECIPE`: the program for a host that has bpftrace and nothing of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.options import BpftracePath, BufferPages, MaxMapKeys
from runner.cli.recipe_command import recipe_command
from runner.cli.recipes_option import RecipeGroup, Recipes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.host.facts import HostFacts
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.parameters import Value


class RenderGroup(RecipeGroup):
    """The recipes as commands, each made when it is asked for."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a recipe.

        :raises ValueRefused: There is no such recipe, or it has mistakes.
        """
        loaded = None if cmd_name.startswith("-") else self.find(ctx, cmd_name)
        if loaded is None:
            return None
        return recipe_command(loaded, _common_options, _render, options_metavar="[OPTIONS]")


def _common_options(
    host: Annotated[
        Path | None,
        typer.Option(
            metavar="FACTS.json", readable=False, help="For the host with these facts. [default: this host]"
        ),
    ] = None,
    facts: Annotated[
        bool, typer.Option("--facts", help="Print the facts about this host that --host takes elsewhere.")
    ] = False,
    facts_script: Annotated[
        bool, typer.Option("--facts-script", help="Print a shell script that prints them, for any host.")
    ] = False,
    bpftrace: BpftracePath = None,
    max_map_keys: MaxMapKeys = None,
    buffer_pages: BufferPages = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", readable=False, help="Write to a file.")
    ] = None,
    recipes: Recipes = None,
) -> None:
    """Carry the options that every recipe has."""


def _render(
    ctx: typer.Context,
    loaded: LoadedRecipe,
    texts: Mapping[str, tuple[str, ...]],
    *,
    host: Path | None,
    facts: bool,
    facts_script: bool,
    bpftrace: str | None,
    max_map_keys: str | None,
    buffer_pages: str | None,
    output: Path | None,
    recipes: list[Path] | None,
) -> None:
    from runner.cli.output import Destination
    from runner.host.facts_file import encode_facts
    from runner.host.facts_file import facts_script as script_for
    from runner.plan import probes_asked_for
    from runner.recipe.given import parse_given
    from runner.recipe.parameters import parse_count, parse_power
    from runner.rendered import render_for_node

    del ctx, recipes
    if facts + facts_script + (host is not None) > 1:
        raise typer.BadParameter("--host, --facts and --facts-script do not go together")
    # A mistake in a value is told on any host.
    values = parse_given(loaded.recipe, texts, is_whole=not (facts or facts_script))
    room = parse_count("--max-map-keys", max_map_keys) if max_map_keys is not None else None
    pages = parse_power("--buffer-pages", buffer_pages) if buffer_pages is not None else None
    destination = Destination(output)
    if facts_script:
        probes = {guard.probe for guard in loaded.recipe.guards() if guard.probe is not None}
        probes |= probes_asked_for(values)
        enums = {enum.member: enum.tracepoint for enum in loaded.recipe.enums()}
        destination.write(
            script_for(loaded.recipe.id, probes, enums, devices=loaded.recipe.asks_for_devices()).encode()
        )
        return
    known = _facts_of(host) if host is not None else _own_facts(loaded, bpftrace, values)
    if facts:
        destination.write(encode_facts(known))
        return
    from runner.host.probe_patterns import count_matches

    count = count_matches if host is None else None
    text = render_for_node(loaded, texts, known, max_map_keys=room, buffer_pages=pages, count=count)
    destination.write(text.encode())


def _own_facts(
    loaded: LoadedRecipe, bpftrace: str | None, values: Mapping[str, tuple[Value, ...]]
) -> HostFacts:
    from runner.bpftrace.version import find_bpftrace
    from runner.plan import host_facts

    return host_facts(loaded.recipe, find_bpftrace(bpftrace), values)


def _facts_of(path: Path) -> HostFacts:
    """Read facts.

    :raises NotUnderstood: The file holds none.
    """
    from runner.bpftrace.version import features_of
    from runner.capture.whole_file import read_whole
    from runner.errors import NotUnderstood
    from runner.host.facts_file import decode_facts

    try:
        raw = read_whole(path)
    except OSError as error:
        raise NotUnderstood(f"{path}: {error.strerror}") from error
    return decode_facts(raw, features_of, str(path))
