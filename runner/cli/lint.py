"""`ebpf-recipe lint`: what is wrong with recipes and templates, all of it at once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.recipes_option import Recipes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.recipe.finding import Finding


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def lint_recipes(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            readable=False,
            help="Recipe files, templates, runbooks, or directories of them. [default: all there are]",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("-f", "--format", help="github: as annotations of a workflow's log.")
    ] = Format.TEXT,
    recipes: Recipes = None,
) -> None:
    """Check recipes, templates, remedies, runbooks and experiments; nothing is traced, and nothing is run."""
    from runner.cli.output import print_text, say
    from runner.errors import ExitCode
    from runner.recipe.lint.check import Report, lint
    from runner.workflow.experiment.lint import select_experiments
    from runner.workflow.runbook.selection import select_runbooks

    del recipes
    experiments, rest = select_experiments(paths or ())
    runbooks, others = select_runbooks(rest) if rest or not paths else ([], [])
    report = lint(others) if others or not paths else Report((), 0)
    findings = list(report.findings)
    if runbooks:
        from runner.workflow.runbook.load import lint_runbook

        findings = sorted([*findings, *(each for path in runbooks for each in lint_runbook(path))])
    if experiments:
        from runner.workflow.experiment.lint import lint_experiment

        findings = sorted([*findings, *(each for path in experiments for each in lint_experiment(path))])
    text = _FORMS[form](findings)
    if text:
        print_text(text)
    errors = sum(each.severity == "error" for each in findings)
    files = report.files + len(runbooks) + len(experiments)
    say(f"{_count(files, 'file')}: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}")
    if errors:
        raise typer.Exit(ExitCode.NEGATIVE)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _text(findings: Sequence[Finding]) -> str:
    return "\n".join(_line(finding) for finding in findings)


def _line(finding: Finding) -> str:
    place = f"{finding.path}:{finding.line}:{finding.column}"
    line = f"{place}: {finding.severity}: {' '.join(finding.text.split())} [{finding.rule}]"
    # What stands in a file is shown, never obeyed by a terminal.
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _json(findings: Sequence[Finding]) -> str:
    import orjson

    documents = [
        {
            "path": finding.path,
            "line": finding.line,
            "column": finding.column,
            "severity": finding.severity,
            "rule": finding.rule,
            "text": finding.text,
        }
        for finding in findings
    ]
    return orjson.dumps(documents, option=orjson.OPT_INDENT_2).decode()


def _github(findings: Sequence[Finding]) -> str:
    from runner.report.github import workflow_command

    return "\n".join(
        workflow_command(
            finding.severity,
            finding.text,
            file=finding.path,
            line=finding.line,
            col=finding.column,
            title=finding.rule,
        )
        for finding in findings
    )


_FORMS: dict[Format, Callable[[Sequence[Finding]], str]] = {
    Format.TEXT: _text,
    Format.JSON: _json,
    Format.GITHUB: _github,
}
