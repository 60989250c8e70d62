"""How the host was left is told, whatever else fails; what did not last is no verdict."""

import os
import shutil
import signal
import subprocess
import time

import orjson
import pytest

import runner.workflow.experiment.conduct as conducting
from runner.cli.experiment import asking
from runner.cli.main import main
from runner.errors import ExitCode, Interrupted, NotWritten
from runner.interrupts import Interrupts
from runner.report.experiment import experiment_as_markdown
from runner.workflow.case_folder import CaseFolder
from runner.workflow.experiment.conduct import Conditions, conduct
from runner.workflow.experiment.model import Experiment
from runner.workflow.experiment.prepare import prepare
from runner.workflow.experiment.recover import recover
from runner.workflow.experiment.state import journal_path
from tests.test_proof import case as case  # noqa: PLC0414  # a fixture
from tests.test_proof import result_of


@pytest.fixture
def runs(monkeypatch):
    """What happens in each run, by its number (0 warms up), and when it is judged; all is better."""
    happens, numbers = {}, iter(range(100))

    def record(*_):
        happens.get(next(numbers), lambda: None)()
        return 1.0

    better = {"recipe": "runqlat", "verdict": "better", "reason": "it is", "gates": [], "outcomes": []}
    monkeypatch.setattr(conducting, "record", record)
    monkeypatch.setattr(conducting._Conduct, "_check_warm_up", lambda _: None)
    monkeypatch.setattr(conducting, "judge", lambda *_: [better, happens.get("judged", lambda: None)()][:1])
    return happens


def tried(value, folder, *, keep=False, revert=None, apply=None, ask=None):
    """Conduct an experiment; return its result, and what was told."""
    spec = {"file": str(value), "value": "4096"}
    if revert is not None:
        spec = {
            "name": "it",
            "read": f"cat {value}",
            "apply": apply or f"echo 4096 > {value}",
            "revert": revert,
        }
    document = {
        "experiment": 1, "id": "it", "title": "It", "load": ["true"], "settle": "0s",
        "change": {"settings": [spec]}, "measure": [{"recipe": "runqlat"}],
    }  # fmt: skip
    told = []
    prepared = prepare(Experiment.model_validate(document), folder.parent, None)
    with Interrupts() as signals:
        try:
            return conduct(prepared, folder, Conditions(signals, told.append, ask, keep, [])), told
        except BaseException as error:
            error.told = told
            raise


def test_it_is_as_it_was(value, runs, tmp_path):
    result, _ = tried(value, tmp_path / "made")
    assert (result["verdict"], result["state"], value.read_text()) == ("better", "as-before", "128\n")


@pytest.mark.parametrize("number", [2, 3])
def test_a_change_that_somebody_undoes_is_no_verdict(value, runs, tmp_path, number):
    runs[number] = lambda: value.write_text("128\n")
    result, _ = tried(value, tmp_path / "made")
    assert (result["verdict"], result["ending"], result["exit_code"]) == (None, "failed", ExitCode.HOST)
    assert "somebody else changed it meanwhile: it was '4096', and is '128' now" in result["reason"]
    assert result["state"] == "as-before"


def test_what_cannot_be_kept_on_record_is_not_kept(value, runs, tmp_path):
    folder = tmp_path / "made"
    runs["judged"] = lambda: shutil.rmtree(folder)
    with pytest.raises(NotWritten):
        tried(value, folder, keep=True)
    assert (value.read_text(), journal_path().exists()) == ("128\n", False)


def test_that_it_could_not_be_put_back_is_told_though_the_results_are_lost(value, runs, tmp_path):
    folder = tmp_path / "made"
    runs[3] = lambda: shutil.rmtree(folder)
    result, told = tried(value, folder, revert="exit 3 # $BEFORE")
    assert (result["state"], result["exit_code"]) == ("not-as-before", ExitCode.CHANGED)
    assert "this host is not as it was before" in result["reason"]
    assert any("No such file" in each for each in told)


def test_that_it_could_not_be_put_back_is_told_though_there_is_a_bug(value, runs, tmp_path):
    def fail():
        raise RuntimeError("a bug")

    runs[2] = fail
    with pytest.raises(RuntimeError) as raised:
        tried(value, tmp_path / "made", revert="exit 3 # $BEFORE")
    assert any("this host is not as it was before" in each for each in raised.value.told)
    assert journal_path().exists()


def changed():
    return {
        **result_of("better", ExitCode.CHANGED), "ending": "failed", "state": "not-as-before",
        "reason": "this host is not as it was before",
    }  # fmt: skip


def test_how_the_host_was_left_is_told_though_the_case_is_held(case, monkeypatch, capfd):
    monkeypatch.setattr(conducting, "conduct", lambda *_: changed())
    monkeypatch.setattr("runner.host.kernel.is_root", lambda: True)
    words = ["experiment", "--case", str(case), "--remedy", "readahead", "--with", "kib=512", "-f", "json"]
    with CaseFolder(case).locked():
        assert main([*words, "--", "true"]) == ExitCode.CHANGED
    out, err = capfd.readouterr()
    assert "this host is not as it was before" in err
    assert "another investigation works on it" in err
    assert orjson.loads(out)["state"] == "not-as-before"


def test_how_the_host_was_left_is_told_though_there_is_no_room_for_the_report(case, monkeypatch, capfd):
    monkeypatch.setattr(conducting, "conduct", lambda *_: changed())
    monkeypatch.setattr("runner.host.kernel.is_root", lambda: True)
    words = ["experiment", "--case", str(case), "--remedy", "readahead", "--with", "kib=512", "-f", "json"]
    assert main([*words, "-o", "/dev/full", "--", "true"]) == ExitCode.CHANGED
    assert "this host is not as it was before" in capfd.readouterr().err


def test_what_a_kept_change_made_is_there_for_its_way_back(value, runs, tmp_path):
    revert = 'cat "$WORK/name" >/dev/null; echo "$BEFORE" > ' + str(value)
    apply = f'echo ours > "$WORK/name"; echo 4096 > {value}'
    result, _ = tried(value, tmp_path / "made", keep=True, revert=revert, apply=apply)
    assert result["state"] == "kept"
    other = tmp_path / "other"
    other.write_text("1\n")
    again, _ = tried(other, tmp_path / "again", revert=f'echo "$BEFORE" > {other}')
    assert again["state"] == "as-before"
    assert recover(None) is None
    subprocess.run(["sh", "-c", result["change"]["settings"][0]["revert"][0]], check=True)
    assert value.read_text() == "128\n"


def test_that_something_is_gone_is_told(value, runs, tmp_path):
    runs[11] = value.unlink
    result, _ = tried(value, tmp_path / "made")
    assert result["state"] == "as-before"
    assert f"{value} is gone: there was nothing to put back" in experiment_as_markdown(result)


def test_a_signal_ends_the_question(monkeypatch):
    def ask(*_):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
        return "yes"

    monkeypatch.setattr("runner.cli.operator.has_operator", lambda: True)
    monkeypatch.setattr("runner.cli.operator.Operator.ask", ask)
    with Interrupts() as signals:
        with pytest.raises(Interrupted, match="SIGINT while it was asked"):
            asking(signals)("Put it back?")
        assert signals.first == "SIGINT"
