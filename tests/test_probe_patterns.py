"""Wildcards in probes: which there are in a program, and how many probes they match."""

import pytest

from runner.errors import ValueRefused
from runner.host.probe_patterns import count_matches
from runner.recipe.probe_heads import check_wildcards, is_too_broad, is_wildcard, probes_of

PROGRAM = """
// k:comment_*
struct point { int x; }
kprobe:vfs_read, k:vfs_* /pid == 1 ? 2 : 3/ { if (1) { $x = "k:text_*"; } }
tracepoint:sched:*
/ args->a /
{ }
interval:s:1 { print(1) }
uprobe:/bin/bash:"foo(int*)" { }
kretfunc:tcp_* { }
"""


def test_the_probes_of_a_program():
    assert list(probes_of(PROGRAM)) == [
        "kprobe:vfs_read", "kprobe:vfs_*", "tracepoint:sched:*", 'uprobe:/bin/bash:"foo(int*)"', "fexit:tcp_*",
    ]  # fmt: skip
    assert [probe for probe in probes_of(PROGRAM) if is_wildcard(probe)] == [
        "kprobe:vfs_*", "tracepoint:sched:*", "fexit:tcp_*",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "probe", ["kprobe:*", "kprobe:s*", "kprobe:[a-z]*", "tracepoint:*:x", "uprobe:/bin/bash:*"]
)
def test_too_broad_on_any_host(probe):
    assert is_too_broad(probe)


@pytest.mark.parametrize("probe", ["kprobe:vfs_*", "tracepoint:syscalls:*", "kprobe:a", "tracepoint:tcp:t*"])
def test_to_be_counted(probe):
    assert not is_too_broad(probe)


@pytest.fixture
def tracefs(tmp_path):
    functions = [f"sys_{number}" for number in range(5000)] + [
        "vfs_read",
        "vfs_write",
        "vfs_read",
        "ext4_x [ext4]",
    ]
    (tmp_path / "available_filter_functions").write_text("".join(f"{name}\n" for name in functions))
    for event in ("tcp/tcp_probe", "tcp/tcp_send", "sched/sched_switch"):
        (tmp_path / "events" / event).mkdir(parents=True)
        (tmp_path / "events" / event / "format").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("probe", "number"),
    [
        ("kprobe:sys_*", 5000),
        ("kretprobe:vfs_*", 2),
        ("fentry:vfs_[rw]*", 2),
        ("kprobe:vfs_rea?", 1),
        ("kprobe:ext4_*", 1),
        ("kprobe:none_*", 0),
        ("tracepoint:tcp:*", 2),
        ("tracepoint:*:*s*", 2),
        ("uprobe:/bin/bash:*", None),
    ],
)
def test_how_many_it_matches(tracefs, probe, number):
    assert count_matches(probe, tracefs) == number


def test_much_is_refused_with_the_number_and_all_of_it_at_once(tracefs):
    program = "kprobe:sys_* { }\nkprobe:vfs_* { }\nkprobe:none_* { }\nuprobe:/bin/bash:read* { }"
    with pytest.raises(ValueRefused) as refused:
        check_wildcards(program, lambda probe: count_matches(probe, tracefs), "mine")
    assert refused.value.message.splitlines() == [
        "mine: kprobe:sys_* matches 5000 probes here, 100 are the most",
        "mine: kprobe:none_* matches no probe here",
        "mine: uprobe:/bin/bash:read*: how many probes it matches is not known beforehand",
    ]
    assert refused.value.hint == "write out the probes that are meant in its template"


def test_few_are_let_through(tracefs):
    check_wildcards("kprobe:vfs_* { }", lambda probe: count_matches(probe, tracefs), "mine")
