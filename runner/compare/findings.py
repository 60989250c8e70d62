"""What is found of captures and runs that are to be compared, for the comparison to tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.compare.document import ComparisonProblem, ProblemCode, SideName

SIDES: tuple[SideName, SideName] = ("before", "after")


@dataclass(slots=True)
class Findings:
    """Problems; the same said of several files is said once."""

    problems: list[ComparisonProblem] = field(default_factory=list)

    def add(
        self, code: ProblemCode, side: SideName | None, files: Iterable[str], detail: str, *, left_out: bool
    ) -> None:
        """Add one."""
        for problem in self.problems:
            if (problem["code"], problem["side"], problem["detail"]) == (code, side, detail):
                problem["files"] += [file for file in files if file not in problem["files"]]
                return
        made: ComparisonProblem = {
            "code": code,
            "side": side,
            "files": list(files),
            "detail": detail,
            "left_out": left_out,
        }
        self.problems.append(made)
