"""New captures: the parts that a run has, and what a capture says where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.encode import new_id
from runner.capture.quality import grade

if TYPE_CHECKING:
    from runner.capture.document import (
        Capture,
        Companion,
        Event,
        Host,
        Message,
        Overhead,
        Problem,
        Program,
        RecipeReference,
        Table,
        Window,
    )

NOWHERE: Host = {
    "hostname": None, "kernel": None, "arch": None, "cpus": None, "bpftrace": None, "boot_id": None,
}  # fmt: skip
"""A host of which nothing is known."""

NEVER: Window = {
    "started_at": None, "attached_at": None, "ended_at": None, "duration_seconds": None, "ended_by": None,
}  # fmt: skip
"""A window of which nothing is known."""


def new_capture(
    *,
    tables: list[Table],
    problems: list[Problem],
    messages: list[Message],
    recipe: RecipeReference | None = None,
    parameters: dict[str, Any] | None = None,
    target: dict[str, list[Any]] | None = None,
    program: Program | None = None,
    host: Host = NOWHERE,
    window: Window = NEVER,
    overhead: Overhead | None = None,
    companions: list[Companion] | None = None,
    events: list[Event] | None = None,
) -> Capture:
    """Return a capture of one run with an id of its own, graded by its problems."""
    identity = new_id()
    return {
        "schema": "ebpf-recipe/capture/v1",
        "id": identity,
        "run_id": identity,
        "recipe": recipe,
        "parameters": parameters or {},
        "target": target or {},
        "program": program,
        # Copies: a caller may say more of one capture, and not of all.
        "host": host.copy(),
        "window": window.copy(),
        "quality": {"grade": grade(problems), "problems": problems},
        "overhead": overhead,
        "tables": tables,
        "events": events or [],
        "messages": messages,
        "companions": companions or [],
    }
