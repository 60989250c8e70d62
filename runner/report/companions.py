"""What happened beside a run, as lines of the table form and as the table of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.signs import RULES, Sign, signs_of
from runner.report.words import readable

if TYPE_CHECKING:
    from runner.capture.document import Capture


def format_companions(capture: Capture) -> list[str]:
    """Return a line for each thing that happened beside the run and may matter."""
    return [f"{_where(sign)}{sign.text} ({sign.next})" for sign in signs_of(capture)]


def rules_as_markdown() -> str:
    """Return the table of rules: when each has a line, and what to do next."""
    rows = [f"| `{name}` | {rule.when} | {rule.next} |" for name, rule in RULES.items()]
    return "\n".join(["| line | when | what to do next |", "|---|---|---|", *rows]) + "\n"


def _where(sign: Sign) -> str:
    if sign.place is None:
        return ""
    if "cgroup" in sign.place:
        return f"cgroup {readable(sign.place['cgroup'])}: "
    return f"network of process {sign.place['pid']}: "
