"""The document of `ebpf-recipe doctor`: its types and its schema."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

SCHEMA: Literal["ebpf-recipe/doctor/v1"] = "ebpf-recipe/doctor/v1"

Status = Literal["ok", "warning", "missing", "unknown"]
"""`warning`: it works, with a limit; `unknown`: it could not be looked at."""


class Check(TypedDict):
    """One thing that tracing here depends on.

    `cure` says what would help where it is not ok; `command` is that cure as a command line, where one
    helps. `blocks` tells that no recipe can run without it.
    """

    name: str
    group: Literal["host", "privilege", "bpftrace", "probes"]
    status: Status
    detail: str
    cure: str | None
    command: str | None
    blocks: bool


class Lack(TypedDict):
    """One thing that a recipe lacks here, and what would help; `command` as in a check.

    `lacks` is its name: a check's, or those of the features, in a few words.
    """

    detail: str
    cure: str | None
    command: str | None
    lacks: NotRequired[str]


class RecipeVerdict(TypedDict):
    """Whether a recipe can run here.

    `variant` and `reason` say which way of measuring the host's features choose, also where something
    else is missing; `missing` says all that is. `not_known` says what could not be told, where that decides.
    """

    id: str
    status: Status
    variant: str | None
    reason: str | None
    missing: list[Lack]
    not_known: NotRequired[list[str]]


class DoctorHost(TypedDict):
    """Which host was looked at."""

    hostname: str
    kernel: str
    arch: str
    system: str
    bpftrace: str | None


class Doctor(TypedDict):
    """What this host is and what it can run.

    `facts` is what the guards of these recipes asked of the host (`ebpf-recipe/facts/v1`, which
    `render --host` takes); null where nothing could be asked.
    """

    schema: Literal["ebpf-recipe/doctor/v1"]
    host: DoctorHost
    checks: list[Check]
    recipes: list[RecipeVerdict]
    facts: NotRequired[dict[str, Any] | None]


def doctor_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every document of version 1 satisfies."""
    from pydantic import TypeAdapter  # noqa: PLC0415  # not needed to make a document

    uri = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": uri, "$id": SCHEMA, **TypeAdapter(Doctor).json_schema()}
