import re
from pathlib import Path

import pytest

from runner.errors import ValueRefused
from runner.recipe.catalogue import data_dir, find_recipe, recipe_ids
from runner.recipe.load import load_recipe

GOOD = (data_dir("recipes") / "net" / "tcp-retrans.yaml").read_text()


def load(tmp_path: Path, text: str):
    path = tmp_path / "tcp-retrans.yaml"
    path.write_text(text)
    template = tmp_path / "tcp-retrans.bt.j2"
    template.write_text("")
    return load_recipe(path, template)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ValueRefused) as refused:
        load(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in refused.value.message.splitlines()]


def test_the_unchanged_recipe_loads(tmp_path):
    assert load(tmp_path, GOOD).recipe.id == "tcp-retrans"


def test_every_mistake_is_reported_at_its_place(tmp_path):
    text = GOOD.replace("status: tested", "status: new").replace("unit: packets", "unit: parcels", 1)
    text = text.replace("layer: net\n", "layer: net\ncolour: blue\n")
    found = mistakes(tmp_path, text)
    assert len(found) == 3
    for line, message in zip(text.splitlines(), [], strict=False):
        assert line, message
    for expected, where in (
        ("status: Input", "status: new"),
        ("unit: Input", "parcels"),
        ("colour: ", "colour"),
    ):
        number = next(i for i, line in enumerate(text.splitlines(), 1) if where in line)
        (line,) = [line for line in found if expected in line]
        assert re.match(rf"tcp-retrans\.yaml:{number}:\d+: ", line), line


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: tcp-retrans\n", "id: other\n", "id is 'other', the file is called 'tcp-retrans'"),
        ("type: port\n", "type: harbour\n", "no such parameter type"),
        ("    pid: retransmits", "    uid: retransmits", "no such target filter"),
        (
            "  refuses:\n    thread: >-",
            "  refuses:\n    pid: x\n    thread: >-",
            "both honoured and refused: pid",
        ),
        ("layer: net\n", "layer: net\nlayer: cpu\n", "the key 'layer' stands twice"),
        ("primary: {table: retransmits,", "primary: {table: nothing,", "no output is called nothing"),
        ("progress: retransmits_total", "progress: retransmits", "names an output without keys"),
        ("total_of: retransmits\n", "total_of: nothing\n", "names another output"),
        ('scratch_maps: ["@owner"]', 'scratch_maps: ["@retransmits"]', "@retransmits stands twice"),
        ("    field: err\n", "    field: err\n    bpftrace: hist-bits\n", "a guard asks for"),
        ("layer: net\n", "layer: [net\n", "expected"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, message):
    assert old in GOOD
    found = mistakes(tmp_path, GOOD.replace(old, new))
    assert any(message in line for line in found), found
    assert all(line.startswith("tcp-retrans.yaml:") for line in found)


FIRST = """outputs:
  - name: retransmits
    map: "@retransmits"
    kind: count
    unit: packets
"""


def first(kind, *lines):
    """The beginning of the outputs, with another kind and more fields."""
    text = FIRST.replace("kind: count", f"kind: {kind}")
    return text + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (first("max"), "a socket may turn out to be another process's"),
        (first("avg"), "an average without its count cannot be merged or compared: use stats"),
        (first("count", "bits: 2"), "only a histogram has bits or linear buckets"),
        (first("histogram", "bits: 6"), "less than or equal to 5"),
        (
            first("histogram", "bits: 2", "linear: {minimum: 0, maximum: 10, step: 5}"),
            "linear buckets have no bits",
        ),
        (
            first("histogram", "unsigned: true", "linear: {minimum: 0, maximum: 10, step: 5}"),
            "hold signed values",
        ),
        (first("histogram", "linear: {minimum: 0, maximum: 10, step: 3}"), "1 to 1000 whole steps"),
        (first("histogram", "linear: {minimum: 10, maximum: 0, step: 5}"), "1 to 1000 whole steps"),
        (first("time-series"), "a time series, and nothing else, has an interval"),
        (first("sum", "interval_ms: 5"), "a time series, and nothing else, has an interval"),
        (first("count", "unsigned: true"), "a count is unsigned as it is"),
        (first("sum"), "retransmits does not count events"),
    ],
)
def test_a_kind_has_its_own_fields(tmp_path, output, message):
    assert FIRST in GOOD
    found = mistakes(tmp_path, GOOD.replace(FIRST, output))
    assert any(message in line for line in found), found


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("{name: remote_address, type: string}", "a string, and nothing else, says how many bytes"),
        ("{name: remote_address, type: string, bytes: 12}", "multiple of 8"),
        ("{name: remote_address, type: ip, bytes: 16}", "a string, and nothing else, says how many bytes"),
        ("{name: remote_address, type: ip, depth: 3}", "only a stack has a depth"),
        ("{name: remote_address, type: user-stack}", "a user-stack is its last key"),
        ("{name: remote_address, type: weekday}", "Input should be"),
    ],
)
def test_a_key_that_could_not_be_decoded_is_refused(tmp_path, key, message):
    found = mistakes(tmp_path, GOOD.replace("{name: remote_address, type: ip}", key))
    assert any(message in line for line in found), found


def test_a_missing_file_and_a_binary_one_are_refused(tmp_path):
    with pytest.raises(ValueRefused, match="No such file"):
        load_recipe(tmp_path / "none.yaml", tmp_path / "none.bt.j2")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ValueRefused, match=r"x\.yaml"):
        load_recipe(tmp_path / "x.yaml", tmp_path / "x.bt.j2")


def test_unknown_ids_get_the_nearest():
    assert "tcp-retrans" in recipe_ids()
    with pytest.raises(ValueRefused, match="no recipe 'tcp-retrns'") as refused:
        find_recipe("tcp-retrns")
    assert refused.value.hint.startswith("did you mean tcp-retrans")
