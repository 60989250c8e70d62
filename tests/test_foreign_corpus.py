"""What foreign scripts printed on real releases decodes to what was reviewed, in pieces and up to any byte."""

import contextlib
import re

import orjson
import pytest

from runner.bpftrace.script import Script
from runner.decode import decode
from runner.errors import NotUnderstood
from tests.corpus.foreign import FOREIGN
from tests.corpus.record_foreign import FOLDER, FORMATS, is_taken, meaning, recorded

RECORDED = recorded()
RELEASES = sorted({release for release, _, _ in RECORDED})
EVERY = pytest.mark.parametrize(
    ("release", "program", "form"), RECORDED, ids=[f"{r}-{p.name}-{f}" for r, p, f in RECORDED]
)
MAPS = ("map", "hist", "stats", "tseries")
MARKS = ("ambiguous", "damaged")


def output(release, program, form):
    return (FOLDER / release / "foreign" / f"{program.name}.{form}.out").read_bytes()


def reviewed(release, program, form):
    return orjson.loads((FOLDER / release / "foreign" / f"{program.name}.{form}.json").read_bytes())


def chunks_of(raw, size):
    return [raw[place : place + size] for place in range(0, len(raw), size)]


def version_of(release):
    return tuple(int(number) for number in release.split("."))


def ends_of(raw):
    """Every prefix of a small output; of a greater one every seventh, and all those around its newlines."""
    if len(raw) <= 500:
        return range(len(raw) + 1)
    near = {place + step for place, byte in enumerate(raw) if byte == 10 for step in (-1, 0, 1, 2)}
    return sorted({*range(0, len(raw) + 1, 7), len(raw), *(end for end in near if 0 <= end <= len(raw))})


def printings(capture):
    """The printings of every map in their order; equal ones that follow each other are one.

    The last printing of a map that may not be of the end is a message and the table too.
    """
    found = {}
    shown = [message["data"] for message in capture["messages"] if message["type"] in MAPS]
    for table in (*shown, *capture["tables"]):
        before = found.setdefault(table["map"], [])
        if not before or before[-1] != table:
            before.append(table)
    return found


def without_marks(tables):
    return [
        {
            **table,
            "keys": [{"type": key["type"]} for key in table["keys"]],
            "rows": [{k: v for k, v in row.items() if k not in MARKS} for row in table["rows"]],
        }
        for table in tables
    ]


def test_nothing_is_missing_and_nothing_is_left_over():
    assert RELEASES == ["0.17.0", "0.23.2", "0.27.1"]
    assert len({program.name for program in FOREIGN}) == len(FOREIGN)
    for release in RELEASES:
        expected = {
            f"{program.name}.{form}.{end}"
            for program in FOREIGN
            if is_taken(program, release)
            for form in FORMATS
            for end in ("out", "json")
        }
        assert {path.name for path in (FOLDER / release / "foreign").iterdir()} == expected


@EVERY
@pytest.mark.parametrize("size", [1, 7, 4096, None])
def test_an_output_means_what_was_reviewed_in_pieces_of_any_size(release, program, form, size):
    raw = output(release, program, form)
    if size == 1 and len(raw) >= 5000:
        size = 3
    chunks = [raw] if size is None else chunks_of(raw, size)
    assert orjson.loads(orjson.dumps(meaning(chunks, program))) == reviewed(release, program, form)


@EVERY
@pytest.mark.parametrize("with_script", [False, True], ids=["alone", "script"])
@pytest.mark.parametrize("with_version", [False, True], ids=["any", "version"])
def test_less_and_more_knowledge_raises_no_error_but_ours(release, program, form, with_script, with_version):
    with contextlib.suppress(NotUnderstood):
        capture = decode(
            [output(release, program, form)],
            script=Script(program.text) if with_script else None,
            version=version_of(release) if with_version else None,
        )
        orjson.dumps(capture)


@EVERY
def test_every_prefix_decodes_and_shows_the_maps_that_it_has_whole(release, program, form):
    raw = output(release, program, form)
    script = Script(program.text)
    if form == "text":
        # A text may go on in the next line: what a prefix shows need not be what the whole shows.
        for end in ends_of(raw):
            with contextlib.suppress(NotUnderstood):
                decode([raw[:end]], script=script)
        return

    def read(part):
        try:
            return printings(decode([part], form="json", version=version_of(release), script=script))
        except NotUnderstood:
            return {}

    whole = read(raw)
    for end in ends_of(raw):
        found = read(raw[:end])
        lines = raw[: raw.rfind(b"\n", 0, end) + 1]
        assert names_in(lines) <= found.keys() <= names_in(raw[:end]), end
        for name, tables in found.items():
            assert tables == whole[name][: len(tables)], (end, name)


_MAP_LINE = re.compile(rb'^.*?\{"type": "(?:map|hist|stats|tseries)", "data": \{"(@\w*)": ', re.MULTILINE)


def names_in(part):
    """The maps that lines print, found without the decoder."""
    return {name.decode() for name in _MAP_LINE.findall(part)}


@pytest.mark.parametrize("program", [p for p in FOREIGN if p.is_same], ids=lambda program: program.name)
def test_both_formats_and_all_releases_mean_the_same(program):
    tables = {
        orjson.dumps(without_marks(reviewed(release, program, form)["tables"])): (release, form)
        for release, each, form in RECORDED
        if each is program
    }
    assert len(tables) == 1, tables.values()
