"""What was measured of a recipe's cost: shown newest first, listed by the newest, the cheapest recipe first."""

import json
import shutil
from pathlib import Path

import pytest

from tests.command import ebpf_recipe
from tests.test_lint import RECIPE, TEMPLATE, VALID

NOTE = "overhead: {level: low, reason: A map update for each seek.}\n"
MEASURED = """\
overhead:
  level: high
  reason: A map update for each seek.
  measured:
    - {bpftrace: 0.9.8, kernel: "6.18", event: seek, ns: 9, slowdown: 0.5}
    - {bpftrace: 0.27.1, kernel: "6.9", event: seek, ns: 8000}
    - {bpftrace: 0.27.1, kernel: "6.18", event: seek, ns: 4321, slowdown: 0.123}
    - {bpftrace: 0.23.2, kernel: "6.18", event: seek, ns: 5000, slowdown: -0.004}
"""
CHEAP = """\
overhead:
  level: low
  reason: A map update for each seek.
  measured: [{bpftrace: 0.23.2, kernel: "6.18", event: seek, ns: 310, slowdown: 0}]
"""


@pytest.fixture
def catalogue(tmp_path):
    """Return a catalogue of `seeks`, which is dear, `cheap`, and `untold`, of which nothing was measured."""
    folder = Path(shutil.copytree(VALID, tmp_path / "catalogue"))
    text = (folder / RECIPE).read_text()
    assert NOTE in text
    for name, note in (("seeks", MEASURED), ("cheap", CHEAP), ("untold", NOTE)):
        own = text.replace(NOTE, note).replace("id: seeks", f"id: {name}")
        (folder / RECIPE).with_stem(name).write_text(own)
        shutil.copy(VALID / TEMPLATE, (folder / TEMPLATE).with_name(f"{name}.bt.j2"))
    return folder


def listed(catalogue, *arguments):
    done = ebpf_recipe("--recipes", str(catalogue), "list", "--layer", "app", *arguments)
    assert done.returncode == 0, done.stderr
    return done


def test_the_cheapest_comes_first_by_its_newest_bpftrace(catalogue):
    done = listed(catalogue, "--sort", "cost")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    places = {name: place for place, name in enumerate(lines)}
    assert places["cheap"] < places["seeks"] < places["untold"]
    assert "    4,321 ns per seek " in lines["seeks"]
    assert " +12.3% Seeks by process" in lines["seeks"]
    assert "      310 ns per seek " in lines["cheap"]
    assert " +0.0% " in lines["cheap"]
    assert "not measured " in lines["untold"]
    assert "bpftrace 0.27.1 on kernel 6.18" in done.stderr
    assert "0.9.8" not in done.stderr


def test_json_has_the_costs_in_that_order_too(catalogue):
    rows = json.loads(listed(catalogue, "--json", "--sort", "cost").stdout)
    costs = [None if row["cost"] is None else row["cost"]["ns"] for row in rows]
    known = [cost for cost in costs if cost is not None]
    assert costs == sorted(known) + [None] * (len(costs) - len(known))
    by_id = {row["id"]: row for row in rows}
    assert by_id["seeks"]["cost"] == {
        "bpftrace": "0.27.1", "kernel": "6.18", "event": "seek", "ns": 4321, "slowdown": 0.123,
    }  # fmt: skip
    assert by_id["seeks"]["overhead"] == "high"
    assert by_id["cheap"]["cost"]["ns"] == 310
    assert by_id["untold"]["cost"] is None


def test_the_order_is_by_id_unless_it_is_asked_for(catalogue):
    rows = json.loads(listed(catalogue, "--json").stdout)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert listed(catalogue).stderr == ""
    assert "ns per" not in listed(catalogue).stdout


def test_an_order_that_there_is_not(catalogue):
    done = ebpf_recipe("list", "--sort", "costs")
    assert done.returncode == 3
    assert "did you mean cost?" in done.stderr


def test_show_has_all_of_them_newest_first(catalogue):
    text = " ".join(ebpf_recipe("--recipes", str(catalogue), "show", "seeks").stdout.split())
    lines = (
        "bpftrace 0.27.1 on kernel 6.18: 4,321 ns per seek; a load of such events alone took 12.3% longer",
        "bpftrace 0.27.1 on kernel 6.9: 8,000 ns per seek bpftrace",
        "bpftrace 0.23.2 on kernel 6.18: 5,000 ns per seek; a load of such events alone took no longer",
        "bpftrace 0.9.8 on kernel 6.18: 9 ns per seek; a load of such events alone took 50% longer",
    )
    places = [text.index(line) for line in lines]
    assert places == sorted(places)
    assert "not measured" not in text
    assert "not measured" in ebpf_recipe("--recipes", str(catalogue), "show", "untold").stdout


def test_show_as_json_has_them_as_written(catalogue):
    shown = json.loads(ebpf_recipe("--recipes", str(catalogue), "show", "seeks", "--json").stdout)
    assert [each["ns"] for each in shown["overhead"]["measured"]] == [9, 8000, 4321, 5000]
    assert shown["overhead"]["measured"][1]["slowdown"] is None


@pytest.mark.parametrize(
    ("old", "new"), [("ns: 9,", "ns: nine,"), ("0.9.8", "new"), ("event: seek", "events: seek")]
)
def test_a_list_says_where_a_cost_is_wrong(catalogue, old, new):
    path = catalogue / RECIPE
    path.write_text(path.read_text().replace(old, new, 1))
    done = ebpf_recipe("--recipes", str(catalogue), "list", "--sort", "cost")
    assert done.returncode == 3
    assert f"{path}:" in done.stderr
