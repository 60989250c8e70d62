"""What was seen so far, in every place: docs/compatibility.json."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.laboratory.matrix.cell import cell_of
from tests.laboratory.matrix.digest import digest_of
from tests.laboratory.matrix.places import HOST, Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.laboratory.matrix.cell import Cell, Key

SCHEMA = "ebpf-recipe/matrix/v1"


class Damaged(Exception):
    """The file is none that was written here."""


@dataclass(frozen=True, slots=True)
class Last:
    """The run that wrote the file.

    :param at: When it began, in UTC.
    :param command: How it was started.
    :param seconds: How long it took.
    :param seen: How many cells it saw; the others are of earlier runs.
    """

    at: str
    command: str
    seconds: float
    seen: int


@dataclass(slots=True)
class Store:
    """Cells, and why others are missing.

    :ivar missing: By column, why there are cells that nobody has seen.
    """

    cells: dict[Key, Cell] = field(default_factory=dict)
    missing: dict[Column, str] = field(default_factory=dict)
    last: Last | None = None

    def take(self, cells: Mapping[Key, Cell]) -> None:
        """Take newer cells. Those of another kernel of this machine are none of this machine any more."""
        releases = {cell.kernel_release for key, cell in cells.items() if key.kernel == HOST}
        for key in [key for key in self.cells if key.kernel == HOST]:
            if releases and self.cells[key].kernel_release not in releases:
                del self.cells[key]
        self.cells.update(cells)

    def kept(self, columns: Iterable[Column], host_release: str) -> dict[Key, Cell]:
        """Return the cells of these columns that need not be seen again.

        What failed is seen again, and so is what was seen with other programs of its recipe or on another
        kernel of this machine.
        """
        wanted = set(columns)
        return {
            key: cell
            for key, cell in self.cells.items()
            if Column(key.kernel, key.bpftrace) in wanted
            and cell.outcome in ("works", "refused")
            and not is_stale(cell)
            and (key.kernel != HOST or cell.kernel_release == host_release)
        }


def is_stale(cell: Cell) -> bool:
    """Whether a cell was seen with other programs of its recipe."""
    return cell.digest != digest_of(cell.key.recipe, cell.key.bpftrace)


def read_store(path: Path, recipes: Iterable[str]) -> Store:
    """Read the file; where there is none, nothing was seen.

    :param recipes: What there is: cells of others are left out.
    :raises Damaged: It is no such file.
    """
    if not path.exists():
        return Store()
    names = set(recipes)
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        cells = [cell_of(each) for each in document["cells"] if each["recipe"] in names]
        missing = {Column(each["kernel"], each["bpftrace"]): each["reason"] for each in document["missing"]}
        last = Last(**document["last"]) if document["last"] else None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Damaged(f"{path} is damaged ({error}): put back the one of the last commit") from error
    return Store({cell.key: cell for cell in cells}, missing, last)


def write_store(path: Path, store: Store) -> None:
    """Write the file."""
    document = {
        "schema": SCHEMA,
        "last": None if store.last is None else {
            "at": store.last.at, "command": store.last.command, "seconds": store.last.seconds,
            "seen": store.last.seen,
        },
        "missing": [
            {"kernel": column.kernel, "bpftrace": column.bpftrace, "reason": reason}
            for column, reason in sorted(store.missing.items())
        ],
        "cells": [store.cells[key].document() for key in sorted(store.cells)],
    }  # fmt: skip
    write_whole(path, json.dumps(document, indent=1) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file that is whole whatever ends us."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
