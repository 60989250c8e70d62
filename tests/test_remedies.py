"""Remedies: what their files may say, what values may be, what is typed by hand, how states are compared."""

import copy
import json
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.errors import ValueRefused
from runner.recipe.by_hand import commands_by_hand
from runner.recipe.hypotheses import hypotheses
from runner.recipe.model_hypothesis import PLACES, ProposedRemedy, fill_in
from runner.recipe.model_remedy import Remedy
from runner.recipe.model_setting import CommandSpec
from runner.recipe.remedies import LoadedRemedy, find_remedy, remedy_paths
from runner.recipe.remedy_values import (
    VALUE_TYPES,
    fill,
    fill_sysctl,
    places_in,
    refusal_of,
    sysctl_file,
    variable_of,
)
from runner.workflow.experiment import setting as settings
from runner.workflow.experiment.change import change_of_remedy
from runner.workflow.experiment.setting import FileSetting
from runner.workflow.experiment.switch import Switch
from runner.workflow.planned_remedy import planned_remedy
from tests.command import ebpf_recipe

FILE = {"file": "/sys/block/$DEVICE/queue/seeks", "value": "$MOST"}
COMMANDS = {
    "name": "seeks of $DEVICE",
    "read": "cat /seeks/$DEVICE",
    "apply": "echo $MOST > /seeks/$DEVICE",
    "revert": 'echo "$BEFORE" > /seeks/$DEVICE',
}
PARAMETERS = [
    {"name": "device", "type": "device", "description": "The disk", "required": True},
    {
        "name": "most",
        "type": "integer",
        "description": "How many",
        "minimum": 1,
        "maximum": 9,
        "default": "3",
    },
]
BASE = {
    "schema": 1, "id": "fewer-seeks", "title": "Seek less often", "layer": "io", "description": "Says how often.",
    "when-not": "Where seeks are wanted.", "measure": ["biolatency"], "parameters": PARAMETERS, "settings": [FILE],
}  # fmt: skip

SHIPPED = {name: find_remedy(name).remedy for name in remedy_paths()}


def remedy(**fields):
    return Remedy.model_validate({**copy.deepcopy(BASE), **fields})


def loaded(tmp_path, **fields):
    return LoadedRemedy(remedy(**fields), tmp_path / "fewer-seeks.yaml")


def parameter(**fields):
    """Return the parameters of the base, `most` with other fields; None takes one away."""
    changed = {**PARAMETERS[1], **fields}
    return [PARAMETERS[0], {name: value for name, value in changed.items() if value is not None}]


# What a file may say.


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"advice": "Seek less."}, "it has settings, or advice"),
        ({"settings": [], "parameters": []}, "it has settings, or advice"),
        ({"settings": [], "advice": "Seek less."}, "advice has no parameters and requires nothing"),
        (
            {"settings": [], "parameters": [], "advice": "Seek less.", "requires": [{"check": "true", "reason": "r"}]},
            "advice has no parameters and requires nothing",
        ),
        ({"measure": []}, "at least 1 item"),
        ({"settings": [{**FILE, "value": "$LEAST"}]}, r"there is no parameter for \$LEAST"),
        ({"settings": [{**FILE, "value": "${LEAST}"}]}, r"there is no parameter for \$LEAST"),
        ({"settings": [{**FILE, "value": "3"}]}, "nothing uses the parameter most"),
        ({"parameters": [*PARAMETERS, PARAMETERS[1]]}, "a parameter stands twice"),
        ({"settings": [{**FILE, "sysctl": "a.b"}]}, "a setting has one of the keys file, sysctl, name"),
        ({"settings": [{"value": "3"}]}, "a setting has one of the keys file, sysctl, name"),
        ({"settings": [{**FILE, "file": "sys/$DEVICE"}]}, "file"),
        ({"settings": [{**FILE, "form": "list"}]}, "form"),
        ({"settings": [{"sysctl": "net;reboot", "value": "$MOST$DEVICE"}]}, "sysctl"),
        ({"settings": [{**COMMANDS, "revert": "echo 1 > /seeks/$DEVICE"}]}, r"which is in \$BEFORE"),
        ({"settings": [{**COMMANDS, "undo": "true"}]}, "undo"),
        ({"parameters": parameter(default="30")}, "its default: 30 is not from 1 to 9"),
        ({"parameters": parameter(default="3; reboot")}, "is not a whole number"),
        ({"parameters": parameter(required=True)}, "what has a default is not required"),
        ({"parameters": parameter(type="word")}, "only an integer has a minimum and a maximum"),
        ({"parameters": parameter(type="text")}, "type"),
        ({"parameters": parameter(name="Most")}, "name"),
        ({"title": "Seek less " * 9}, "title"),
    ],
)  # fmt: skip
def test_mistakes_are_named(fields, said):
    remedy()
    with pytest.raises(ValidationError, match=said):
        remedy(**fields)


@pytest.mark.parametrize("name", ["before", "work", "source", "path", "ifs", "home", "ld-preload", "lc-all"])
def test_a_parameter_is_no_variable_that_means_something_else(name):
    with pytest.raises(ValidationError, match=re.escape(f"${variable_of(name)} is not a parameter's")):
        remedy(parameters=parameter(name=name), settings=[{**FILE, "value": f"${variable_of(name)}"}])


def test_variables_of_a_shell_text_may_be_its_own():
    made = remedy(settings=[{**COMMANDS, "apply": "for N in $MOST; do echo $N > /seeks/$DEVICE; done"}])
    assert isinstance(made.settings[0], CommandSpec)


# Values.

GOOD = {
    "integer": ["0", "7", "9223372036854775807"],
    "port": ["1", "65535"],
    "pid": ["1", "4194304"],
    "device": ["sda", "nvme0n1", "cciss!c0d0", "dm-0"],
    "interface": ["eth0", "eth0.1", "br-0123456789ab", "_x"],
    "cpus": ["0", "0-3,6", "0,1,2"],
    "word": ["bbr", "nginx.service", "-1", "getty@tty1.service", "a+b", "ff,ffffffff"],
    "path": ["/", "/sys/fs/cgroup/a.slice/cpu.max", "/a/..b/c"],
}
BAD = {
    "integer": ["", "-1", "1.5", "1e3", "0x10", "٣", "9223372036854775808"],
    "port": ["", "0", "65536", "http"],
    "pid": ["", "0", "4194305", "-1", "self"],
    "device": ["", ".", "..", "../sda", "a/b", "-sda"],
    "interface": ["", "..", ".a", "-a", "a/b", "a" * 16, "a:b"],
    "cpus": ["", "-", "3-", "-3", "1,,2", "1,", "0-3-5", "0x3", "3-1", "0,7-5"],
    "word": ["", ".", "..", "@a", "a/b", "a=b", "~", "a~b"],
    "path": ["", "a", "./a", "//..", "/..", "/a/..", "/a/../b", "~/a"],
}
SHELL = [
    *"\"'\\$`&|;<>(){}[]*?#~=%^\t\n\r\0 ", "$(id)", "`id`", "${IFS}", "; reboot", "&& reboot", "\u00a0", "é",
]  # fmt: skip


def test_all_types_have_values():
    assert GOOD.keys() == BAD.keys() == VALUE_TYPES.keys()


@pytest.mark.parametrize("kind", VALUE_TYPES)
def test_values_of_a_type(kind):
    assert [each for each in GOOD[kind] if refusal_of(kind, each) is not None] == []
    assert [each for each in BAD[kind] if refusal_of(kind, each) is None] == []


@pytest.mark.parametrize("kind", VALUE_TYPES)
def test_what_means_something_to_a_shell_is_no_value(kind):
    texts = [
        text for good in GOOD[kind] for what in SHELL for text in (what, what + good, good + what, good[:1] + what + good[1:])
    ]  # fmt: skip
    assert [each for each in texts if refusal_of(kind, each) is None] == []


@given(st.sampled_from(sorted(VALUE_TYPES)), st.text(st.characters(codec="ascii"), max_size=8))
def test_a_value_stands_in_a_shells_text_as_it_is(kind, text):
    if refusal_of(kind, text) is None:
        assert re.fullmatch(r"[A-Za-z0-9_.:@,+!/-]+", text)


@pytest.mark.parametrize("kind", VALUE_TYPES)
def test_a_shell_takes_a_value_for_one_word(kind):
    for value in GOOD[kind]:
        script = 'set -- $X; printf "%s\\n" "$#" "$1"'
        done = subprocess.run(
            ["sh", "-ec", script], env={"X": value}, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"1\n{value}\n"


def test_bounds_of_an_integer():
    assert refusal_of("integer", "0", 1, 9) == "0 is not from 1 to 9"
    assert refusal_of("integer", "10", 1, 9) == "10 is not from 1 to 9"
    assert refusal_of("integer", "10", 1) is None


@pytest.mark.parametrize(
    ("given_values", "said"),
    [
        ({}, "fewer-seeks needs device=DISK: The disk"),
        ({"device": "sda", "more": "1"}, "fewer-seeks has no parameter more: it takes device, most"),
        ({"device": "sda", "most": "10"}, "most: 10 is not from 1 to 9"),
        ({"device": "sda;reboot"}, "device: 'sda;reboot' is not a name below /sys/block"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_read(tmp_path, given_values, said):
    with pytest.raises(ValueRefused, match=re.escape(said)):
        change_of_remedy(loaded(tmp_path), given_values, None, tmp_path)


def test_values_and_defaults_are_filled_in(tmp_path):
    change = change_of_remedy(loaded(tmp_path), {"device": "sda"}, None, tmp_path / "work")
    assert [(each.file, each.value) for each in change.settings] == [("/sys/block/sda/queue/seeks", "3")]
    assert change.parameters == {"device": "sda", "most": "3"}
    assert change.environment == {
        "DEVICE": "sda", "MOST": "3", "SOURCE": str(tmp_path.resolve()), "WORK": str(tmp_path / "work"),
    }  # fmt: skip


def test_advice_is_not_tried(tmp_path):
    made = loaded(tmp_path, settings=[], parameters=[], advice="Seek less.")
    with pytest.raises(ValueRefused, match="fewer-seeks is advice") as refused:
        change_of_remedy(made, {}, None, tmp_path)
    assert refused.value.hint == "Seek less. Measure with: biolatency."


# Places.


def test_only_whole_names_in_capitals_are_places():
    values = {"KIB": "4", "DEVICE": "sda"}
    assert fill("$KIB ${KIB}k $KIBS $kib $1 $(id) $$KIB $", values) == "4 4k $KIBS $kib $1 $(id) $4 $"
    assert places_in("$KIB ${DEVICE} $kib $(X) ${X:-1}") == ["KIB", "DEVICE"]


def test_a_value_is_not_filled_in_again():
    assert fill("$A $B", {"A": "$B", "B": "$A"}) == "$B $A"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/core/somaxconn", "net/core/somaxconn"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("vm", "vm"),
    ],
)
def test_files_of_sysctls(name, file):
    assert sysctl_file(name) == f"/proc/sys/{file}"


@pytest.mark.parametrize("name", ["net.ipv4.conf.$IF.rp_filter", "net/ipv4/conf/$IF/rp_filter"])
def test_an_interface_with_a_dot_in_a_sysctl(name):
    filled = fill_sysctl(name, {"IF": "eth0.1"})
    assert sysctl_file(filled) == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"
    assert sysctl_file(fill_sysctl(name, {"IF": "eth0"})) == "/proc/sys/net/ipv4/conf/eth0/rp_filter"


# By hand.


def test_files_and_sysctls_by_hand():
    made = remedy(
        settings=[
            FILE,
            {"sysctl": "net.ipv4.range", "value": "$MOST 9"},
            {"file": "/sys/scheduler", "value": "none", "form": "choice"},
        ]
    )
    change, revert = commands_by_hand(made, {"device": "sda"})
    assert change == [
        "OLD=$(cat /sys/block/sda/queue/seeks)", "echo 3 > /sys/block/sda/queue/seeks",
        "OLD2=$(sysctl -n net.ipv4.range)", 'sysctl -w net.ipv4.range="3 9"',
        r"OLD3=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/scheduler)", "echo none > /sys/scheduler",
    ]  # fmt: skip
    assert revert == [
        'echo "$OLD3" > /sys/scheduler', 'sysctl -w net.ipv4.range="$OLD2"',
        'echo "$OLD" > /sys/block/sda/queue/seeks',
    ]  # fmt: skip


def test_what_is_not_given_stands_in_capitals():
    change, _ = commands_by_hand(remedy(), {})
    assert change[1] == "echo 3 > /sys/block/DEVICE/queue/seeks"


def test_what_takes_several_lines_is_not_typed():
    assert commands_by_hand(remedy(settings=[{**COMMANDS, "apply": "true\necho $MOST"}]), {}) == ([], [])


def test_commands_by_hand_do_what_they_say(tmp_path):
    files = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    texts = ["4096\t131072\n", "7\n", "none [mq-deadline] kyber\n"]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    settings = [
        {"name": f"$DEVICE {file}", "read": f"cat {file}", "apply": f"echo $MOST > {file}",
         "revert": f'echo "$BEFORE" > {file}'}
        for file in files[:2]
    ]  # fmt: skip
    made = remedy(settings=[*settings, {"file": str(files[2]), "value": "none", "form": "choice"}])
    change, revert = commands_by_hand(made, {"device": "sda", "most": "9"})
    seen = f"cat {' '.join(map(str, files))} >&2"
    done = subprocess.run(
        ["sh", "-ec", "\n".join([*change, seen, *revert])], capture_output=True, text=True, check=True
    )
    assert done.stderr == "9\n9\nnone\n"
    assert [file.read_text() for file in files] == [*texts[:2], "mq-deadline\n"]


# As plans have it.


def test_a_planned_remedy_leaves_open_what_the_investigation_knows():
    proposed = ProposedRemedy.model_validate(
        {"remedy": "readahead", "with": {"device": "$device", "kib": "64"}, "caution": "Look first."}
    )
    made = planned_remedy(proposed)
    assert made["given"] == {"device": "$device", "kib": "64"}
    assert made["caution"].startswith("Look first. ")
    filled = [fill_in(each, {"device": "sda"}) for each in (*made["commands"], *made["revert"])]
    file = "/sys/block/sda/queue/read_ahead_kb"
    assert filled == [f"OLD=$(cat {file})", f"echo 64 > {file}", f'echo "$OLD" > {file}']
    assert "DEVICE" in fill_in(made["commands"][0], {})


def test_planned_advice_says_what_to_do_and_what_to_measure():
    made = planned_remedy(ProposedRemedy.model_validate({"remedy": "advice-nagle"}))
    assert (made["commands"], made["revert"]) == ([], [])
    assert "TCP_NODELAY" in made["caution"]
    assert "remedy" not in made


def test_a_title_alone_is_planned_as_it_stands():
    made = planned_remedy(ProposedRemedy.model_validate({"title": "Add processors", "caution": "They cost."}))
    assert made == {"title": "Add processors", "commands": [], "revert": [], "caution": "They cost."}


@pytest.mark.parametrize("name", sorted(hypotheses()))
def test_everything_that_hypotheses_propose_can_be_printed(name):
    for proposed in hypotheses()[name].remedies:
        made = planned_remedy(proposed)
        known = {place: f"<{place}>" for place in PLACES}
        for text in (*made["commands"], *made["revert"], made["caution"] or ""):
            filled = fill_in(text, known)
            assert "$$" not in filled
            assert not re.search(r"\$[A-Z]", filled) or re.search(r"\$(OLD|BEFORE)\d?\b", filled)


# What is shipped.


def shell_texts(made):
    for each in made.requires:
        yield each.check
    for each in made.settings:
        if isinstance(each, CommandSpec):
            yield from filter(
                None, (each.read, each.apply, each.verify, each.revert, each.gone, each.counters)
            )


@pytest.mark.parametrize("name", SHIPPED)
def test_shell_texts_of_what_is_shipped(name):
    made = SHIPPED[name]
    parameters = "|".join(variable_of(each.name) for each in made.parameters) or "NONE"
    for text in shell_texts(made):
        subprocess.run(["sh", "-n", "-c", text], check=True, capture_output=True)
        # Commands for people have quoted values in these places.
        assert not re.search(rf'"\$\{{?({parameters})\b', text), text
        # These are filled in by investigations.
        assert not re.search(rf"\$\{{?({'|'.join(PLACES)})\b", text), text


@pytest.mark.parametrize("name", [each for each in SHIPPED if SHIPPED[each].advice is not None])
def test_advice_names_what_shows_that_it_helped(name):
    made = SHIPPED[name]
    assert "It has helped where" in made.advice or "it has helped where" in made.advice
    assert [each for each in made.measure[:1] if each in made.advice] == list(made.measure[:1])


def test_cpu_weight_with_a_systemctl_that_keeps_files(tmp_path, monkeypatch):
    fake = tmp_path / "systemctl"
    fake.write_text(
        f"""#!/bin/sh
cd {tmp_path}
case "$1" in
  show) test -s weight && cat weight || echo "[not set]" ;;
  set-property) shift; test "$1 $2 $3" = "--runtime -- nginx.service"; echo "${{4#CPUWeight=}}" | grep . > weight || true ;;
esac
"""
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    given_values = {"service": "nginx.service", "weight": "500"}
    (setting,) = change_of_remedy(find_remedy("cpu-weight"), given_values, None, tmp_path).settings
    for before in ("[not set]", "300"):
        assert setting.read() == before
        assert setting.verify(before) is not None
        setting.apply()
        assert setting.verify(before) is None
        assert setting.read() == "500"
        setting.put_back(before)
        assert setting.read() == before
        (tmp_path / "weight").write_text("300\n")
    setting.put_back("18446744073709551615")
    assert setting.read() == "[not set]"


# States.


@pytest.mark.parametrize(
    ("form", "one", "other", "is_same"),
    [
        ("mask", "00000003", "3", True),
        ("mask", "F", "f", True),
        ("mask", "00000001,00000000", "1,0", True),
        ("mask", "1,00000000", "100000000", True),
        ("mask", "0", "00000000,00000000", True),
        ("mask", "1,0", "10", False),
        ("mask", "3", "30", False),
        ("mask", "", "0", False),
        ("mask", "x", "x", True),
        ("cpus", "0,1", "0-1", True),
        ("cpus", "3,0-1", "0-1,3", True),
        ("cpus", "0-1", "0-2", False),
        ("cpus", "", "0", False),
        ("cpus", "10", "1,0", False),
        ("text", "3", "03", False),
        ("text", "0,1", "0-1", False),
        ("choice", "none", "none", True),
    ],
)
def test_states_are_compared_by_their_form(form, one, other, is_same):
    setting = FileSetting(name="x", file="/x", value="1", form=form)
    assert setting.is_same(one, other) is is_same
    assert setting.is_same(other, one) is is_same


def test_the_state_of_a_file_by_its_form(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "KERNEL_FILES", (f"{tmp_path}/",))
    file = tmp_path / "x"
    for form, text, state in [
        ("text", " 4096\t131072  6291456\n", "4096 131072 6291456"),
        ("choice", "none [mq-deadline] kyber\n", "mq-deadline"),
        ("choice", "none\n", "none"),
    ]:
        file.write_text(text)
        assert FileSetting(name="x", file=str(file), value="1", form=form).read() == state


def test_what_commands_have_changed_already_is_not_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("EBPF_RECIPE_STATE", str(tmp_path))
    file = tmp_path / "seeks"
    commands = {
        "name": "seeks", "read": f"cat {file}", "apply": f"echo $MOST > {file}; : $DEVICE",
        "verify": f"test $(cat {file}) = $MOST", "revert": f'echo "$BEFORE" > {file}',
    }  # fmt: skip
    change = change_of_remedy(loaded(tmp_path, settings=[commands]), {"device": "sda"}, None, tmp_path)
    file.write_text("3\n")
    with pytest.raises(ValueRefused, match="there is nothing to try: seeks is '3' already"):
        Switch(change, tmp_path, None)
    file.write_text("4\n")
    switch = Switch(change, tmp_path, None)
    switch.on()
    assert file.read_text() == "3\n"
    switch.off()
    switch.close()
    assert file.read_text() == "4\n"


@pytest.mark.parametrize("name", SHIPPED)
def test_each_can_be_shown(name):
    done = ebpf_recipe("show", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name}: ")
    assert "When not" in done.stdout
    assert ("Advice" in done.stdout) == (SHIPPED[name].advice is not None)
    assert json.loads(ebpf_recipe("show", name, "--json").stdout)["id"] == name
