"""A change is put back on every way out, by whoever comes next; what others changed is not overwritten."""

import os
import subprocess
import sys
import threading
import time

import pytest

from runner.errors import ExitCode, HostRefused, NotUnderstood, NotWritten, ValueRefused
from runner.recipe.model_setting import CommandSpec, FileSpec, Requirement
from runner.workflow.experiment import journal as journals
from runner.workflow.experiment import recover as recovering
from runner.workflow.experiment import setting as settings
from runner.workflow.experiment import setting_command
from runner.workflow.experiment.change import change_of_specs
from runner.workflow.experiment.journal import read_journal
from runner.workflow.experiment.recover import recover
from runner.workflow.experiment.restore import HostChanged
from runner.workflow.experiment.setting_command import SettingFailed
from runner.workflow.experiment.state import host_lock, journal_path
from runner.workflow.experiment.switch import Switch


def file_spec(path, value="4096", **more):
    return FileSpec(file=str(path), value=value, **more)


def command_spec(path, *, apply=None, verify=None, revert=None, **more):
    return CommandSpec(
        name="it",
        read=f"cat {path}",
        apply=apply or f"echo on > {path}",
        verify=verify,
        revert=revert or f'echo "$BEFORE" > {path}',
        **more,
    )


def switch(tmp_path, *specs, ask=None, requires=()):
    return Switch(change_of_specs("a change", specs, None, {"WORK": str(tmp_path)}, requires), tmp_path, ask)


def test_a_file_is_changed_and_put_back(tmp_path, value):
    one = switch(tmp_path, file_spec(value))
    one.on()
    assert value.read_text() == "4096\n"
    assert read_journal(journal_path()).entries[0].after == "4096"
    one.off()
    one.close()
    assert (value.read_text(), one.became, journal_path().exists()) == (
        "128\n",
        {str(value): "put-back"},
        False,
    )


def test_the_journal_is_written_before_anything_is_changed(tmp_path, value):
    seen = tmp_path / "seen"
    spec = command_spec(value, apply=f"cp {journal_path()} {seen}; echo on > {value}")
    switch(tmp_path, spec).on()
    entry = read_journal(seen).entries[0]
    assert (entry.before, entry.after) == ("128", None)


def test_the_last_that_was_changed_is_put_back_first(tmp_path, value):
    log = tmp_path / "log"
    specs = []
    for name in ("first", "second"):
        path = tmp_path / name
        path.write_text("off\n")
        revert = f'echo {name} >> {log}; echo "$BEFORE" > {path}'
        specs.append(command_spec(path, revert=revert).model_copy(update={"name": name}))
    one = switch(tmp_path, *specs)
    one.on()
    one.off()
    assert log.read_text() == "second\nfirst\n"


def test_an_apply_that_half_works_is_put_back(tmp_path, value):
    other = tmp_path / "other"
    other.write_text("1\n")
    half = command_spec(value, apply=f"echo half > {value}", verify=f'test "$(cat {value})" = on')
    one = switch(tmp_path, file_spec(other, "2"), half)
    with pytest.raises(SettingFailed, match="the change did not take: it: it is not as it was changed"):
        one.on()
    assert (value.read_text(), other.read_text(), one.is_on) == ("128\n", "1\n", False)


def test_what_a_check_says_is_told(tmp_path, value):
    half = command_spec(value, verify="echo only two of four >&2; exit 1")
    with pytest.raises(SettingFailed, match="the change did not take: it: only two of four"):
        switch(tmp_path, half).on()


def test_a_change_that_changes_nothing_did_not_take(tmp_path, value):
    with pytest.raises(SettingFailed, match="it is still '128'"):
        switch(tmp_path, command_spec(value, apply="true")).on()


def test_a_value_that_is_so_already_is_refused(tmp_path, value):
    with pytest.raises(ValueRefused, match="nothing to try"):
        switch(tmp_path, file_spec(value, "128"))


def test_what_the_host_must_have_is_asked_first(tmp_path, value):
    needed = [
        Requirement(check="exit 1", reason="it has no $WORK"),
        Requirement(check="true", reason="never"),
    ]
    with pytest.raises(HostRefused, match=f"this host cannot: it has no {tmp_path}$"):
        switch(tmp_path, file_spec(value), requires=needed)


def test_what_others_changed_before_is_not_touched(tmp_path, value):
    one = switch(tmp_path, file_spec(value))
    value.write_text("512\n")
    with pytest.raises(
        HostRefused, match="somebody else changed it meanwhile: it was '128', and is '512' now"
    ):
        one.on()
    assert (value.read_text(), journal_path().exists()) == ("512\n", False)


@pytest.mark.parametrize("answer", [None, False])
def test_what_others_changed_meanwhile_is_left_and_said(tmp_path, value, answer):
    asked = []
    ask = None if answer is None else lambda question: asked.append(question) or answer
    one = switch(tmp_path, file_spec(value), ask=ask)
    one.on()
    value.write_text("512\n")
    with pytest.raises(HostChanged) as raised:
        one.off()
    assert raised.value.exit_code == ExitCode.CHANGED == 9
    assert (
        "somebody else changed it meanwhile: it is '512'; before the experiment '128', and the experiment made it '4096'"
        in raised.value.message
    )
    assert f"echo 128 > {value}" in raised.value.hint
    assert value.read_text() == "512\n"
    assert journal_path().exists()
    assert len(asked) == (0 if answer is None else 1)


def test_what_others_changed_meanwhile_is_put_back_where_that_is_answered(tmp_path, value):
    one = switch(tmp_path, file_spec(value), ask=lambda _: True)
    one.on()
    value.write_text("512\n")
    one.off()
    assert value.read_text() == "128\n"


def test_a_revert_that_fails_is_loud_and_keeps_no_other_from_it(tmp_path, value):
    other = tmp_path / "other"
    other.write_text("1\n")
    failing = command_spec(value, revert="echo no room >&2; exit 3 # $BEFORE")
    one = switch(tmp_path, failing, file_spec(other, "2"))
    one.on()
    with pytest.raises(HostChanged) as raised:
        one.off()
    assert "it: it cannot be put back: no room" in raised.value.message
    assert "BEFORE=128 sh -ec 'echo no room" in raised.value.hint
    assert other.read_text() == "1\n"
    assert journal_path().exists()


def test_a_revert_that_says_it_worked_is_not_believed(tmp_path, value):
    one = switch(tmp_path, command_spec(value, revert="true # $BEFORE"))
    one.on()
    with pytest.raises(HostChanged, match="it: it is 'on' instead of '128'"):
        one.off()


def test_what_is_gone_is_put_back_by_nobody(tmp_path, value):
    other = tmp_path / "other"
    other.write_text("off\n")
    one = switch(tmp_path, file_spec(value), command_spec(other, gone=f"test ! -e {other}"))
    one.on()
    value.unlink()
    other.unlink()
    one.off()
    assert one.became == {str(value): "gone", "it": "gone"}


def test_a_command_that_hangs_is_ended_and_its_change_put_back(tmp_path, value, monkeypatch):
    monkeypatch.setattr(setting_command, "LONGEST_SECONDS", 0.3)
    spec = command_spec(value, apply=f"echo on > {value}; sleep 60")
    began = time.monotonic()
    with pytest.raises(SettingFailed, match=r"it took longer than 0\.3 s"):
        switch(tmp_path, spec).on()
    assert value.read_text() == "128\n"
    assert time.monotonic() - began < 30


def test_what_it_counted_is_added_up_over_its_times(tmp_path, value):
    spec = command_spec(value, counters="echo packets dropped 3; echo no counter; echo seen 4")
    one = switch(tmp_path, spec)
    for _ in range(2):
        one.on()
        one.off()
    assert one.counted == {"packets dropped": 6, "seen": 8}


def test_a_file_that_offers_a_choice(tmp_path):
    # The kernel writes it again in another form: what we read is the word in brackets.
    path = tmp_path / "scheduler"
    path.write_text("[none] mq-deadline bfq\n")
    setting = change_of_specs("x", [file_spec(path, "bfq", form="choice")], None, {}).settings[0]
    assert (setting.read(), setting.verify("none")) == ("none", f"{path} is 'none' instead of 'bfq'")
    path.write_text("none mq-deadline [bfq]\n")
    assert (setting.read(), setting.verify("none")) == ("bfq", None)


@pytest.mark.parametrize(
    ("one", "other"), [("3", "00000003"), ("ffffffff,00000000", "ffffffff00000000"), ("0", "00")]
)
def test_masks_are_the_same_but_for_commas_and_zeros(tmp_path, one, other):
    setting = change_of_specs("x", [file_spec(tmp_path / "mask", "1", form="mask")], None, {}).settings[0]
    assert setting.is_same(one, other)
    assert not setting.is_same(one, "5")


# What kills the process that changed it: here another process, so that nothing of it is left.
LEFT = """
import os, sys
from pathlib import Path
from runner.recipe.model_setting import FileSpec
from runner.workflow.experiment.change import change_of_specs
from runner.workflow.experiment.state import host_lock
from runner.workflow.experiment.switch import Switch
value, folder, persists = sys.argv[1:]
with host_lock():
    spec = FileSpec(file=value, value="4096", persists=persists == "yes")
    Switch(change_of_specs("a change", [spec], None, {}), Path(folder), None).on()
    os.kill(os.getpid(), 9)
"""


def left(tmp_path, value, persists="no"):
    done = subprocess.run(
        [sys.executable, "-c", LEFT, str(value), str(tmp_path), persists], check=False, capture_output=True
    )
    assert done.returncode == -9, done.stderr
    assert value.read_text() == "4096\n"


def test_what_a_killed_one_left_is_put_back(tmp_path, value):
    left(tmp_path, value)
    found = recover(None)
    assert [(each.name, each.became) for each in found.settings] == [(str(value), "put-back")]
    assert (found.since, value.read_text(), journal_path().exists()) == ("", "128\n", False)
    assert recover(None) is None


def test_recovering_does_not_overwrite_what_others_changed(tmp_path, value):
    left(tmp_path, value)
    value.write_text("512\n")
    with pytest.raises(HostChanged, match="somebody else changed it meanwhile"):
        recover(None)
    assert (value.read_text(), journal_path().exists()) == ("512\n", True)
    assert recover(None, leave=True).settings[0].became == "left"
    assert (value.read_text(), journal_path().exists()) == ("512\n", False)


def test_after_a_start_what_does_not_survive_one_is_not_touched(tmp_path, value, monkeypatch):
    left(tmp_path, value)
    monkeypatch.setattr(recovering, "boot_id", lambda: "another")
    monkeypatch.setattr(settings, "KERNEL_FILES", (f"{tmp_path}/",))
    # What it is now was set at the start, whatever it is.
    found = recover(None)
    assert found.since == "the host was started anew since"
    assert found.settings[0].became == "gone"
    assert (value.read_text(), journal_path().exists()) == ("4096\n", False)


def test_after_a_start_what_survives_one_is_put_back(tmp_path, value, monkeypatch):
    left(tmp_path, value, "yes")
    monkeypatch.setattr(recovering, "boot_id", lambda: "another")
    assert recover(None).settings[0].became == "put-back"
    assert value.read_text() == "128\n"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """The file that names the machine."""
    path = tmp_path / "machine-id"
    path.write_text("a" * 32)
    monkeypatch.setattr(journals, "MACHINE_ID", path)
    return path


def test_on_a_machine_that_was_made_from_an_image_nothing_is_put_back_unasked(
    tmp_path, value, machine, monkeypatch
):
    one = switch(tmp_path, file_spec(value, persists=True))
    one.on()
    machine.write_text("b" * 32)
    monkeypatch.setattr(recovering, "boot_id", lambda: "another")
    asked = []
    found = recover(lambda question: asked.append(question) or True)
    assert "the journal is of another machine" in found.since
    assert (len(asked), value.read_text()) == (1, "128\n")


def test_a_damaged_journal_is_not_guessed_at(tmp_path, value):
    left(tmp_path, value)
    journal_path().write_text(journal_path().read_text()[:-20])
    with pytest.raises(NotUnderstood, match="cannot be read as the journal"):
        recover(None)
    assert value.read_text() == "4096\n"


def test_two_at_once_are_refused(state):
    with (
        host_lock(),
        pytest.raises(
            HostRefused, match=rf"another experiment is under way on this host \(process {os.getpid()}\)"
        ),
        host_lock(),
    ):
        pass


def test_a_change_that_is_under_way_when_its_experiment_is_killed_holds_the_host(tmp_path, value):
    held, go = tmp_path / "held", tmp_path / "go"
    script = LEFT.replace(
        'FileSpec(file=value, value="4096", persists=persists == "yes")',
        f"""__import__("runner.recipe.model_setting", fromlist=["x"]).CommandSpec(
            name="it", read=f"cat {{value}}", revert='echo "$BEFORE" > ' + value,
            apply=f"touch {held}; while ! test -e {go}; do sleep 0.05; done; echo on > {{value}}")""",
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(value), str(tmp_path), "no"])
    deadline = time.monotonic() + 20
    while not held.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    with pytest.raises(HostRefused), host_lock():
        pass
    threading.Timer(0.3, go.touch).start()
    with host_lock(20):
        assert value.read_text() == "on\n"
        assert recover(None).settings[0].became == "put-back"
    assert value.read_text() == "128\n"


def test_without_room_for_the_journal_nothing_is_changed(tmp_path, value, state, monkeypatch):
    one = switch(tmp_path, file_spec(value))
    blocker = state / "experiment.new"
    blocker.mkdir()
    with pytest.raises(NotWritten, match="without a journal nothing is changed"):
        one.on()
    assert value.read_text() == "128\n"
