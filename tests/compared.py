"""Comparisons for tests: of captures in memory, and by the command; each document held against its schema."""

import json
import math

import jsonschema

from runner.compare.comparing import Wanted, compare
from runner.compare.encode import comparison_schema, encode_comparison
from runner.compare.loading import Read
from tests.command import ebpf_recipe

_SCHEMA = jsonschema.Draft202012Validator(comparison_schema())


def read(captures, side="before"):
    """A side that was read without a problem: each capture in a file of its own."""
    return Read([(f"{side}-{place}.json", each) for place, each in enumerate(captures)])


def checked(document):
    """The document, which is as the schema has it and holds numbers alone."""
    _SCHEMA.validate(document)
    assert _numbers_are_finite(document)
    return document


def compared(before, after, **wanted):
    """The comparison of captures."""
    found = compare(read(before), read(after, "after"), Wanted(**wanted))
    assert _numbers_are_finite(found)
    return checked(json.loads(encode_comparison(found)))


def write(folder, captures):
    """Write captures into files of a folder, one each."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, each in enumerate(captures):
        (folder / f"{place:03}.json").write_text(json.dumps(each))
    return folder


def run_compare(*arguments, code=0, env=None):
    """Run the command; its document (None where stdout has none), and its stderr."""
    done = ebpf_recipe("compare", *map(str, arguments), env=env)
    assert done.returncode == code, (done.returncode, done.stderr)
    return (checked(json.loads(done.stdout)) if done.stdout.startswith("{") else None), done.stderr


def problems(document, code=None):
    """The problems of a comparison: of one code."""
    return [each for each in document["problems"] if code is None or each["code"] == code]


def primary(document):
    """The first row, which is the primary outcome."""
    assert document["tables"][0]["primary"]
    return document["tables"][0]


def _numbers_are_finite(value):
    if isinstance(value, dict):
        return all(map(_numbers_are_finite, value.values()))
    if isinstance(value, list):
        return all(map(_numbers_are_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
