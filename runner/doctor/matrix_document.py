"""The document of `ebpf-recipe doctor --matrix`: its types and its schema."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from runner.doctor.document import Status  # noqa: TC001  # the schema is made of it

SCHEMA: Literal["ebpf-recipe/doctor-matrix/v1"] = "ebpf-recipe/doctor-matrix/v1"


class Cell(TypedDict):
    """Whether a recipe can run on hosts, as a doctor there says it (`recipes` of its document).

    `ok`: nothing that was looked at is in its way. `missing`: it lacks what `lacks` names. `unknown`: the
    files do not tell, and `not_known` says what.
    """

    id: str
    status: Status
    variant: str | None
    reason: str | None
    lacks: list[str]
    not_known: list[str]


class Counts(TypedDict):
    """How many run, how many lack something, and of how many that is not known."""

    run: int
    lack: int
    not_known: int


class HostGroup(Counts):
    """Hosts that are alike: one kernel, one bpftrace, the same answers.

    `hosts` are their names. `source` says what told of them: facts alone hold no checks. `not_looked_at` are
    the checks that would keep recipes from running and that nobody made. The counts are of recipes.
    """

    hosts: list[str]
    count: int
    kernel: str
    arch: str
    bpftrace: str | None
    source: Literal["doctor", "facts"]
    not_looked_at: list[str]
    recipes: list[Cell]


class RecipeCount(Counts):
    """A recipe; the counts are of hosts."""

    id: str


class UnusedFile(TypedDict):
    """A file that was not used, or not all of it, and why."""

    file: str
    message: str


class Matrix(TypedDict):
    """Which recipes can run on which hosts of a fleet."""

    schema: Literal["ebpf-recipe/doctor-matrix/v1"]
    hosts: int
    recipes: list[RecipeCount]
    groups: list[HostGroup]
    problems: list[UnusedFile]


def matrix_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every document of version 1 satisfies."""
    from pydantic import TypeAdapter  # noqa: PLC0415  # not needed to make a document

    uri = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": uri, "$id": SCHEMA, **TypeAdapter(Matrix).json_schema()}
