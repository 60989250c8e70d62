"""From a case to a proof: what an investigation established is tried, and the verdict stands in the case."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.command import ebpf_recipe
from tests.laboratory import record_reader
from tests.laboratory.children import child
from tests.laboratory.experiments import read_ahead
from tests.laboratory.releases import paths

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
AGAIN = 'while :; do "$@"; done'


def test_the_remedy_of_a_case_is_proven_and_the_case_says_so(tmp_path, monkeypatch, figure):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("EBPF_RECIPE_STATE", str(tmp_path / "state"))
    case = tmp_path / "case"
    with read_ahead() as scene:
        with child(
            ["sh", "-c", AGAIN, "sh", *scene.load], stdout=subprocess.DEVNULL, process_group=0
        ) as load:
            words = ["slow-files", "--comm", record_reader.NAME, "-d", "10s", "--bpftrace", paths()[-1]]
            done = ebpf_recipe("investigate", *words, "--case", str(case), "-f", "json")
            os.killpg(load.pid, 15)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert "disk-wait" in [each["id"] for each in found["hypotheses"] if each["status"] == "established"]
        (remedy,) = [each for each in found["remedies"] if each.get("remedy") == "readahead"]
        device = Path(scene.better.setting).parts[3]
        assert remedy["given"] == {"device": device}
        done = ebpf_recipe(
            "experiment", "--case", str(case), "--remedy", "readahead", "--with", f"kib={scene.better.value}",
            "--bpftrace", paths()[-1], "-f", "json", "--", *scene.load,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert scene.value(scene.better) == "128"
    figure(f"case: {result['comparisons'][0]['recipe']}: {result['verdict']}, {result['reason']}")
    assert result["verdict"] == "better", result["reason"]
    (tried,) = json.loads((case / "case.json").read_text())["tried"]
    assert (tried["hypothesis"], tried["proves"]) == ("disk-wait", True)
    assert "disk-wait: proven: with readahead" in (case / "report.md").read_text()
    # The conclusions are again those of what is kept.
    done = ebpf_recipe("investigate", "--replay", str(case), "-f", "json")
    assert (done.returncode, done.stdout) == (0, (case / "case.json").read_text())
