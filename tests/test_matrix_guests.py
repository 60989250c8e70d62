"""Guests of the matrix that stand still, fall, do not boot or are not there: the rest is seen, and nothing is lost."""

import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.laboratory import boot
from tests.laboratory.matrix import guests, records
from tests.laboratory.matrix.cell import Cell, Key

LIMIT_SECONDS, STANDS_SECONDS = 1, 4

RECIPES = ["offcpu", "runqlat", "syscount", "tcptop"]

# What stands in for virtme-ng: it sees cells as place.py does, but for what `behaves` makes of a recipe.
FAKE = f"""\
#!{sys.executable}
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from tests.laboratory.matrix import records
from tests.laboratory.matrix.cell import Cell, Key

folder = Path(sys.argv[sys.argv.index("--rwdir") + 1])
behaves = dict(line.split() for line in Path({{behaviour!r}}).read_text().splitlines())
script = (folder / "run.sh").read_text()
with Path({{boots!r}}).open("a") as file:
    file.write("boot\\n")
if "boot" in behaves:
    sys.exit(1)
out = folder / "cells.jsonl"
for recipe in {RECIPES!r}:
    key = Key("6.12", "0.23.2", recipe, "tracepoint")
    if recipe not in script or key in records.read(out).cells:
        continue
    records.write_begin(out, key)
    if behaves.get(recipe) == "stands":
        time.sleep(60)
    if behaves.get(recipe) == "falls":
        sys.exit(0)
    if behaves.get(recipe) == "breaks":
        (folder / "exit-code").write_text("1")
        sys.exit(0)
    records.write_cell(out, Cell(key, "digest", "6.12.1", "now", "works", 5, 5))
(folder / "exit-code").write_text("0")
"""


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Run the place with guests that behave so; returns what `run_place` does and what its file has."""
    behaviour, boots, vng = (tmp_path / name for name in ("behaviour", "boots", "vng"))
    vng.write_text(FAKE.format(behaviour=str(behaviour), boots=str(boots)))
    vng.chmod(stat.S_IRWXU)
    monkeypatch.setattr(boot, "VNG", vng)
    for module in (boot, guests):
        monkeypatch.setattr(module, "fetched_kernel", lambda _kernel: Path("vmlinuz-6.12.1-fake"))
    monkeypatch.setattr(guests, "missing", lambda _kernel: None)
    monkeypatch.setattr(guests, "BOOT_SECONDS", STANDS_SECONDS - LIMIT_SECONDS)
    out = tmp_path / "cells.jsonl"

    def run(**behaves):
        behaviour.write_text("".join(f"{name} {how}\n" for name, how in behaves.items()))
        boots.unlink(missing_ok=True)
        reason = guests.run_place("6.12", ["/a/bpftrace"], out, RECIPES, LIMIT_SECONDS)
        cells = {key.recipe: cell for key, cell in records.read(out).cells.items()}
        return reason, cells, boots.read_text().count("boot")

    run.out = out
    return run


def works(cells):
    return {recipe for recipe, cell in cells.items() if cell.outcome == "works"}


def test_all_is_seen_in_one_boot(place):
    reason, cells, boots = place()
    assert reason is None
    assert works(cells) == set(RECIPES)
    assert boots == 1


@pytest.mark.parametrize(
    ("how", "told"),
    [("stands", "the guest stood still here"), ("falls", "the guest fell here"), ("breaks", "(exit 1) here")],
)
def test_the_rest_is_seen_where_a_guest_ends_in_a_cell(place, how, told):
    reason, cells, boots = place(offcpu=how)
    assert reason is None
    assert works(cells) == {"runqlat", "syscount", "tcptop"}
    assert cells["offcpu"].outcome == "failed"
    assert told in cells["offcpu"].reason
    assert cells["offcpu"].kernel_release == "6.12.1-fake"
    assert boots == 2


def test_a_guest_that_does_not_boot_is_given_up(place):
    reason, cells, boots = place(boot="not")
    assert reason == "the guest fell, and had told of nothing"
    assert not cells
    assert boots == guests.BOOTS


def test_what_was_seen_is_neither_seen_again_nor_lost(place):
    kept = Key("6.12", "0.23.2", "offcpu", "tracepoint")
    records.write_cell(place.out, Cell(kept, "digest", "6.12.1", "before", "works", 7, 7))
    # An earlier run was ended in the middle of this cell, and in the middle of a line.
    records.write_begin(place.out, Key("6.12", "0.23.2", "runqlat", "tracepoint"))
    with place.out.open("a") as file:
        file.write('{"cell": {"ker')
    reason, cells, _ = place(syscount="falls")
    assert reason is None
    assert cells["offcpu"].at == "before"
    assert works(cells) == {"offcpu", "runqlat", "tcptop"}


def test_a_cell_that_an_earlier_run_began_is_not_what_a_guest_stood_still_in(place):
    records.write_begin(place.out, Key("6.12", "0.23.2", "runqlat", "tracepoint"))
    reason, cells, _ = place(boot="not")
    assert reason is not None
    assert not cells


def test_where_it_is_interrupted_what_was_seen_stays(place):
    interrupted = []

    def interrupt():
        while not place.out.exists() or b'"syscount"' not in place.out.read_bytes():
            time.sleep(0.05)
        interrupted.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        place(syscount="stands")
    interrupter.join()
    assert time.monotonic() - interrupted[0] < STANDS_SECONDS
    seen = records.read(place.out).cells
    assert {key.recipe for key in seen} == {"offcpu", "runqlat"}
    assert all(cell.outcome == "works" for cell in seen.values())


def test_without_an_image_nothing_is_booted(monkeypatch, tmp_path):
    monkeypatch.setattr(boot.os, "geteuid", lambda: 0)
    monkeypatch.setattr(boot.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(boot, "fetched_kernel", lambda _kernel: None)
    monkeypatch.setattr(guests, "booted", lambda *_, **__: pytest.fail("it was booted"))
    reason = guests.run_place("6.12", ["/a/bpftrace"], tmp_path / "cells.jsonl", RECIPES, 1)
    assert "a kernel 6.12 (tests/laboratory/fetch-kernel 6.12)" in reason
    assert not (tmp_path / "cells.jsonl").exists()
