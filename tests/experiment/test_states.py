"""States that cannot be put back as they were are refused before anything is changed."""

import os
import tempfile

import pytest

from runner.recipe.model_setting import CommandSpec, FileSpec
from runner.workflow.experiment import recover as recovering
from runner.workflow.experiment import setting as settings
from runner.workflow.experiment import setting_command
from runner.workflow.experiment.change import change_of_specs
from runner.workflow.experiment.recover import recover
from runner.workflow.experiment.setting_command import SettingFailed
from runner.workflow.experiment.switch import Switch


def file_of(path, value="4096", **more):
    return FileSpec(file=str(path), value=value, **more)


def commands(path, **more):
    texts = {"read": f"cat {path}", "apply": f"echo on > {path}", "revert": f'echo "$BEFORE" > {path}'}
    return CommandSpec(name="it", **{**texts, **more})


def switch(tmp_path, *specs):
    return Switch(change_of_specs("a change", specs, None, {}), tmp_path, None)


BAD = {
    "not UTF-8": (b"caf\xe9\n", "no text"),
    "a zero byte": (b"a\0b\n", "no text"),
    "longer than an argument may be": (b"x" * 200_000 + b"\n", "longer than"),
    "longer than the last byte kept": (b"x" * ((1 << 16) + 1), "longer than"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("way", [file_of, commands])
def test_a_state_that_cannot_be_put_back_is_refused(tmp_path, value, kind, way):
    content, why = BAD[kind]
    value.write_bytes(content)
    with pytest.raises(SettingFailed, match=why):
        switch(tmp_path, way(value))
    assert value.read_bytes() == content


def test_a_file_of_several_lines_is_no_file_of_one_value(tmp_path, value):
    value.write_text("a = 1\nb  = 2\n")
    with pytest.raises(SettingFailed, match="several lines"):
        switch(tmp_path, file_of(value))
    assert value.read_text() == "a = 1\nb  = 2\n"


@pytest.mark.parametrize("way", [file_of, commands])
def test_blanks_are_put_back_as_they_were(tmp_path, value, way):
    value.write_text("  a   b\n")
    one = switch(tmp_path, way(value))
    one.on()
    one.off()
    assert value.read_text() == "  a   b\n"


@pytest.mark.parametrize("kind", ["pipe", "directory", "terminal"])
def test_what_would_be_waited_for_is_no_file(tmp_path, kind):
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(os.ttyname(os.openpty()[1]))
    with pytest.raises(SettingFailed, match=r"no file of a value|Is a directory"):
        switch(tmp_path, file_of(path))


def test_a_file_that_is_gone_is_not_made(tmp_path, value):
    setting = change_of_specs("a change", [file_of(value)], None, {}).settings[0]
    value.unlink()
    with pytest.raises(SettingFailed, match="No such file"):
        setting.put_back("128")
    assert not value.exists()


def test_of_a_choice_that_the_kernel_offers_the_chosen_is_the_state(tmp_path, value, monkeypatch):
    monkeypatch.setattr(settings, "KERNEL_FILES", (f"{tmp_path}/",))
    value.write_text("always [madvise] never\n")
    setting = change_of_specs("a change", [file_of(value, "never")], None, {}).settings[0]
    assert setting.read() == "madvise"
    value.write_text("[only]\n")
    assert setting.read() == "only"


def test_without_any_room_for_temporary_files_it_is_put_back(tmp_path, value, monkeypatch):
    one = switch(tmp_path, commands(value))
    one.on()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    one.off()
    assert value.read_text() == "128\n"


def test_a_command_that_prints_without_end_is_ended(tmp_path, value, monkeypatch):
    monkeypatch.setattr(setting_command, "_MOST_PRINTED", 1 << 16)
    with pytest.raises(SettingFailed, match="printed more than 65,536 bytes"):
        switch(tmp_path, commands(value, read="yes"))


def test_what_is_on_a_disk_survives_a_start(tmp_path, value, monkeypatch):
    switch(tmp_path, file_of(value)).on()
    monkeypatch.setattr(recovering, "boot_id", lambda: "another")
    assert recover(None).settings[0].became == "put-back"
    assert value.read_text() == "128\n"


def test_a_namespace_that_cannot_be_entered_is_not_taken_for_gone(tmp_path, monkeypatch):
    failing = tmp_path / "bin"
    failing.mkdir()
    (failing / "ip").write_text("#!/bin/sh\necho no memory >&2\nexit 1\n")
    (failing / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{failing}:{os.environ['PATH']}")
    monkeypatch.setattr(os.path, "exists", lambda _: True)
    setting = change_of_specs("a change", [file_of("/proc/sys/net/core/somaxconn")], "there", {}).settings[0]
    assert not setting.is_gone("128")


@pytest.mark.parametrize(
    ("file", "written", "shown"),
    [
        ("/tmp/a b;c", "1", "echo 1 > '/tmp/a b;c'"),
        ("/tmp/a", "-n", "printf '%s\\n' -n > /tmp/a"),
        ("/tmp/a", "a\\tb", "printf '%s\\n' 'a\\tb' > /tmp/a"),
    ],
)
def test_what_is_to_be_typed_means_the_same_to_a_shell(file, written, shown):
    setting = change_of_specs("a change", [file_of(file, written)], None, {}).settings[0]
    assert setting.change_by_hand == [shown]
