"""`programs` over what a real bpftool printed, and over one that goes wrong."""

import json
import os
import time
from pathlib import Path

import pytest
from jsonschema import validate

from runner.bpftrace.provenance import Starter, source_name, starter_of
from runner.errors import HostRefused, ValueRefused
from runner.host.bpf_holders import read_holders
from runner.host.bpf_objects import KernelLink
from runner.host.bpftool import Bpftool, elements, find_bpftool
from runner.host.network_namespaces import NetworkNamespace, other_network_namespaces
from runner.host.processes import descent_of
from runner.programs import attachments, survey
from runner.programs.disassembly import disassemble
from runner.programs.document import map_schema, programs_schema
from runner.programs.map_dump import dump_map, encode_dump
from runner.programs.owners import run_of
from runner.report.programs import MOST_ROWS, format_programs
from tests.command import ebpf_recipe

FAKE = str(Path(__file__).parent / "fakes" / "bpftool")
RECORDED = json.loads((Path(__file__).parent / "bpftool" / "recorded.json").read_text())
INSIDE = NetworkNamespace(4026532999, Path("/proc/self/ns/net"), "blue")
TRACER, RUNNER = 20658, 20650


class Recorded(Bpftool):
    """A bpftool whose answers are those of the recording, with what a test changes."""

    changed: dict

    def json(self, *arguments, network=None, **_):
        asked = " ".join(arguments) + (" (inside)" if network is not None else "")
        answer = {**RECORDED, **self.changed}[asked]
        if isinstance(answer, Exception):
            raise answer
        return answer


def recorded(**changed):
    tool = Recorded(Path(FAKE), (7, 1, 0))
    object.__setattr__(tool, "changed", {name.replace("_", " "): answer for name, answer in changed.items()})
    return tool


class FakeProc:
    """A /proc of files: processes with parents, and what they hold."""

    def __init__(self, root):
        self.root = root

    def add(self, pid, name, parent, *, start=1000, stdin="/dev/null", inner=None, words=()):
        folder = self.root / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "fdinfo").mkdir()
        (folder / "fd/0").symlink_to(stdin)
        rest = b" ".join([b"0"] * 17)
        raw = name.encode(errors="surrogateescape")
        (folder / "stat").write_bytes(b"%d (%s ) 7) S %d %s %d 0\n" % (pid, raw, parent, rest, start))
        (folder / "status").write_text(f"Name:\tx\nNSpid:\t{pid}\t{inner or pid}\n")
        (folder / "comm").write_bytes(raw + b"\n")
        (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))

    def hold(self, pid, descriptor, kind, **fields):
        (self.root / str(pid) / "fd" / str(descriptor)).symlink_to(f"anon_inode:{kind}")
        text = "".join(f"{name}:\t{value}\n" for name, value in fields.items())
        (self.root / str(pid) / "fdinfo" / str(descriptor)).write_text(text)


MARK = f"/memfd:ebpf-recipe:{RUNNER}:777 (deleted)"
WORDS = ("/usr/bin/python3", "/usr/bin/ebpf-recipe", "run", "syscount")


@pytest.fixture
def proc(tmp_path):
    """A run of ours (ebpf-recipe, bpftrace), and a process of somebody else's that holds the map `counts`."""
    proc = FakeProc(tmp_path / "proc")
    proc.add(1, "init", 0)
    proc.add(RUNNER, "ebpf-recipe", 1, start=777, words=WORDS)
    proc.add(TRACER, "bpftrace", RUNNER, stdin=MARK)
    for program in (67013, 67015, 67016):
        proc.hold(TRACER, program, "bpf-prog", prog_type=5, prog_id=program, run_cnt=3)
    proc.hold(TRACER, 5, "bpf-map", map_type=27, map_id=50195, memlock=1)
    proc.hold(TRACER, 6, "bpf_link", link_type="perf", link_id=11114, prog_id=67015)
    proc.add(4711, "a\udcff\x1b[2J", 1)
    proc.hold(4711, 3, "bpf-map", map_type=6, map_id=50177)
    return proc


@pytest.fixture(autouse=True)
def _one_other_namespace(monkeypatch):
    monkeypatch.setattr(attachments, "other_network_namespaces", lambda: [INSIDE])
    monkeypatch.setenv("EBPF_RECIPE_BPFTOOL", FAKE)


def taken(proc, **changed):
    return survey.survey(recorded(**changed), proc=proc.root)


def by_name(document):
    return {row["name"]: row for row in document["programs"]}


def test_the_document_fits_its_schema(proc):
    document = json.loads(json.dumps(taken(proc)))
    validate(document, programs_schema())
    assert json.loads(ebpf_recipe("schema", "programs").stdout) == programs_schema()
    assert json.loads(ebpf_recipe("schema", "map").stdout) == map_schema()


def test_each_program_is_attached_where_the_kernel_says(proc):
    document = taken(proc)
    rows = by_name(document)
    places = {
        name: [(each["kind"], each["target"], each["link"], each["times"]) for each in row["attached"]]
        for name, row in rows.items()
    }
    assert places["tracepoint_raw_syscalls_sys_enter_2"] == [("tracepoint", "sys_enter", None, 1)]
    assert places["rawtracepoint_vmlinux_sched_switch_6"] == [("raw-tracepoint", "sched_switch", 11118, 1)]
    assert places["uprobe__bin_bash_readline_5"] == [("uprobe", "/bin/bash+0xc6c20", None, 1)]
    assert places["software_cpu_clock_1000000_7"] == [("perf-event", None, 11119, 2)]
    assert places["count_tc"] == [("tc", "ep0 clsact/ingress", None, 1)]
    assert places["count_cg"] == [("cgroup cgroup_inet_egress", "/sys/fs/cgroup/unified/eprog", None, 1)]
    assert places["begin_1"] == []
    attached = [row for row in document["programs"] if row["name"] == "count_packets" and row["attached"]]
    assert attached[0]["attached"] == [
        {
            "kind": "xdp",
            "target": "ep1 generic in netns blue",
            "link": None,
            "namespace": INSIDE.inode,
            "times": 1,
            "pins": [],
        }
    ]
    assert [row["id"] for row in attached] == [67005]
    assert document["notes"] == []


def test_what_a_program_costs_and_who_holds_it(proc):
    document = taken(proc)
    row = by_name(document)["tracepoint_raw_syscalls_sys_enter_2"]
    recorded_row = next(each for each in RECORDED["prog show"] if each["id"] == row["id"])
    assert (row["run_ns"], row["runs"]) == (65476, recorded_row["run_cnt"])
    assert row["memory_bytes"] == 4096
    sizes = {each["id"]: each["bytes_memlock"] for each in RECORDED["map show"]}
    assert row["map_bytes"] == sum(sizes[each] for each in row["maps"])
    assert row["held_by"] == [{"pid": TRACER, "name": "bpftrace", "through": ["program", "link", "event"]}]
    assert row["loaded_at"].startswith("2026-11-28T23:36:")
    counts = next(each for each in document["maps"] if each["id"] == 50177)
    assert counts["pins"] == ["/sys/fs/bpf/eprog/maps/counts"]
    assert set(counts["programs"]) == {66996, 66998}
    assert counts["held_by"][0]["name"] == {"text": "a\ufffd\x1b[2J", "base64": "Yf8bWzJK"}


def test_programs_come_by_run_time_then_memory(proc):
    document = taken(proc)
    keys = [
        (-(row["run_ns"] or 0), -(row["memory_bytes"] + row["map_bytes"])) for row in document["programs"]
    ]
    assert keys == sorted(keys)
    assert document["programs"][0]["run_ns"] == max(
        each.get("run_time_ns", 0) for each in RECORDED["prog show"]
    )


def test_the_totals_are_the_kernels_sums_with_each_map_once(proc):
    document = taken(proc)
    total, ours = document["totals"]["all"], document["totals"]["ours"]
    assert total["programs"] == len(RECORDED["prog show"])
    assert total["map_bytes"] == sum(each["bytes_memlock"] for each in RECORDED["map show"])
    assert total["run_ns"] == sum(each.get("run_time_ns", 0) for each in RECORDED["prog show"])
    # By descriptors, and by the events that bpftool names: 67018 and 67019.
    assert {row["id"] for row in document["programs"] if row["ours"]} == {67013, 67015, 67016, 67018, 67019}
    assert ours["programs"] == 5
    mine = {one for row in document["programs"] if row["ours"] for one in row["maps"]}
    assert ours["maps"] == len(mine)
    assert ours["map_bytes"] == sum(
        each["bytes_memlock"] for each in RECORDED["map show"] if each["id"] in mine
    )


def test_what_was_not_counted_is_not_zero(proc, monkeypatch, tmp_path):
    switch = tmp_path / "bpf_stats_enabled"
    monkeypatch.setattr(survey, "_ALWAYS_COUNTED", switch)
    switch.write_text("0\n")
    assert by_name(taken(proc))["count_cg"]["run_ns"] is None
    switch.write_text("1\n")
    assert by_name(taken(proc))["count_cg"]["run_ns"] == 0
    switch.unlink()
    document = taken(proc)
    assert document["statistics"]["enabled"] is None
    assert by_name(document)["count_cg"]["runs"] is None


# Whose a bpftrace is.


def test_the_mark_is_this_process():
    name = source_name()
    descriptor = os.memfd_create(name)
    try:
        link = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    finally:
        os.close(descriptor)
    assert starter_of(link) == Starter(os.getpid(), descent_of(os.getpid()).start_ticks)


def test_a_bpftrace_below_its_run_is_ours(proc):
    run = run_of(TRACER, proc.root)
    assert run == {"bpftrace": TRACER, "runner": RUNNER, "command": list(WORDS)}


def test_through_sudo_too(proc):
    proc.add(300, "sudo", RUNNER, stdin=MARK)
    proc.add(301, "sudo", 300, stdin=MARK)
    proc.add(302, "bpftrace", 301, stdin=MARK)
    assert run_of(302, proc.root)["runner"] == RUNNER


def test_a_run_in_a_container_is_known_by_its_inner_id(proc):
    proc.add(400, "ebpf-recipe", 1, start=50, inner=7, words=("ebpf-recipe",))
    proc.add(401, "bpftrace", 400, stdin="/memfd:ebpf-recipe:7:50 (deleted)")
    assert run_of(401, proc.root)["runner"] == 400


def test_one_whose_run_was_killed_is_ours_and_says_so(proc):
    proc.add(500, "bpftrace", 1, stdin="/memfd:ebpf-recipe:499:50 (deleted)")
    assert run_of(500, proc.root) == {"bpftrace": 500, "runner": None, "command": None}


@pytest.mark.parametrize(
    ("parent", "stdin"),
    [
        (RUNNER, "/dev/null"),  # a child of ours that is no bpftrace of the run: the measured command
        (1, "/dev/null"),
        (1, "/memfd:program (deleted)"),
        (1, "/tmp/memfd:ebpf-recipe:20650:777 (deleted)"),
        (1, "/memfd:ebpf-recipe:20650:777"),
        (1, MARK),  # whose run lives, and is not its parent
        (TRACER, MARK),  # started by a bpftrace of ours (system()), and not by the run
    ],
)
def test_everybody_elses_is_not(proc, parent, stdin):
    proc.add(600, "bpftrace", parent, stdin=stdin)
    assert run_of(600, proc.root) is None


def test_a_process_id_that_is_used_again_is_not_taken_for_the_run(proc):
    proc.add(601, "bpftrace", 1, stdin=f"/memfd:ebpf-recipe:{RUNNER}:776 (deleted)")
    assert run_of(601, proc.root) == {"bpftrace": 601, "runner": None, "command": None}


def test_a_process_that_is_gone_is_nobodys(proc):
    assert run_of(99999, proc.root) is None


# Links, as newer releases of bpftool say them.


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("perf_event", {"retprobe": True, "func": "vfs_read", "offset": 0}, ("kretprobe", "vfs_read")),
        ("perf_event", {"retprobe": False, "func": "", "addr": 4096, "offset": 0}, ("kprobe", "0x1000")),
        ("perf_event", {"retprobe": False, "file": "/bin/sh", "offset": 16}, ("uprobe", "/bin/sh+0x10")),
        ("perf_event", {"tracepoint": "sys_enter"}, ("tracepoint", "sys_enter")),
        (
            "perf_event",
            {"event_type": "software", "event_config": "cpu-clock"},
            ("perf-event", "software cpu-clock"),
        ),
        ("perf_event", {}, ("perf-event", None)),
        (
            "kprobe_multi",
            {"retprobe": True, "func_cnt": 5, "funcs": [{"func": name} for name in "abcde"]},
            ("kretprobe-multi", "a, b, c and 2 more"),
        ),
        ("kprobe_multi", {"func_cnt": 9, "funcs": []}, ("kprobe-multi", "9 places")),
        ("uprobe_multi", {"path": "/bin/sh", "func_cnt": 2}, ("uprobe-multi", "/bin/sh: 2 places")),
        ("tracing", {"attach_type": "trace_fentry"}, ("fentry", None)),
        ("cgroup", {"attach_type": "cgroup_device", "cgroup_id": 7}, ("cgroup cgroup_device", "cgroup 7")),
        ("netns", {"attach_type": "sk_lookup", "netns_ino": 9}, ("netns sk_lookup", "network namespace 9")),
        ("xdp", {"devname": "eth0", "ifindex": 3}, ("xdp", "interface 3 of a namespace that is not known")),
        ("iter", {"target_name": "task"}, ("iter", "task")),
        ("struct_ops", {"map_id": 3}, ("struct-ops", "map 3")),
        ("type 99", {}, ("type 99", None)),
    ],
)
def test_a_link_says_what_it_attaches(kind, fields, expected):
    link = KernelLink(5, kind, 1, (), (), fields)
    found = attachments.find_attachments(
        recorded(net_show=[], perf_show=[], cgroup_tree=[], **{"net_show_(inside)": []}), [link], []
    )
    assert [(each.kind, each.target) for each in found[1]] == [expected]
    assert found[1][0].link == 5


def test_a_link_of_an_interface_is_named_by_the_namespace_that_has_it():
    entry = {"devname": "ep1", "ifindex": 2, "mode": "driver", "id": 1}
    link = KernelLink(5, "xdp", 1, (), (), {"devname": "lo", "ifindex": 2})
    tool = recorded(
        net_show=[{"xdp": []}], perf_show=[], cgroup_tree=[], **{"net_show_(inside)": [{"xdp": [entry]}]}
    )
    (one,) = attachments.find_attachments(tool, [link], [])[1]
    assert (one.target, one.link) == ("ep1 driver in netns blue", 5)


@pytest.mark.parametrize("named", [True, False])
def test_a_pinned_link_is_shown_with_its_pin(named):
    link = KernelLink(5, "perf_event", 1, ("/sys/fs/bpf/kept\n",), (), {"tracepoint": "a"} if named else {})
    event = {"pid": 3, "prog_id": 1, "fd_type": "tracepoint", "tracepoint": "a"}
    tool = recorded(net_show=[], perf_show=[event], cgroup_tree=[], **{"net_show_(inside)": []})
    found = attachments.find_attachments(tool, [link], [])[1]
    assert [each.pins for each in found if each.link == 5] == [("/sys/fs/bpf/kept\n",)]
    assert len(found) == (1 if named else 2)


def test_what_cannot_be_asked_is_noted_and_the_rest_is_shown(proc):
    document = taken(
        proc,
        link_show=HostRefused("no links"),
        net_show=HostRefused("no nets"),
        perf_show=HostRefused("no perf"),
    )
    assert len(document["programs"]) == len(RECORDED["prog show"])
    assert [note.rpartition(": ")[2] for note in document["notes"]] == ["no links", "no nets", "no perf"]


def test_without_cgroups_of_version_2_nothing_is_missing(proc):
    document = taken(proc, cgroup_tree=HostRefused("bpftool cgroup tree: cgroup v2 isn't mounted"))
    assert document["notes"] == []


@pytest.mark.parametrize("answer", [None, 3, "x", {}, [1, None, {"id": "x"}], [{"id": True}], [[]]])
def test_answers_of_another_shape_have_nothing_to_say(proc, answer):
    names = ("prog_show", "map_show", "link_show", "perf_show", "net_show", "cgroup_tree")
    document = taken(proc, **dict.fromkeys(names, answer))
    validate(json.loads(json.dumps(document)), programs_schema())
    assert {row["id"] for row in document["programs"]} <= {67005}


def test_fields_of_another_type_are_as_if_not_there(proc):
    odd = {
        "id": 9,
        "type": 77,
        "name": 3,
        "tag": None,
        "map_ids": "x",
        "pinned": {},
        "pids": [3, {"pid": "x"}],
    }
    document = taken(proc, prog_show=[odd])
    validate(json.loads(json.dumps(document)), programs_schema())
    assert document["programs"][0]["type"] == "type 77"


def test_the_processes_that_bpftool_itself_found_are_named(proc):
    one = {**RECORDED["prog show"][0], "pids": [{"pid": 4711, "comm": "x"}]}
    row = taken(proc, prog_show=[one])["programs"][0]
    assert [(each["pid"], each["through"]) for each in row["held_by"]] == [(4711, ["bpftool"])]


def test_processes_that_may_not_be_looked_at_are_counted(proc, monkeypatch):
    def refuse(path):
        if str(path).endswith("/4711/fd"):
            raise PermissionError
        return real(path)

    real = os.listdir
    monkeypatch.setattr(os, "listdir", refuse)
    assert read_holders(proc.root).hidden == 1


# A terminal.


def test_the_table_says_it_all(proc):
    text = format_programs(taken(proc), in_color=False, width=1000)
    lines = text.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("67015"))
    assert lines[place].split()[:4] == ["67015", "ours", "tracepoint", "tracepoint_raw_syscalls_sys_enter_2"]
    assert "65.48 us" in lines[place]
    below = lines[place + 1]
    assert below.strip().startswith(
        "tracepoint sys_enter · held by bpftrace 20658 of ebpf-recipe run syscount (20650)"
    )
    assert "50189 AT_c 426.9 kB" in below
    assert "tag " in below
    assert lines[-2].startswith("all: 11 programs of 45.1 kB, 15 maps of ")
    assert lines[-1].startswith("ours: 5 programs of ")
    assert "not counted" in lines[1]


def test_names_are_shown_and_never_obeyed(proc):
    bad = {
        **RECORDED["prog show"][0],
        "name": "a\x1b[2J",
        "type": "x\x07",
        "tag": "\x9b",
        "pinned": ["/p\n[red]"],
    }
    document = taken(
        proc, prog_show=[bad], cgroup_tree=[{"cgroup": "/\x1b]0;x", "programs": [{"id": bad["id"]}]}]
    )
    text = format_programs(document, in_color=False, width=200)
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert "\x9b" not in text
    assert "a\\x1b[2J" in text
    assert "/p\\n[red]" in text
    assert "/\\x1b]0;x" in text


def test_thousands_of_programs_are_told_in_short_and_ours_always(proc):
    many = [{**RECORDED["prog show"][2], "id": n, "map_ids": [50177]} for n in range(100_000, 105_000)]
    last = {**RECORDED["prog show"][2], "id": 67016, "map_ids": [], "name": "mine"}
    begun = time.monotonic()
    document = taken(proc, prog_show=[*many, last])
    text = format_programs(document, in_color=False, width=120)
    print(f"{len(document['programs'])} programs in {time.monotonic() - begun:.2f} s")
    assert len(document["programs"]) == 5001
    assert text.count("\n") < MOST_ROWS * 3 + 20
    assert f"… and {5001 - MOST_ROWS - 1} more programs" in text
    assert " mine " in text


# Maps.


def test_a_map_is_decoded_by_its_types_exactly():
    done = ebpf_recipe("programs", "--map", "50184")
    assert done.returncode == 0, done.stderr
    dump = json.loads(done.stdout)
    validate(dump, map_schema())
    (entry,) = dump["entries"]
    assert (entry["key"], entry["key_bytes"]) == (0, "00000000")
    assert entry["value"] == {"packets": 2**64 - 1, "delta": -5, "name": [97, 27, 91, 51, 49, 109, 0, 0]}
    assert (dump["name"], dump["typed"], dump["cut"]) == ("pairs", True, None)
    counts = json.loads(ebpf_recipe("programs", "--map", "50183").stdout)["entries"][0]["values"]
    assert sum(each["value"] for each in counts) == 2


def answers(tmp_path, monkeypatch, **changed):
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({name.replace("_", " "): answer for name, answer in changed.items()}))
    monkeypatch.setenv("FAKE_ANSWERS", str(file))


PAIR = RECORDED["map dump id 50184"]


def test_integers_of_64_bits_and_more_arrive_as_they_were(tmp_path, monkeypatch):
    big = [
        {
            **PAIR[0],
            "formatted": {"key": 2**200, "value": {"packets": 2**64 - 1, "delta": -5, "n": "a\udcff"}},
        }
    ]
    answers(tmp_path, monkeypatch, map_dump_id_50178=big)
    done = ebpf_recipe("programs", "--map", "50178")
    dump = json.loads(done.stdout)
    validate(dump, map_schema())
    (entry,) = dump["entries"]
    assert entry["key"] == 2**200
    assert entry["value"]["packets"] == 2**64 - 1
    assert entry["value"]["delta"] == -5
    assert dump["typed"]
    assert entry["key_bytes"] == "00000000"


def test_without_types_a_map_has_bytes_and_unsigned_integers(tmp_path, monkeypatch):
    plain = [
        {"key": ["0xff"] * 8, "value": ["0x01"] * 3},
        {"key": ["0x00", "0x01"], "values": [{"cpu": 0, "value": ["0x02", "0x00", "0x00", "0x00"]}]},
        {"key": ["0x00"], "value": {"error": "Operation not supported"}},
    ]
    answers(tmp_path, monkeypatch, map_dump_id_50178=plain)
    dump = json.loads(ebpf_recipe("programs", "--map", "50178").stdout)
    validate(dump, map_schema())
    first, second, third = dump["entries"]
    assert (first["key"], first["value"], first["value_bytes"]) == (2**64 - 1, None, "010101")
    assert second["values"] == [{"cpu": 0, "bytes": "02000000", "value": 2}]
    assert third["error"] == "Operation not supported"
    assert not dump["typed"]


def test_a_map_is_cut_with_a_note(tmp_path, monkeypatch):
    answers(tmp_path, monkeypatch, map_dump_id_50178=PAIR * 50)
    done = ebpf_recipe("programs", "--map", "50178", "--most", "3")
    assert len(json.loads(done.stdout)["entries"]) == 3
    assert "the first 3 entries" in done.stderr
    assert json.loads(done.stdout)["cut"] in done.stderr


def test_an_answer_that_is_too_long_is_read_as_far_as_it_goes(tmp_path, monkeypatch):
    answers(tmp_path, monkeypatch, map_dump_id_50178=PAIR * 5000)
    dump = dump_map(find_bpftool(), "50178", most=100_000, most_bytes=1 << 20)
    assert 100 < len(dump["entries"]) < 5000
    assert "1 MiB" in dump["cut"]
    assert json.loads(encode_dump(dump))["entries"][-1]["value"] == PAIR[0]["formatted"]["value"]


def test_a_beginning_ends_at_its_last_whole_element():
    assert list(elements(b'[{"a":1}, {"a":2},{"a":')) == [{"a": 1}, {"a": 2}]
    assert list(elements(b"")) == list(elements(b"[")) == list(elements(b"[]")) == list(elements(b"x")) == []
    assert list(elements(b"[" * 100_000)) == []


def test_a_map_that_several_have_the_name_of_is_asked_for_by_id():
    done = ebpf_recipe("programs", "--map", "counts")
    assert done.returncode == 3
    assert "2 maps have this name" in done.stderr
    assert "one of 50177, 50183" in done.stderr
    assert ebpf_recipe("programs", "--map", "ringbuf").returncode == 0


@pytest.mark.parametrize("named", ["no such", "1", "9" * 5000, "\x1b[2J", "\udcff", ""])
def test_a_map_that_is_not_there(named):
    done = ebpf_recipe("programs", "--map", named)
    assert done.returncode == 3
    assert "there is no such map" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_map_that_vanished_meanwhile(tmp_path, monkeypatch):
    ghost = {**RECORDED["map show"][0], "id": 12345}
    answers(tmp_path, monkeypatch, map_show=[ghost])
    done = ebpf_recipe("programs", "--map", "12345")
    assert done.returncode == 3
    assert "no longer there" in done.stderr


# Instructions.

XDP = "66996"


def test_a_program_of_others_is_disassembled_only_where_that_is_asked_for(tmp_path):
    done = ebpf_recipe("programs", "--disassemble", XDP)
    assert done.returncode == 3
    assert "--any" in done.stderr
    done = ebpf_recipe("programs", "--disassemble", XDP, "--any", "-o", str(tmp_path / "x"))
    assert done.returncode == 0, done.stderr
    assert "   0: (b7) r1 = 0" in (tmp_path / "x").read_text().splitlines()


def test_one_of_ours_is(proc, tmp_path, monkeypatch):
    answers(tmp_path, monkeypatch, prog_dump_xlated_id_67015="0: (95) exit\n")
    assert (
        disassemble(find_bpftool(), 67015, is_native=False, of_any=False, proc=proc.root) == "0: (95) exit\n"
    )
    with pytest.raises(ValueRefused):
        disassemble(find_bpftool(), 66996, is_native=False, of_any=False, proc=proc.root)


def test_a_bpftool_without_a_disassembler_says_so():
    done = ebpf_recipe("programs", "--disassemble", XDP, "--any", "--jited")
    assert done.returncode == 4
    assert "no disassembler" in done.stderr
    assert "libbfd" in done.stderr


def test_instructions_that_are_hidden_are_no_empty_program(tmp_path, monkeypatch):
    answers(tmp_path, monkeypatch, prog_dump_xlated_id_66996="\n")
    assert ebpf_recipe("programs", "--disassemble", XDP, "--any").returncode == 4


def test_source_lines_in_a_program_are_not_obeyed(tmp_path, monkeypatch):
    answers(tmp_path, monkeypatch, prog_dump_xlated_id_66996="; \x1b[2Jx\n\t0: exit\n")
    assert ebpf_recipe("programs", "--disassemble", XDP, "--any").stdout == "; \\x1b[2Jx\n        0: exit\n"


def test_a_program_that_is_not_there(tmp_path, monkeypatch):
    done = ebpf_recipe("programs", "--disassemble", "424242", "--any")
    assert done.returncode == 3
    answers(tmp_path, monkeypatch, prog_show=[{**RECORDED["prog show"][0], "id": 424242}])
    done = ebpf_recipe("programs", "--disassemble", "424242", "--any")
    assert done.returncode == 3
    assert "no longer there" in done.stderr


# bpftool that is not there, or goes wrong.


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("garbage:version", "printed no JSON: WARNING: bpftool not found for kernel 6.1.0\\x1b[2J"),
        ("failed:version", "something else"),
        ("garbage:prog", "printed no JSON"),
        ("endless:prog", "printed more than"),
        ("refused:prog", "ebpf-recipe doctor" if os.geteuid() == 0 else "sudo ebpf-recipe programs"),
        ("failed:prog", "something else"),
        ("failed:map", "something else"),
    ],
)
def test_a_bpftool_that_goes_wrong_is_told(monkeypatch, fault, says):
    monkeypatch.setenv("FAKE_FAULT", fault)
    done = ebpf_recipe("programs")
    assert done.returncode == 4, done
    assert says in done.stderr
    assert "apt-get install bpftool" in done.stderr or not fault.endswith("version")
    assert done.stdout == ""


def test_names_that_are_not_utf_8_arrive_with_their_bytes(monkeypatch):
    monkeypatch.setenv("FAKE_FAULT", "bytes:prog")
    document = json.loads(ebpf_recipe("programs").stdout)
    validate(document, programs_schema())
    assert document["programs"][0]["name"] == {"text": "a\ufffd\x1b[2J", "base64": "Yf8bWzJK"}
    assert "\x1b" not in ebpf_recipe("programs", "-f", "table").stdout


def test_one_that_hangs_is_ended(monkeypatch):
    monkeypatch.setenv("FAKE_FAULT", "hang:prog")
    tool = Bpftool(Path(FAKE), (7, 1, 0), timeout_seconds=0.3)
    with pytest.raises(HostRefused, match=r"gave no answer in 0\.3 s"):
        tool.json("prog", "show")


@pytest.mark.parametrize("version", ["4.19.0", "5.7.1", "", "x", None, 7])
def test_one_that_is_too_old_or_another_program(tmp_path, monkeypatch, version):
    answers(tmp_path, monkeypatch, version={"version": version})
    done = ebpf_recipe("programs")
    assert done.returncode == 4
    assert "apt-get install bpftool" in done.stderr


def test_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.delenv("EBPF_RECIPE_BPFTOOL")
    done = ebpf_recipe("programs")
    assert done.returncode == 4
    assert "apt-get install bpftool" in done.stderr
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no", tmp_path, tmp_path / "file", ""):
        done = ebpf_recipe("programs", "--bpftool", str(path))
        assert done.returncode == 4
        assert "--bpftool" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--map", "1", "--disassemble", "1"),
        ("--jited",),
        ("--any",),
        ("--map", "1", "-f", "table"),
        ("--disassemble", "1", "-f", "json"),
        ("--stats", "1s", "--map", "1"),
        ("--stats", "2" * 20),
        ("--stats", "0"),
        ("--stats", "2m"),
    ],
)
def test_options_that_do_not_go_together(arguments):
    assert ebpf_recipe("programs", *arguments).returncode == 3


def test_the_result_goes_where_it_is_asked_to(tmp_path):
    assert ebpf_recipe("programs", "-o", str(tmp_path / "x.json")).stdout == ""
    assert json.loads((tmp_path / "x.json").read_text())["schema"] == "ebpf-recipe/programs/v1"
    assert ebpf_recipe("programs", "-f", "table", "-o", str(tmp_path / "x")).returncode == 0
    assert "ours: " in (tmp_path / "x").read_text()
    assert ebpf_recipe("programs", "-o", str(tmp_path / "no" / "x")).returncode == 8


def test_a_name_of_a_namespace_that_is_gone_is_none(tmp_path):
    named = tmp_path / "netns"
    named.mkdir()
    (named / "gone").write_text("")
    found = other_network_namespaces(proc=tmp_path / "netns", named=named)
    assert found == []
