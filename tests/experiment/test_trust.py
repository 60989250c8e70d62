"""Nothing that others wrote is run as root, and nothing is written through what they left."""

import json
import os

import pytest

from runner.errors import HostRefused, NotUnderstood, NotWritten
from runner.recipe.model_setting import FileSpec
from runner.workflow.experiment.change import change_of_specs
from runner.workflow.experiment.journal import read_journal
from runner.workflow.experiment.state import clear_work, host_lock, journal_path, make_work, work_directory
from runner.workflow.experiment.switch import Switch
from tests.command import ebpf_recipe


def test_a_journal_that_anybody_may_have_written_is_not_obeyed(state, tmp_path):
    setting = {
        "kind": "commands", "name": "it", "read_text": f"touch {tmp_path}/ran", "apply_text": "true",
        "verify_text": None, "revert_text": "true", "gone_text": None, "counters_text": None, "environment": {},
    }  # fmt: skip
    journal = {
        "title": "x", "directory": "/", "started": "", "pid": 1, "hostname": "", "boot_id": "",
        "machine_id": None, "entries": [{"setting": {**setting, "persists": True}, "before": "1"}],
    }  # fmt: skip
    (state / "experiment.json").write_text(json.dumps(journal))
    state.chmod(0o777)
    done = ebpf_recipe("experiment", "recover")
    assert done.returncode == 4
    assert "what a journal in it says would be run with your privilege" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_directory_or_a_journal_of_another_user_is_refused(state):
    os.chown(state, 65534, 65534)
    with pytest.raises(HostRefused, match="another user's"), host_lock():
        pass
    os.chown(state, 0, 0)
    journal_path().write_text("{}")
    os.chown(journal_path(), 65534, 65534)
    with pytest.raises(NotUnderstood, match="another user's"):
        read_journal(journal_path())


def test_nothing_is_written_through_a_link(state, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for name in ("experiment.lock", "experiment.new"):
        (state / name).symlink_to(precious)
    with pytest.raises(NotWritten), host_lock():
        pass
    value = tmp_path / "value"
    value.write_text("1\n")
    Switch(change_of_specs("x", [FileSpec(file=str(value), value="2")], None, {}), tmp_path, None).on()
    assert precious.read_text() == "precious"
    assert not journal_path().is_symlink()


def test_a_journal_that_is_a_link_is_not_followed(state, tmp_path):
    (tmp_path / "elsewhere").write_text("{}")
    journal_path().symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotUnderstood):
        read_journal(journal_path())


def test_a_link_in_place_of_the_work_directory_is_taken_away(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    work_directory().symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotWritten):
        make_work()
    clear_work()
    make_work()
    assert work_directory().is_dir()
    assert (tmp_path / "elsewhere" / "kept").exists()
