"""The compatibility matrix: what is written of what was seen, and of what was not."""

import json
import re
import signal
from argparse import ArgumentTypeError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.recipe.catalogue import recipe_ids
from tests.laboratory import known_loads
from tests.laboratory.known_loads import KnownLoad
from tests.laboratory.matrix import __main__ as matrix
from tests.laboratory.matrix import guests, host, observe, records
from tests.laboratory.matrix.cell import Cell, Key
from tests.laboratory.matrix.digest import digest_of
from tests.laboratory.matrix.document import page
from tests.laboratory.matrix.places import PLANNED, Column, columns_of
from tests.laboratory.matrix.store import Damaged, Last, Store, read_store, write_store
from tests.laboratory.matrix.variants import variants_of

RECIPES = recipe_ids()
KEY = Key("host", "0.17.0", "fork-rate", "tracepoint")
OTHER = Key("host", "0.17.0", "syscount", "tracepoint")


def cell(key, outcome="works", **fields):
    counted = {"seen": 60, "expected": 60} if outcome == "works" else {"reason": "a reason"}
    release = "6.18.44" if key.kernel == "host" else f"{key.kernel}.0-1-amd64"
    return Cell(
        key,
        **{
            "digest": digest_of(key.recipe, key.bpftrace),
            "kernel_release": release,
            "at": "2026-11-29T00:00:00Z",
            "outcome": outcome,
            **counted,
            **fields,
        },
    )


def store_of(*cells, **fields):
    return Store({each.key: each for each in cells}, **fields)


def tables(text):
    """The cells of both tables: rows of words, without the head and the line below it."""
    found = []
    for part in text.split("## What was counted"):
        rows = [
            re.split(r"(?<!\\) \| ", line.strip("| ")) for line in part.splitlines() if line.startswith("| ")
        ]
        assert all(line.endswith(" |") for line in part.splitlines() if line.startswith("|"))
        found.append(rows[2:])
    return found


def test_every_recipe_has_a_known_load():
    assert sorted(known_loads.RECIPES) == RECIPES


KEYS = [
    Key(column.kernel, column.bpftrace, recipe, variant)
    for column in (*PLANNED, Column("6.1", "0.27.1"))
    for recipe in RECIPES
    for variant in variants_of(recipe)
]
OUTCOMES = st.sampled_from(["works", "refused", "failed", "not-seen"])
REASONS = st.sampled_from(
    ["", "short", "one | that has a bar", "much longer than what a cell has room for, by far"]
)


# Whoever loads all recipes first takes longer than a deadline.
@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), st.tuples(OUTCOMES, REASONS, st.booleans()), max_size=60),
    st.dictionaries(st.sampled_from(PLANNED), REASONS.filter(bool)),
)
def test_no_cell_is_empty_and_none_works_that_did_not(found, missing):
    cells = [
        cell(key, outcome, reason=reason, **({"digest": "old"} if stale else {}))
        for key, (outcome, reason, stale) in found.items()
    ]
    short, long = tables(page(store_of(*cells, missing=missing), RECIPES))
    columns = [*PLANNED] + [Column("6.1", "0.27.1")] * any(
        key.bpftrace == "0.27.1" and key.kernel == "6.1" for key in found
    )
    assert [row[0] for row in short] == [f"`{recipe}`" for recipe in RECIPES]
    assert len(long) == sum(len(variants_of(recipe)) for recipe in RECIPES)
    for row in [*short, *long]:
        assert all(words.strip(" †") for words in row), row
    for row in short:
        recipe = row[0].strip("`")
        assert len(row) == 1 + len(columns)
        for column, words in zip(columns, row[1:], strict=True):
            keys = [Key(column.kernel, column.bpftrace, recipe, each) for each in variants_of(recipe)]
            working = [key.variant for key in keys if found.get(key, ("",))[0] == "works"]
            assert words.startswith("works") == bool(working), (words, working)
            if working and len(keys) > 1:
                assert words.startswith(f"works ({', '.join(working)})")
            is_stale = any(found[key][2] for key in keys if key in found)
            assert words.endswith(" †") == is_stale
            if not any(key in found for key in keys):
                assert words.startswith("not seen")
    for row in long:
        recipe, variant = row[0].strip("`"), row[1]
        for column, words in zip(columns, row[2:], strict=True):
            key = Key(column.kernel, column.bpftrace, recipe, variant)
            assert words.startswith("60 of 60") == (found.get(key, ("",))[0] == "works")


def test_what_was_not_seen_says_why():
    store = store_of(cell(KEY), missing={PLANNED[0]: "interrupted", PLANNED[4]: "not installed: qemu"})
    rows = {row[0]: row[1:] for row in tables(page(store, RECIPES))[0]}
    assert rows["`fork-rate`"][0] == "works"
    assert rows["`syscount`"] == [
        "not seen: interrupted", "not seen: nobody has run it", "not seen: nobody has run it",
        "not seen: nobody has run it", "not seen: not installed: qemu", "not seen: nobody has run it",
    ]  # fmt: skip


def test_one_variant_that_fails_stands_beside_one_that_works():
    keys = [Key("6.1", "0.17.0", "tcptop", each) for each in variants_of("tcptop")]
    outcomes = ("refused", "works", "failed")
    store = store_of(*(cell(key, outcome) for key, outcome in zip(keys, outcomes, strict=True)))
    rows = {row[0]: row[1:] for row in tables(page(store, RECIPES))[0]}
    assert rows["`tcptop`"][3] == "works (fexit); kprobe: failed: a reason"


def test_the_head_says_when_and_how_much():
    last = Last("2026-11-29T00:00:00Z", "make matrix", 600.0, 1)
    text = page(store_of(cell(KEY, seconds=90.0), cell(OTHER, seconds=60.0), last=last), RECIPES)
    cells = len(PLANNED) * sum(len(variants_of(recipe)) for recipe in RECIPES)
    assert (
        f"last on 2026-11-29T00:00:00Z in 10 min. Of {cells} cells it saw 1 then, 1 had been seen before"
        in text
    )
    assert f"{cells - 2}\nhave not been seen. Those that were seen took 2 min together" in text
    assert "- host: 6.18.44; this machine's own" in text


def test_the_store_is_read_as_it_was_written(tmp_path):
    store = store_of(
        cell(KEY),
        cell(OTHER, "failed"),
        missing={PLANNED[3]: "no kernel"},
        last=Last("then", "make matrix", 1.5, 2),
    )
    path = tmp_path / "store.json"
    write_store(path, store)
    assert read_store(path, RECIPES) == store
    # A recipe that is no more has no row.
    assert read_store(path, ["syscount"]).cells.keys() == {OTHER}
    assert read_store(tmp_path / "none", RECIPES) == Store()


def test_what_is_seen_again():
    guest = Key("6.1", "0.17.0", "fork-rate", "tracepoint")
    failed, unseen = (Key("6.1", "0.17.0", each, "tracepoint") for each in ("syscount", "tcp-connects"))
    refused, stale = (Key("6.1", "0.17.0", "tcp-retrans", each) for each in ("kprobe", "tracepoint"))
    store = store_of(
        cell(KEY), cell(guest), cell(failed, "failed"), cell(unseen, "not-seen"), cell(refused, "refused"),
        cell(stale, digest="old"),
    )  # fmt: skip
    assert store.kept(PLANNED, "6.18.44").keys() == {KEY, guest, refused}
    # Another kernel of this machine is another place; a guest's goes by its version.
    assert store.kept(PLANNED, "6.19.1").keys() == {guest, refused}
    assert store.kept([Column("6.1", "0.27.1")], "6.18.44") == {}
    store.take({OTHER: cell(OTHER, kernel_release="6.19.1")})
    assert KEY not in store.cells
    assert guest in store.cells


def test_the_digest_is_of_a_recipe_and_its_programs(monkeypatch):
    loaded = observe.standing.__globals__["find_recipe"]("fork-rate")
    before = digest_of("fork-rate", "0.23.2")

    def digest_with(**changes):
        changed = loaded.with_recipe(loaded.recipe.model_copy(update=changes))
        monkeypatch.setattr("tests.laboratory.matrix.digest.find_recipe", lambda _: changed)
        return digest_of.__wrapped__("fork-rate", "0.23.2")

    assert digest_with() == before
    assert digest_with(caveats=("Another.",)) == before
    assert digest_with(max_map_keys=77) != before
    assert digest_of("fork-rate", "0.17.0") == before
    # Its program reads names in another way there.
    assert digest_of("fork-rate", "0.27.1") != before


def test_a_file_says_in_which_cell_its_writer_stood_still(tmp_path):
    path = tmp_path / "host.jsonl"
    assert records.read(path) == records.Records()
    records.write_begin(path, KEY)
    assert records.read(path).unfinished == KEY
    records.write_cell(path, cell(KEY))
    records.write_begin(path, OTHER)
    assert records.read(path) == records.Records({KEY: cell(KEY)}, OTHER)
    # A line that was cut; the next begins on a line of its own.
    with path.open("ab") as file:
        file.write(b'{"cell": {"kernel": "ho')
    assert records.read(path).unfinished == OTHER
    records.mark_unfinished(path, "the guest stood still here", "6.1.0")
    found = records.read(path)
    assert found.unfinished is None
    assert found.cells[OTHER].outcome == "failed"
    assert found.cells[OTHER].reason == "the guest stood still here"
    records.mark_unfinished(path, "again")
    assert records.read(path) == found


def test_places_are_kernels_with_their_bpftrace():
    assert columns_of("host,6.1,6.12,7.2") == PLANNED
    assert columns_of("6.1,6.1+0.27.1") == (Column("6.1", "0.17.0"), Column("6.1", "0.27.1"))


@pytest.mark.parametrize("text", ["6.9", "6.9+0.27.1", "nope", "", "host+", "host+x", "6.1+0.27", "6.1,,7.2"])
def test_what_is_no_place(text):
    with pytest.raises(ArgumentTypeError, match=r"is no place; there are host, 6.1|which bpftrace"):
        columns_of(text)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "null", '{"cells": [{"recipe": "runqlat"}]}'])
def test_a_damaged_store_is_named(tmp_path, content):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(Damaged, match=r"is damaged .*put back the one of the last commit"):
        read_store(tmp_path / "c.json", ["runqlat"])


@pytest.mark.parametrize("line", ["[]", "7", "{}", "null", '{"cell":{}}', '{"begins": 5}', "\\xff", '{"cell'])
def test_a_line_that_is_none_is_left_out(tmp_path, line):
    path = tmp_path / "host.jsonl"
    path.write_text(line + "\n")
    assert records.read(path) == records.Records()


# -- a run of it, whose places are pretended

HERE = {"0.17.0": "/bin/bpftrace-0.17.0"}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the matrix of two recipes with what each place does in place of the real ones."""
    monkeypatch.setattr(matrix.releases, "paths", lambda: list(HERE.values()))
    monkeypatch.setattr(matrix.releases, "release_of", lambda path: path.rpartition("-")[2])
    monkeypatch.setattr(matrix.platform, "release", lambda: "6.18.44")
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(on_host, in_guest=lambda *_: None, *more):
        def run_host(paths, out, recipes, limit):
            return on_host(out)

        def run_place(kernel, paths, out, recipes, limit):
            return in_guest(out, kernel)

        monkeypatch.setattr(host, "run_host", run_host)
        monkeypatch.setattr(guests, "run_place", run_place)
        folders = ["--files", str(tmp_path / "files"), "--docs", str(tmp_path)]
        argv = ["matrix", "--places", "host,6.1,7.2", *folders, *more, "fork-rate", "syscount"]
        monkeypatch.setattr(matrix.sys, "argv", argv)
        code = matrix.main()
        rows = {row[0]: row[1:] for row in tables((tmp_path / "compatibility.md").read_text())[0]}
        return code, rows["`fork-rate`"], rows["`syscount`"]

    return call


def seeing(*keys, answer=None):
    def see(out, *_):
        for key in keys:
            if key not in records.read(out).cells:
                records.write_begin(out, key)
                records.write_cell(out, cell(key))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return see


def in_guest(kernel="6.1"):
    return [Key(kernel, "0.17.0", each, "tracepoint") for each in ("fork-rate", "syscount")]


def test_a_matrix_with_a_bpftrace_that_is_missing(run, capsys):
    code, forks, calls = run(seeing(KEY, OTHER), seeing(*in_guest()))
    assert forks == calls
    assert forks == [
        "works", "not seen: no bpftrace 0.23.2 here", "not seen: no bpftrace 0.27.1 here", "works",
        "not seen: nobody has run it", "not seen: no bpftrace 0.27.1 here",
    ]  # fmt: skip
    assert code == 1
    assert "4 cells seen now; of 10, 6 failed or were not seen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("not installed: a kernel", "not installed: a kernel"),
        ("the guest stood still (3 boots)", "the guest stood still (3 boots)"),
        (OSError("no more room"), "no more room"),
    ],
)
def test_a_place_that_fails_is_no_reason_to_see_no_other(run, answer, said):
    guest = in_guest()
    _, forks, calls = run(seeing(KEY, answer=answer), seeing(*guest))
    assert (forks[0], calls[0]) == ("works", f"not seen: {said}")
    assert (forks[3], calls[3]) == ("works", "works")


def test_an_interruption_loses_nothing_and_the_next_run_goes_on(run, tmp_path):
    def no_guest(*_):
        pytest.fail("it went on")

    code, forks, calls = run(seeing(KEY, answer=KeyboardInterrupt()), no_guest)
    assert code == 130
    assert (forks[0], calls[0]) == ("works", "not seen: interrupted")
    assert (forks[3], calls[3]) == ("not seen: interrupted", "not seen: interrupted")
    # The cell that was seen is not seen again: it would have another time.
    seen = []

    def look(out, *_):
        seen.extend(records.read(out).cells)
        return seeing(KEY, OTHER)(out)

    _, forks, calls = run(look, seeing(*in_guest()))
    assert seen == [KEY]
    assert (forks[0], calls[0], forks[3]) == ("works", "works", "works")
    assert json.loads((tmp_path / "compatibility.json").read_text())["last"]["seen"] == 3
    # All anew where that is asked.
    seen.clear()
    run(look, lambda *_: None, "--fresh")
    assert seen == []


def test_what_a_run_saw_that_was_killed_is_taken_by_the_next(run, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    records.write_begin(files / "host.jsonl", KEY)
    records.write_cell(files / "host.jsonl", cell(KEY))
    records.write_begin(files / "host.jsonl", OTHER)
    _, forks, calls = run(lambda _: "the run ended (exit 1)")
    assert (forks[0], calls[0]) == ("works", "not seen: the run ended (exit 1)")


# -- what makes a cell

LOAD = KnownLoad(("--comm", "x"), ("true",), "created", {"comm": "x"}, 60)


def capture(*values, grade="usable", problems=(), variant="tracepoint"):
    rows = [{"key": {"comm": comm, "threads": False}, "value": value} for comm, value in values]
    return {
        "tables": [{"name": "created", "rows": rows}],
        "quality": {"grade": grade, "problems": list(problems)},
        "recipe": {"variant": variant},
        "program": {"text": "tracepoint:task:task_newtask {}"},
    }


MISSED = {"code": "missed-events", "count": 10}


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        (capture(("x", 60), ("y", 3)), "works", ""),
        (capture(("x", 40), ("x", 20)), "works", ""),
        (capture(("y", 60)), "failed", "it counted 0 of 60"),
        (capture(), "failed", "it counted 0 of 60"),
        (capture(("x", 50)), "failed", "it counted 50 of 60"),
        (capture(("x", 50), grade="degraded", problems=[MISSED]), "works", "degraded: missed-events"),
        (capture(("x", 49), grade="degraded", problems=[MISSED]), "failed", "it counted 49 of 60 (degraded: missed-events)"),
        (capture(("x", 60), grade="void", problems=[MISSED]), "failed", "void: missed-events"),
        (capture(("x", 60), variant="kprobe"), "failed", "the variant kprobe ran"),
        # However many are missing: nothing is nothing.
        (capture(grade="degraded", problems=[{**MISSED, "count": 60}]), "failed", "it counted 0 of 60 (degraded: missed-events)"),
    ],
)  # fmt: skip
def test_a_cell_works_where_the_load_was_counted(said, outcome, reason):
    seen = observe._judge(LOAD, said, "tracepoint", 0, 0.0)
    assert (seen.outcome, seen.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("code", "said", "outcome", "reason"),
    [
        (4, "a note\nebpf-recipe: no kprobe here\n  mend it so\n", "refused", "no kprobe here"),
        (3, "ebpf-recipe: --pid is wrong\n", "refused", "--pid is wrong"),
        (5, "ebpf-recipe: bpftrace fell\n", "failed", "exit 5: bpftrace fell"),
        (70, "Traceback\nValueError: x\n", "failed", "exit 70: ValueError: x"),
        (1, "", "failed", "exit 1: it said nothing"),
        (None, "", "failed", "it did not end within 60 s"),
    ],
)
def test_a_run_that_did_not_end_well_has_its_reason(code, said, outcome, reason):
    seen = observe._refusal(observe.Done(code, "", said), 60)
    assert (seen.outcome, seen.reason) == (outcome, reason)
