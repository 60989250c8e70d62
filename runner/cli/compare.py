"""`ebpf-recipe compare`: two sets of captures, before and after, and a verdict on their difference."""

from __future__ import annotations

import itertools
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from runner.cli.gates import Gates, InconclusiveAs
from runner.cli.junit import Junit, junit_destination

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.cli.output import Destination
    from runner.compare.document import Comparison


class Format(StrEnum):
    """How a comparison is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    GITHUB = "github"


class CompareCommand(TyperCommand):
    """Takes all that follows `--with`, up to the next option, as the side after.

    Shells expand patterns to many words.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage, in the order in which they are typed."""
        del ctx
        return ["BEFORE... --with AFTER... [OPTIONS]"]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        return super().parse_args(ctx, _each_with(args))


def _each_with(args: Sequence[str]) -> list[str]:
    made: list[str] = []
    is_after = False
    for arg in args:
        if arg.startswith("-") and arg != "-":
            is_after = arg == "--with" or arg.startswith("--with=")
            if arg != "--with":
                made.append(arg)
        else:
            made += ["--with", arg] if is_after else [arg]
    # One without a file is the option's own mistake to tell.
    return [*made, "--with"] if args and args[-1] == "--with" else made


def compare_captures(
    before: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BEFORE...", help="Captures: files, directories, patterns.", show_default=False
        ),
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="AFTER...", help="The other side, likewise.", show_default=False),
    ] = None,
    primary: Annotated[
        list[str] | None,
        typer.Option(
            "--primary",
            metavar="OUTCOME",
            help="What decides, in place of the recipe's own: 'latency.above(10ms)'. [may be repeated]",
            show_default=False,
        ),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="A change that is none: 10%, of a share 0.5pp. [default: these]",
            show_default=False,
        ),
    ] = None,
    gate: Gates = None,
    inconclusive: InconclusiveAs = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            metavar="FILE",
            readable=False,
            help="The side before, kept in one file by --update-baseline.",
            show_default=False,
        ),
    ] = None,
    update_baseline: Annotated[
        bool,
        typer.Option(
            "--update-baseline",
            help="Keep the side after in --baseline where it is better or the same, and no gate fails.",
        ),
    ] = False,
    form: Annotated[
        Format, typer.Option("-f", "--format", help="auto: a table on a terminal, JSON elsewhere.")
    ] = Format.AUTO,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", readable=False, help="Write to a file."),
    ] = None,
    junit: Junit = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown", metavar="FILE", readable=False, help="Also write Markdown.", show_default=False
        ),
    ] = None,
) -> None:
    """Compare captures before and after a change: better, worse, same, changed, or inconclusive.

    Exit code 1 where it is worse or a gate fails.
    """
    from runner.cli.baseline import Baseline
    from runner.cli.comparison_end import exit_code, say_comparison
    from runner.cli.output import Destination
    from runner.compare.comparing import Wanted, compare
    from runner.compare.loading import read_side
    from runner.errors import ValueRefused

    if not after:
        raise typer.BadParameter("there is no side after: compare BEFORE... --with AFTER...")
    if before and baseline is not None:
        raise typer.BadParameter("BEFORE and --baseline are both the side before")
    if not before and baseline is None:
        raise typer.BadParameter("there is no side before: compare BEFORE... --with AFTER...")
    if update_baseline and baseline is None:
        raise typer.BadParameter("--update-baseline keeps a --baseline FILE")
    if inconclusive is not None and not gate:
        raise typer.BadParameter("--inconclusive says something of --gate alone")
    wanted = Wanted(
        primaries=_primaries(primary),
        margin=_margin(margin),
        gates=_gates(gate),
        inconclusive=inconclusive.value if inconclusive is not None else "fail",
    )
    destination = Destination(output)
    junit_file = junit_destination(junit)
    markdown_file = Destination(markdown, option="--markdown") if markdown is not None else None
    kept = Baseline(baseline) if baseline is not None and update_baseline else None
    _check_different(destination, junit_file, markdown_file, kept.destination if kept is not None else None)
    read_after = read_side(after, "after")
    # Unlike pathlib's it says no of a name that is too long.
    if baseline is not None and not os.path.exists(baseline):  # noqa: PTH110
        if kept is None:
            raise ValueRefused(
                f"there is no baseline {baseline}",
                hint=f"compare --baseline {baseline} --update-baseline --with …",
            )
        code = kept.begin(read_after, wanted)
    else:
        comparison = compare(read_side(before or [str(baseline)], "before"), read_after, wanted)
        _print(comparison, form, destination)
        if junit_file is not None:
            from runner.report.junit import junit_of_comparison

            junit_file.write(junit_of_comparison(comparison))
        if markdown_file is not None:
            from runner.report.markdown import markdown_of_comparison

            markdown_file.write(markdown_of_comparison(comparison).encode())
        is_shown = form is not Format.JSON and destination.path is None and sys.stdout.isatty()
        say_comparison(comparison, is_shown=is_shown)
        code = exit_code(comparison)
        if kept is not None:
            kept.update(comparison, read_after)
    if code:
        raise typer.Exit(code)


def _check_different(*destinations: Destination | None) -> None:
    """Refuse two results in one file; a device takes as many as come.

    :raises ValueRefused: Two would go to the same one.
    """
    from runner.errors import ValueRefused

    files = [each for each in destinations if each is not None]
    for one, other in itertools.combinations(files, 2):
        is_device = one.path is not None and one.path.exists() and not one.path.is_file()
        if one.is_same_as(other) and not is_device:
            raise ValueRefused(f"two results would go to the same file: {one.path or 'stdout'}")


def _primaries(texts: Sequence[str] | None) -> list[Any]:
    from runner.capture.condition import parse_subject

    return [parse_subject(text, what="--primary") for text in texts or ()]


def _margin(text: str | None) -> Any:
    if text is None:
        return None
    from runner.compare.margin import parse_margin

    return parse_margin(text)


def _gates(texts: Sequence[str] | None) -> list[Any]:
    from runner.capture.condition import parse_condition

    return [parse_condition(text) for text in texts or ()]


def _print(comparison: Comparison, form: Format, destination: Destination) -> None:
    has_terminal = sys.stdout.isatty()
    on_terminal = destination.path is None and has_terminal
    if form is Format.AUTO and on_terminal:
        form = Format.TABLE
    destination.write(_encoded(comparison, form, in_color=on_terminal))
    if form is Format.AUTO and has_terminal:
        from runner.cli.output import print_text

        print_text(_encoded(comparison, Format.TABLE, in_color=True).decode())
    if form is Format.GITHUB:
        from runner.cli.step_summary import add_to_summary
        from runner.report.markdown import markdown_of_comparison

        add_to_summary(markdown_of_comparison(comparison))


def _encoded(comparison: Comparison, form: Format, *, in_color: bool) -> bytes:
    match form:
        case Format.TABLE:
            from runner.report.comparison import format_comparison

            return format_comparison(comparison, in_color=in_color, encoding=sys.stdout.encoding).encode()
        case Format.JUNIT:
            from runner.report.junit import junit_of_comparison

            return junit_of_comparison(comparison)
        case Format.MARKDOWN:
            from runner.report.markdown import markdown_of_comparison

            return markdown_of_comparison(comparison).encode()
        case Format.GITHUB:
            from runner.report.github import github_of_comparison

            return github_of_comparison(comparison).encode()
        case Format.AUTO | Format.JSON:
            from runner.compare.encode import encode_comparison

            return encode_comparison(comparison)
