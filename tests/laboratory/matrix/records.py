"""What was seen in one place, line by line as it was seen: JSON in a file that is complete whatever ends its writer.

Before a cell begins there is a line `{"begins": …}`, and one `{"cell": …}` when it was seen; whoever reads the file
later knows in which cell its writer stood still.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.laboratory.matrix.cell import Cell, Key, cell_of, key_of
from tests.laboratory.matrix.digest import digest_of

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Records:
    """What a file says.

    :param cells: The last cell of each key.
    :param unfinished: The cell that began last, where it was not seen.
    """

    cells: dict[Key, Cell] = field(default_factory=dict)
    unfinished: Key | None = None


def read(path: Path) -> Records:
    """Read a file; where there is none, nothing was seen. A line that was cut, or says something else, is none."""
    cells: dict[Key, Cell] = {}
    unfinished = None
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            record: Any = json.loads(line)
            begun = key_of(record["begins"]) if "begins" in record else None
            cell = cell_of(record["cell"]) if begun is None else None
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        if cell is None:
            unfinished = begun
        else:
            cells[cell.key] = cell
            unfinished = None if unfinished == cell.key else unfinished
    return Records(cells, unfinished)


def write_begin(path: Path, key: Key) -> None:
    """Say that a cell begins."""
    begins = {"kernel": key.kernel, "bpftrace": key.bpftrace, "recipe": key.recipe, "variant": key.variant}
    _append(path, {"begins": begins, "at": now()})


def write_cell(path: Path, cell: Cell) -> None:
    """Say what was seen."""
    _append(path, {"cell": cell.document()})


def mark_unfinished(path: Path, reason: str, kernel_release: str = "") -> None:
    """Write the cell that began last and was not seen as one that failed, so that nobody begins with it again."""
    key = read(path).unfinished
    if key is not None:
        write_cell(
            path,
            Cell(key, digest_of(key.recipe, key.bpftrace), kernel_release, now(), "failed", reason=reason),
        )


def now() -> str:
    """Return the time in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _append(path: Path, record: dict[str, Any]) -> None:
    """Write a line that is on the disk when this returns."""
    with path.open("ab+") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        # Its last writer may have been ended in the middle of a line.
        is_cut = file.read(1) not in (b"", b"\n")
        file.write(b"\n" * is_cut + json.dumps(record).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
