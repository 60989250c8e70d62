"""Read a runbook's file; report every mistake in it at once, as `file:line:col`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from runner.errors import NotUnderstood
from runner.recipe.finding import Finding, RecipeRefused
from runner.recipe.model_base import location_text
from runner.recipe.small_file import read_small
from runner.recipe.yaml_file import YamlFile, read_yaml
from runner.workflow.runbook.check import check, near
from runner.workflow.runbook.model import KINDS, Runbook, without_tags

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoadedRunbook:
    """A runbook without mistakes, with where it came from.

    :param digest: `sha256:` and the digest of its file.
    """

    runbook: Runbook
    file: YamlFile
    digest: str

    @property
    def path(self) -> Path:
        """Return its file."""
        return self.file.path


def lint_runbook(path: Path) -> tuple[Finding, ...]:
    """Return everything that is wrong with a runbook's file, in the order of the places."""
    return _read(path)[2]


def load_runbook(path: Path) -> LoadedRunbook:
    """Read a runbook that can be run.

    :raises NotUnderstood: The file cannot be read, or is no YAML.
    :raises RecipeRefused: With every mistake, a line each.
    """
    file, runbook, findings = _read(path)
    if any(each.rule == "unreadable" or each.rule.startswith("yaml-") for each in findings):
        raise NotUnderstood("\n".join(map(str, findings)))
    if runbook is None or findings:
        raise RecipeRefused(findings, hint=f"ebpf-recipe lint {path}")
    return LoadedRunbook(runbook, file, f"sha256:{hashlib.sha256(read_small(path)).hexdigest()}")


def _read(path: Path) -> tuple[YamlFile, Runbook | None, tuple[Finding, ...]]:
    file = read_yaml(path)
    if file.findings:
        return file, None, file.findings
    try:
        runbook = Runbook.model_validate(file.document)
    except ValidationError as error:
        return file, None, tuple(_finding(file, each) for each in error.errors(include_url=False))
    findings = list(check(file, runbook))
    if runbook.id != path.stem:
        text = f"id is {runbook.id!r}, the file is called {path.stem!r}"
        findings.append(file.finding("id-file-name", ("id",), text))
    return file, runbook, tuple(sorted(set(findings)))


def _finding(file: YamlFile, details: Any) -> Finding:
    location = without_tags(details["loc"])
    where = location_text(location)
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "step_kind" and isinstance(details["input"], dict):
        meant = {key: near(key, KINDS) for key in details["input"] if isinstance(key, str)}
        mistyped = next((key for key, question in meant.items() if question and key not in KINDS), None)
        if mistyped is not None and not meant.keys() & set(KINDS):
            location, message = (*location, mistyped), f"{message}{meant[mistyped]}"
    return file.finding("model", location, f"{where + ': ' if where else ''}{message}")
