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
    text = GOOD.replace("status: experimental", "status: new").replace("unit: packets", "unit: parcels", 1)
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
    assert refused.value.hint == "did you mean tcp-retrans?"
