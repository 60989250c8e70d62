"""What would change the host for good, or ends in a bug, is refused before anything is changed."""

import orjson
import pytest

from runner.errors import HostRefused, NotUnderstood, ValueRefused
from runner.recipe.model_setting import CommandSpec, FileSpec, SysctlSpec
from runner.recipe.remedy_values import refusal_of
from runner.workflow.experiment.change import change_of_specs
from runner.workflow.experiment.folder import encode_experiment
from runner.workflow.experiment.model import Experiment
from runner.workflow.experiment.prepare import prepare
from runner.workflow.experiment.setting import FileSetting
from runner.workflow.experiment.setting_command import SettingFailed
from runner.workflow.experiment.switch import Switch
from runner.workflow.proof import tried_of_case
from tests.command import ebpf_recipe
from tests.test_proof import case as case  # noqa: PLC0414  # a fixture


def switch(tmp_path, *specs):
    return Switch(change_of_specs("a change", specs, None, {}), tmp_path, None)


@pytest.mark.parametrize(
    ("name", "before", "why"),
    [
        ("vm.overcommit_kbytes", "0", "vm.overcommit_ratio is in force"),
        ("vm.dirty_ratio", "0", "vm.dirty_bytes is in force"),
        ("net.ipv4.ip_forward", "0", "accept_redirects"),
        ("net/ipv6/conf/eth0.1/disable_ipv6", "0", "addresses and routes"),
        ("net.ipv4.tcp_congestion_control", "cubic", "the remedy tcp-congestion-control"),
        ("kernel.unprivileged_bpf_disabled", "0", "before the next start"),
    ],
)
def test_a_sysctl_whose_old_value_does_not_bring_all_back(tmp_path, monkeypatch, name, before, why):
    monkeypatch.setattr(FileSetting, "read", lambda _: before)
    with pytest.raises(HostRefused, match=why):
        switch(tmp_path, SysctlSpec(sysctl=name, value="7"))


def test_of_two_that_share_a_value_the_one_in_force_can_be_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(FileSetting, "read", lambda _: "20")
    assert switch(tmp_path, SysctlSpec(sysctl="vm.dirty_ratio", value="7")).entries[0].before == "20"


def test_the_same_file_is_not_changed_twice(tmp_path):
    value, link = tmp_path / "value", tmp_path / "link"
    value.write_text("1\n")
    link.symlink_to(value)
    with pytest.raises(ValueRefused, match="twice"):
        switch(tmp_path, FileSpec(file=str(value), value="2"), FileSpec(file=str(link), value="3"))


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "\x1b[31m", "\udcff"])
def test_a_value_is_one_line(value):
    with pytest.raises(ValueError, match=r"one line|unicode"):
        FileSpec(file="/x", value=value)


@pytest.mark.parametrize("name", ["net/../../../etc/passwd", "../x"])
def test_a_sysctl_is_below_its_directory(name):
    with pytest.raises(ValueError, match="below /proc/sys"):
        SysctlSpec(sysctl=name, value="1")


def test_what_the_change_itself_makes_unreadable_is_put_back(tmp_path):
    value = tmp_path / "value"
    value.write_text("1\n")
    apply = f"printf 'a\\377' > {value}"
    one = switch(
        tmp_path, CommandSpec(name="it", read=f"cat {value}", apply=apply, revert=f'echo "$BEFORE" > {value}')
    )
    with pytest.raises(SettingFailed, match="no text"):
        one.on()
    assert (value.read_text(), one.is_on) == ("1\n", False)


def test_processors_are_not_counted_up_to_what_no_kernel_has(tmp_path):
    assert "above 8191" in refusal_of("cpus", "0-9999999999")
    assert refusal_of("cpus", "0-8191") is None
    setting = change_of_specs("x", [FileSpec(file="/x", value="0", form="cpus")], None, {}).settings[0]
    assert not setting.is_same("0-99999999999", "0-1")


def experiment(**measure):
    return Experiment.model_validate(
        {
            "experiment": 1,
            "id": "it",
            "title": "It",
            "load": ["true"],
            "change": {"settings": [{"file": "/x", "value": "1"}]},
            "measure": [{"recipe": "runqlat", **measure}],
        }
    )


@pytest.mark.parametrize("name", ["output", "repeat", "duration", "nonsense", "help"])
def test_an_option_that_a_run_of_an_experiment_has_not(tmp_path, name):
    with pytest.raises(ValueRefused, match=f"runqlat has no --{name} in an experiment"):
        prepare(experiment(**{"with": {name: "1"}}), tmp_path, None)
    prepare(experiment(**{"with": {"comm": "a", "max-map-keys": "5"}}), tmp_path, None)


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("runqlat --pid", "--pid has no value"),
        ("runqlat --", "-- has no value"),
        ("runqlat --comm=", "--comm has no value"),
        ("", "it names no recipe"),
    ],
)
def test_what_measures_is_written_out(measure, said):
    done = ebpf_recipe("experiment", "--set", "/x=1", "--measure", measure, "--dry-run", "--", "true")
    assert done.returncode == 3
    assert said in done.stderr


def test_words_that_are_no_utf8_do_not_end_an_experiment():
    assert "a\ufffd" in orjson.loads(encode_experiment({"design": {"load": ["a\udcff"]}}))["design"]["load"]


@pytest.mark.parametrize("damage", ["capture", "hypothesis", "experiments"])
def test_a_case_that_is_damaged_is_said_before_anything_is_tried(case, damage):
    path = case / "case.json"
    document = orjson.loads(path.read_bytes())
    if damage == "experiments":
        (case / "experiments").mkdir()
        (case / "experiments" / "x.json").write_text("{")
    for each in document["hypotheses"]:
        if damage == "hypothesis":
            each["id"] = f"no-{each['id']}"
        for evidence in each["evidence"] if damage == "capture" else ():
            evidence["capture"] = "99-nothing"
    path.write_bytes(orjson.dumps(document))
    with pytest.raises(NotUnderstood):
        tried_of_case(case, "readahead", {"kib": "512"})
