"""What the kernel refused and what a program did wrong, as problems of a capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.quality import problem

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from runner.bpftrace.output import ErrorMessage
    from runner.capture.document import Problem


def error_problems(errors: Counter[ErrorMessage]) -> Iterator[Problem]:
    """Say what the kernel refused; that a map was full is said of the map."""
    raced = {error: times for error, times in errors.items() if error.is_lost_first_count}
    if raced:
        places = ", ".join(f"{error.place}: {times}" for error, times in raced.items())
        yield problem(
            "first-counts-lost",
            sum(raced.values()),
            f"two processors counted the first of a row at once, and one of the two is lost ({places})",
        )
    for kind, code in (("helper_error", "helper-errors"), ("runtime_error", "runtime-errors")):
        found = {
            error: times
            for error, times in errors.items()
            if error.kind == kind
            and not (error.is_full_map or error.is_lost_first_count or error.is_harmless)
        }
        if found:
            each = ", ".join(
                f"{error.helper or error.text} ({error.text or error.code}) at {error.place}: {times}"
                for error, times in found.items()
            )
            yield problem(code, sum(found.values()), each)
