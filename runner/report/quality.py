"""The rules of quality as people read them."""

from __future__ import annotations

from runner.capture.quality import RULES


def rules_as_markdown() -> str:
    """Return the table of problems, what each means, what its count counts, and its cure."""
    rows = [
        f"| `{code}` | {rule.grade} | {rule.meaning} | {rule.counts} | {rule.cure or ''} |"
        for code, rule in RULES.items()
    ]
    head = ["| problem | grade | what it means | what is counted | cure |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"
