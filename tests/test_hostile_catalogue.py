"""Recipes and templates that would hang, fill the memory or print what they should not: refused with a place."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.recipe import bounds
from tests.command import EBPF_RECIPE, RECORDINGS, ebpf_recipe
from tests.test_lint import RECIPE, TEMPLATE, VALID, change


@pytest.fixture
def catalogue(tmp_path):
    return Path(shutil.copytree(VALID, tmp_path / "catalogue"))


def refused(catalogue, said):
    done = ebpf_recipe("lint", str(catalogue))
    assert done.returncode == 1, done.stdout
    assert said in done.stdout
    shown = ebpf_recipe("--recipes", str(catalogue), "run", "seeks", "--dry-run")
    assert shown.returncode in (3, 4), shown.stderr
    return done.stdout


@pytest.mark.parametrize("place", [RECIPE, TEMPLATE])
def test_a_fifo_is_not_waited_for(catalogue, place):
    (catalogue / place).unlink()
    os.mkfifo(catalogue / place)
    done = subprocess.run(
        [EBPF_RECIPE, "lint", str(catalogue)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1, done.stderr


def test_a_file_of_gigabytes_is_not_read(catalogue):
    with (catalogue / TEMPLATE).open("wb") as file:
        file.truncate(3 << 30)
    refused(catalogue, "larger than 256 KiB")


def test_a_link_to_itself_breaks_nobody_else(catalogue):
    (catalogue / RECIPE).unlink()
    (catalogue / RECIPE).symlink_to("seeks.yaml")
    assert ebpf_recipe("--recipes", str(catalogue), "show", "runqlat").returncode == 0
    assert ebpf_recipe("lint", str(catalogue)).returncode == 1


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    ],
    ids=["loops", "macros"],
)
def test_a_template_that_does_not_end_is_ended(catalogue, template, monkeypatch):
    monkeypatch.setattr(bounds, "CPU_SECONDS", 0.3)
    with (catalogue / TEMPLATE).open("a") as file:
        file.write(template)
    refused(catalogue, "s of a processor")


@pytest.mark.parametrize(
    "template", ["{{ 'a'.ljust(1500000000)|code }}", "{{ '%1500000000d'|format(1)|code }}"]
)
def test_a_template_that_fills_the_memory_is_ended(catalogue, template):
    with (catalogue / TEMPLATE).open("a") as file:
        file.write(template)
    refused(catalogue, "error")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('interval:s:1 { system("id"); }', "system() does something else than to measure"),
        ("BEG{# #}IN { }", "BEGIN is the runner's own"),
        ('{{ "interval:s:1 { sys"|code }}tem("id"); }', "system() does something else than to measure"),
        ("{{ '\\x00'|code }}", "printable ASCII"),
        ("\0", "control character"),
        ("{{ has([]) }}", "has("),
        ("{{ cycler() }}", "error"),
        ("{{ target.pid.matches(1) }}", "which are texts"),
        ("{{ 1" + " + 1" * 5000 + " }}", "error"),
    ],
)
def test_what_a_template_may_not_do(catalogue, template, said):
    with (catalogue / TEMPLATE).open("a") as file:
        file.write("\n" + template + "\n")
    refused(catalogue, said)


@pytest.mark.parametrize(
    "line",
    [
        "x: !!bool abc",
        "x: !!timestamp abc",
        'title: "\\e[31mA title that is long enough"',
        "schema: 1\nschema: 1",
    ],
)
def test_what_a_recipe_may_not_say(catalogue, line):
    text = (catalogue / RECIPE).read_text()
    (catalogue / RECIPE).write_text(text + line + "\n")
    assert ebpf_recipe("lint", str(catalogue)).returncode == 1


def test_two_keys_of_one_name(catalogue):
    change(catalogue, "recipes/app/seeks.yaml", "keys: [", "keys: [{name: comm, type: integer}, ")
    refused(catalogue, "two keys have one name")


def test_our_own_files_are_read_whatever_the_locale():
    env = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([EBPF_RECIPE, "lint"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_bpftrace_that_prints_without_an_end(tmp_path):
    flood = tmp_path / "bpftrace"
    flood.write_text("#!/bin/sh\nexec yes nothing of a version\n")
    flood.chmod(0o755)
    done = ebpf_recipe("run", "runqlat", "--bpftrace", str(flood), "--dry-run")
    assert done.returncode == 4
    assert "does not answer as bpftrace does" in done.stderr


@pytest.mark.parametrize("damage", ["upper", "quantiles", "total"])
def test_a_damaged_capture_is_refused_and_no_bug_of_ours(tmp_path, damage):
    capture = json.loads(
        ebpf_recipe("run", "tcp-retrans", "--comm", "nginx", "--replay", str(RECORDINGS[0])).stdout
    )
    row = {
        "key": {},
        "count": 1,
        "buckets": [{"lower": 1, "upper": 1, "count": 1}],
        "quantiles": {"p50": None},
    }
    row["quantiles"] = dict.fromkeys(("p50", "p95", "p99", "p999"))
    table = {"name": "h", "map": "@h", "kind": "histogram", "unit": "us", "keys": [], "rows": [row]}
    if damage == "upper":
        del row["buckets"][0]["upper"]
    elif damage == "quantiles":
        row["quantiles"]["p50"] = {}
    else:
        capture["tables"][1]["name"] = ""
    capture["tables"].append(table)
    path = tmp_path / "capture.json"
    path.write_text(json.dumps(capture))
    assert ebpf_recipe("report", str(path)).returncode == (0 if damage == "total" else 6)
