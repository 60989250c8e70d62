"""Experiments on the real kernel: verdicts on real changes, and a host that is as it was whatever ends them."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.command import EBPF_RECIPE, ebpf_recipe
from tests.laboratory.children import child
from tests.laboratory.experiments import accept_queue, read_ahead
from tests.laboratory.releases import paths
from tests.laboratory.unsteady import NAME
from tests.laboratory.until import until

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
UNSTEADY = ("python3", "-m", "tests.laboratory.unsteady")
MEASURE = f"syscount --comm {NAME}"
KILLS = 30
SEED = 11


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The state of experiments, apart from the host's own."""
    path = tmp_path / "state"
    monkeypatch.setenv("EBPF_RECIPE_STATE", str(path))
    monkeypatch.chdir(ROOT)
    return path


@pytest.fixture
def value(tmp_path):
    """A setting that nothing hangs on."""
    path = tmp_path / "value"
    path.write_text("128\n")
    return path


@pytest.fixture
def newest():
    """The newest release: what is tested does not hang on it."""
    return paths()[-1]


def experiment(directory, *words, load):
    """Conduct an experiment; return how it ended and its document."""
    done = ebpf_recipe("experiment", *words, "--dir", str(directory), "-f", "json", "--", *load)
    return done, json.loads((directory / "experiment.json").read_text())


def tried(scene, change, bpftrace, directory):
    """Try a change of a scene."""
    network = () if scene.network is None else ("--netns", scene.network)
    before = scene.value(change)
    done, result = experiment(
        directory, "--set", f"{change.setting}={change.value}", *network, "--bpftrace", bpftrace,
        "--measure", " ".join([scene.recipe, *scene.arguments]), load=scene.inside(scene.load),
    )  # fmt: skip
    assert scene.value(change) == before
    assert result["state"] == "as-before"
    return done, result


def told(result, what):
    """Return what became of an experiment, for the figures of the run."""
    row = result["comparisons"][0]["outcomes"][0]
    foretold = result["design"]["seconds_predicted"]
    seconds = f"{result['seconds']:.0f} s (foretold {foretold:.0f} s)"
    return f"experiment, {what}: {result['verdict']}, {row['shown']['shift']}, {seconds}"


def test_what_is_better_is_kept_where_that_is_asked_for(newest, tmp_path, state, figure):
    with read_ahead() as scene:
        change = scene.better
        words = ["--set", f"{change.setting}={change.value}", "--bpftrace", newest, "--keep"]
        measure = " ".join([scene.recipe, *scene.arguments])
        done, result = experiment(tmp_path / "made", *words, "--measure", measure, load=scene.load)
        figure(told(result, f"read-ahead {change.value} KiB"))
        assert done.returncode == 0, done.stderr
        assert (result["verdict"], result["state"]) == ("better", "kept"), result["reason"]
        assert scene.value(change) == change.value
        # Nothing is left to be recovered, and the way back is told.
        assert not (state / "experiment.json").exists()
        revert = result["change"]["settings"][0]["revert"][0]
        subprocess.run(["sh", "-c", revert], check=True, capture_output=True)
        assert scene.value(change) == "128"
    assert result["design"]["order"] == "ABBA BAAB ABBA"
    assert [run["number"] for run in result["runs"]] == list(range(13))
    assert 0.5 < result["design"]["seconds_predicted"] / result["seconds"] < 1.5


def test_a_change_that_does_nothing_is_not_called_better(newest, tmp_path, figure):
    with read_ahead() as scene:
        done, result = tried(scene, scene.same, newest, tmp_path / "made")
    figure(told(result, f"read-ahead, {scene.same.setting.rpartition('/')[2]} {scene.same.value}"))
    assert done.returncode == 0, done.stderr
    assert result["verdict"] in ("same", "inconclusive"), result["reason"]


def test_a_change_of_a_network_namespace_that_makes_it_worse(newest, tmp_path, figure):
    with accept_queue() as scene:
        done, result = tried(scene, scene.worse, newest, tmp_path / "made")
    figure(f"experiment: accept queue, worse: {result['verdict']}, {result['seconds']:.0f} s")
    assert (result["verdict"], done.returncode) == ("worse", 1)


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("grows", 0, "load drifted"),
        ("varies", 0, "the load"),
        ("fails", 7, "failed: exit 1"),
        ("ends", 7, "measures little of it"),
    ],
)
def test_a_load_under_which_nothing_can_be_tried(newest, tmp_path, value, kind, code, said):
    load = [*UNSTEADY, kind, str(tmp_path / "runs")]
    done, result = experiment(
        tmp_path / "made", "--set", f"{value}=4096", "--bpftrace", newest, "--measure", MEASURE,
        "--settle", "0s", load=load,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in result["reason"]
    assert result["verdict"] == (None if code else "inconclusive")
    assert (result["state"], value.read_text()) == ("as-before", "128\n")


def started(directory, *words, load=("sleep", "0.7"), bpftrace):
    argv = [EBPF_RECIPE, "experiment", *words, "--dir", str(directory), "--bpftrace", bpftrace]
    argv += ["--settle", "0s", "--measure", "runqlat", "-f", "json", "--", *load]
    return child(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_whatever_ends_it_at_whatever_moment_the_host_is_as_it_was(newest, tmp_path, value, state, figure):
    other = tmp_path / "other"
    other.write_text("off\n")
    # Slow commands: many of the moments are in the middle of a change.
    spec = {
        "experiment": 1, "id": "killed", "title": "Killed", "load": ["sleep", "0.6"], "settle": "0s",
        "change": {"settings": [
            {"file": str(value), "value": "4096"},
            {"name": "other", "read": f"sleep 0.05; cat {other}", "apply": f"sleep 0.1; echo on > {other}; sleep 0.1",
             "revert": f'sleep 0.1; echo "$BEFORE" > {other}; sleep 0.1'},
        ]},
        "measure": [{"recipe": "runqlat"}],
    }  # fmt: skip
    path = tmp_path / "killed.yaml"
    path.write_text(json.dumps(spec))
    moments, changed, recovered = random.Random(SEED), 0, 0  # noqa: S311
    kinds = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL] * (KILLS // 3)
    for number, kind in enumerate(kinds):
        words = ["--bpftrace", newest, "--dir", str(tmp_path / f"made{number}"), "-f", "json"]
        argv = [EBPF_RECIPE, "experiment", str(path), *words]
        with child(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            journal = state / "experiment.json"
            if number % 5:
                until(journal.exists, "the change is about to be made")
            time.sleep(moments.uniform(0, 4))
            process.send_signal(kind)
            process.wait(60)
        was_changed = value.read_text() != "128\n" or other.read_text() != "off\n"
        if kind is signal.SIGKILL:
            changed += was_changed
            recovered += journal.exists()
            done = ebpf_recipe("experiment", "recover")
            assert done.returncode == 0, done.stderr
        else:
            assert not was_changed, (number, kind)
            # Before it watches for signals it is ended by them.
            said = {signal.SIGINT: (130, -2), signal.SIGTERM: (143, -15)}[kind]
            assert process.returncode in said, (number, kind, process.returncode)
        assert (value.read_text(), other.read_text()) == ("128\n", "off\n"), (number, kind)
        assert not journal.exists()
    figure(
        f"experiment: {len(kinds)} kills, {changed} of {KILLS // 3} by SIGKILL left it changed, all put back"
    )
    assert changed >= 2, "no kill came while it was changed"


def test_two_at_once_and_one_that_was_left(newest, tmp_path, value, state):
    words = ("--set", f"{value}=4096")
    with started(tmp_path / "one", *words, load=("sleep", "5"), bpftrace=newest) as process:
        until((state / "experiment.json").exists, "the change is made")
        done = ebpf_recipe(
            "experiment", *words, "--measure", "runqlat", "--dir", str(tmp_path / "two"), "--", "sleep", "1"
        )
        assert done.returncode == 4
        assert "another experiment is under way on this host" in done.stderr
        process.kill()
        process.wait()
    done = ebpf_recipe(
        "experiment", *words, "--measure", "runqlat", "--dir", str(tmp_path / "three"), "--", "sleep", "1"
    )
    assert done.returncode == 4
    assert "ebpf-recipe experiment recover" in done.stderr
    assert ebpf_recipe("experiment", "recover").returncode == 0
    assert value.read_text() == "128\n"


def test_what_somebody_else_changes_meanwhile_is_not_overwritten(newest, tmp_path, value, state):
    with started(tmp_path / "made", "--set", f"{value}=4096", bpftrace=newest) as process:
        journal = state / "experiment.json"
        # It has read what it changed: what comes now is somebody else's.
        until(
            lambda: journal.exists() and json.loads(journal.read_bytes())["entries"][0]["after"] == "4096",
            "the change is made",
        )
        assert value.read_text() == "4096\n"
        value.write_text("512\n")
        _, said = process.communicate(timeout=60)
    assert process.returncode == 9, said
    assert b"somebody else changed it meanwhile" in said
    assert f"echo 128 > {value}".encode() in said
    assert value.read_text() == "512\n"
    done = ebpf_recipe("experiment", "recover")
    assert (done.returncode, value.read_text()) == (9, "512\n")
    assert ebpf_recipe("experiment", "recover", "--put-back").returncode == 0
    assert value.read_text() == "128\n"


def test_a_revert_that_fails_is_loud(newest, tmp_path, value):
    words = [
        "--read",
        f"cat {value}",
        "--apply",
        f"echo on > {value}",
        "--revert",
        "echo no room >&2; exit 3 # $BEFORE",
    ]
    done, result = experiment(
        tmp_path / "made", *words, "--measure", "runqlat", "--bpftrace", newest, load=["sleep", "0.7"]
    )
    assert done.returncode == 9
    assert result["state"] == "not-as-before"
    assert "put it back by hand" in done.stderr
    assert "BEFORE=128 sh -ec" in done.stderr
    assert result["next"] == "ebpf-recipe experiment recover"
    assert ebpf_recipe("experiment", "recover", "--leave").returncode == 0


def test_recipes_beside_each_other_measure_the_same_load(newest, tmp_path, value):
    done, result = experiment(
        tmp_path / "made", "--set", f"{value}=4096", "--measure", MEASURE, "--measure", "runqlat",
        "--gate", "calls.rate >= 1 calls/s", "--bpftrace", newest, "--settle", "0s",
        load=[*UNSTEADY, "steady", str(tmp_path / "runs")],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [each["recipe"] for each in result["comparisons"]] == ["syscount", "runqlat"]
    assert [gate["verdict"] for gate in result["comparisons"][0]["gates"]] == ["pass"]
    for run in result["runs"]:
        one, other = (json.loads((tmp_path / "made" / each).read_text()) for each in run["captures"])
        # The second was there before the first began, and after it ended.
        assert other["window"]["attached_at"] < one["window"]["attached_at"]
        assert other["window"]["ended_at"] > one["window"]["ended_at"]
