"""What real releases printed decodes to what was reviewed; where it can be, to the same on each of them."""

import contextlib
import random
from pathlib import Path

import orjson
import pytest

from runner.errors import NotUnderstood
from tests.corpus.decode import decoded
from tests.corpus.programs import PROGRAMS

CORPUS = Path(__file__).parent / "corpus"
RELEASES = sorted(path.name for path in CORPUS.iterdir() if path.name[0].isdecimal())
RECORDED = [
    (release, program)
    for release in RELEASES
    for program in PROGRAMS
    if tuple(map(int, release.split(".")[:2])) >= program.since
]


def expected(release, program):
    return orjson.loads((CORPUS / release / f"{program.name}.json").read_bytes())


@pytest.mark.parametrize(("release", "program"), RECORDED, ids=[f"{r}-{p.name}" for r, p in RECORDED])
def test_a_program_means_what_was_reviewed(release, program):
    document = expected(release, program)
    files = (CORPUS / release / f"{program.name}{end}" for end in (".out", ".err"))
    assert (
        decoded(program, release, *(file.read_bytes() for file in files), document["exit_code"]) == document
    )


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p.is_same], ids=lambda program: program.name)
def test_a_program_means_the_same_on_every_release(program):
    tables = {
        orjson.dumps(expected(release, program)["tables"]) for release, each in RECORDED if each is program
    }
    assert len(tables) == 1


def test_three_releases_are_there():
    assert RELEASES == ["0.17.0", "0.23.2", "0.27.1"]


def test_no_file_is_without_a_program():
    names = {program.name for program in PROGRAMS}
    assert {path.stem for release in RELEASES for path in (CORPUS / release).glob("*.*")} == names


def tables_of(release, name):
    program = next(program for program in PROGRAMS if program.name == name)
    return {table["name"]: table["rows"] for table in expected(release, program)["tables"]}


@pytest.mark.parametrize("release", RELEASES)
def test_values_are_those_that_the_programs_made(release):
    """The corpus' expectations are not taken from the decoder alone."""
    scalars = tables_of(release, "scalars")
    value = {
        name: rows[0]["value"] for name, rows in scalars.items() if "value" in rows[0] and len(rows) == 1
    }
    assert value == {
        "count": 2,
        "sum": -5,
        "sum_u": 2**64 - 1,
        "sum_big": 2**53 + 1,
        "avg": -5,
        "value": -7,
        "value_u": 2**64 - 1,
        "sums": 2**32,
    }
    assert scalars["stats"] == [{"key": {}, "count": 2, "average": -5, "total": -11}]
    # Two times 2^64 - 1 is 2^65 - 2: a sum of 64 bits wraps.
    assert scalars["stats_u"] == [{"key": {}, "count": 2, "average": 2**63 - 1, "total": 2**64 - 2}]
    extremes = tables_of(release, "extremes")
    assert [extremes[name][0]["value"] for name in ("least", "greatest", "greatest_u")] == [
        9223372036854775807 - 9223372036854775800 - 2**63,
        9223372036854775801 - 2**63,
        2**64 - 1,
    ]
    keyed = tables_of(release, "hexadecimal")
    assert keyed["h"][0]["count"] == keyed["l"][0]["count"] == keyed["s"][0]["count"] == 20


def damaged_forms(raw, draw):
    """The output cut at a few places, and with bytes changed, inserted and taken away."""
    for _ in range(4):
        yield raw[: draw.randrange(len(raw) + 1)]
    pieces = (
        b'"',
        b"\\",
        b"{",
        b"]",
        b",",
        b"null",
        b"9" * 30,
        b"\xff",
        b"\\ud800",
        b"\\uffffffc3",
        b"\n",
        b"1e5",
    )
    for _ in range(12):
        form = bytearray(raw)
        for _ in range(draw.randrange(1, 5)):
            place = draw.randrange(len(form) + 1)
            form[place : place + draw.randrange(3)] = draw.choice(pieces)
        yield bytes(form)


@pytest.mark.parametrize(("release", "program"), RECORDED, ids=[f"{r}-{p.name}" for r, p in RECORDED])
def test_damaged_output_raises_no_error_but_ours(release, program):
    raw = (CORPUS / release / f"{program.name}.out").read_bytes()
    for form in damaged_forms(raw, random.Random(f"{release} {program.name}")):  # noqa: S311
        with contextlib.suppress(NotUnderstood):
            orjson.dumps(decoded(program, release, form, b"", 0))
