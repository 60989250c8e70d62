"""The runs of an investigation, with commands of our own in their place: what is kept of each, and what is not."""

import json
import signal

import pytest

from runner.errors import Interrupted, NotWritten
from runner.interrupts import Interrupts
from runner.workflow import stepping
from runner.workflow.case_folder import CaseFolder
from tests.captures import capture, count
from tests.test_investigate_judging import step


@pytest.fixture
def folder(tmp_path):
    made = CaseFolder(tmp_path / "case")
    made.create()
    return made


@pytest.fixture
def run(folder, monkeypatch, tmp_path):
    """Run steps whose commands are a script of the shell; `$0` is where the capture goes, `$1` says that it is attached."""
    document = tmp_path / "capture.json"
    document.write_text(json.dumps(capture(count("drops", {"nginx": 3}))))

    def run(*steps, script):
        def command(*words):
            path = words[words.index("-o") + 1]
            attached = words[-1] if "--" in words else "/dev/null"
            return ["sh", "-c", script.replace("CAPTURE", str(document)), path, attached]

        monkeypatch.setattr(stepping, "own_command", command)
        with Interrupts() as signals:
            stepping.Stepper(folder, "/bpftrace", signals, lambda _: None).run(steps, 0.0)

    return run


def files(folder):
    return sorted(path.name for path in folder.captures.iterdir())


ALONE = step(name="scan-alone", beside="none")
BESIDE = step(name="scan-beside", beside="any")


@pytest.mark.parametrize("one", [ALONE, BESIDE], ids=["alone", "beside"])
def test_a_run_is_kept_when_it_has_ended(run, folder, one):
    run(one, script=': > "$1"; cp CAPTURE "$0"')
    assert files(folder) == [f"{one['name']}.json"]


@pytest.mark.parametrize("one", [ALONE, BESIDE], ids=["alone", "beside"])
def test_what_a_run_writes_when_it_is_ended_is_no_capture(run, folder, one):
    """It has a part of its window, and ends well: SIGTERM ends a run like its time does."""
    script = 'trap \'cp CAPTURE "$0"; exit 0\' TERM; : > "$1"; kill -INT $PPID; while :; do sleep 0.02; done'
    with pytest.raises(Interrupted):
        run(one, script=script)
    assert files(folder) == []


@pytest.mark.parametrize("one", [ALONE, BESIDE], ids=["alone", "beside"])
def test_a_signal_to_all_processes_at_once_ends_no_run_well(run, folder, one):
    with pytest.raises(Interrupted):
        run(one, script='kill -INT $PPID; : > "$1"; exec cp CAPTURE "$0"')
    assert files(folder) == []


def test_what_was_under_way_when_we_were_killed_is_done_again(run, folder):
    for name in (".scan-alone.json", ".scan-alone.stderr", ".scan-beside.attached"):
        (folder.captures / name).write_text("half")
    assert folder.capture_of(ALONE) is None
    run(ALONE, script='cp CAPTURE "$0"')
    assert files(folder) == ["scan-alone.json"]


def test_a_capture_that_found_no_room_is_no_failure_of_its_recipe(run, folder):
    with pytest.raises(NotWritten, match="No space") as refused:
        run(ALONE, script="echo 'ebpf-recipe: x cannot be written: No space left on device' >&2; exit 8")
    assert "--resume --case" in refused.value.hint
    assert folder.failure_of(ALONE) is None


def test_why_there_is_no_capture_is_kept(run, folder):
    run(ALONE, script="echo 'ebpf-recipe: no probe' >&2; exit 4")
    assert folder.failure_of(ALONE) == "no probe"
    assert files(folder) == ["scan-alone.failed.json"]


def test_a_run_that_a_signal_ends_has_no_capture(run, folder):
    run(ALONE, script="kill -KILL $$")
    assert str(-signal.SIGKILL) in folder.failure_of(ALONE)
    assert list((folder.path / "programs").iterdir()) == []
