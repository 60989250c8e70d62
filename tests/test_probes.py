"""`probes`: patterns, tracefs and type information that are made of files, and near names."""

import json
import struct
import subprocess

import pytest

from runner.errors import HostRefused, ValueRefused
from runner.host import btf_types, probe_index
from runner.host.families import Family
from runner.host.libraries import find_binary
from runner.probe_search import Pattern, parse_pattern, search
from tests.command import ebpf_recipe

FORMAT = """name: {name}
ID: 1
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:const void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:__u8 saddr[4];\toffset:16;\tsize:4;\tsigned:0;
\tfield:__data_loc char[] cmd;\toffset:20;\tsize:4;\tsigned:0;

print fmt: "x"
"""
FIELDS = [("skbaddr", "const void *"), ("saddr", "__u8[4]"), ("cmd", "__data_loc char[]")]
FUNCTIONS = "tcp_sendmsg\ntcp_recvmsg\nvfs_read\nnf_confirm [nf_conntrack]\n"


class Btf:
    """Type information as the kernel has it, from as few types as show all that is read."""

    def __init__(self):
        self.types, self.strings, self.count = b"", b"\0", 0

    def name(self, text):
        if not text:
            return 0
        place = len(self.strings)
        self.strings += text.encode() + b"\0"
        return place

    def add(self, kind, name="", value=0, members=0, rest=b""):
        self.types += struct.pack("=III", self.name(name), kind << 24 | members, value) + rest
        self.count += 1
        return self.count

    def prototype(self, returns, *arguments):
        rest = b"".join(struct.pack("=II", self.name(name), type_of) for name, type_of in arguments)
        return self.add(13, value=returns, members=len(arguments), rest=rest)

    def bytes(self):
        sizes = (24, 0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, *sizes) + self.types + self.strings


def kernel():
    btf = Btf()
    integer = btf.add(1, "int", 4, rest=struct.pack("=I", 32))
    size = btf.add(8, "size_t", integer)
    sock = btf.add(4, "sock", 8)
    constant = btf.add(10, value=sock)
    pointer = btf.add(2, value=constant)
    callback = btf.add(2, value=btf.prototype(integer, ("", pointer)))
    array = btf.add(3, rest=struct.pack("=III", integer, integer, 3))
    plain = btf.add(2, value=0)
    btf.add(12, "tcp_sendmsg", btf.prototype(integer, ("sk", pointer), ("size", size)))
    btf.add(12, "tcp_recvmsg", btf.prototype(0, ("done", callback), ("pair", btf.add(2, value=array))))
    btf.add(12, "_printk", btf.prototype(integer, ("fmt", plain), ("", 0)))
    btf.add(8, "btf_trace_tcp_probe", btf.add(2, value=btf.prototype(0, ("", plain), ("", pointer))))
    rest = b"".join(
        struct.pack("=III", btf.name(name), type_of, 0)
        for name, type_of in (
            ("ent", integer),
            ("skaddr", plain),
            ("__data_loc_cmd", integer),
            ("sport", array),
        )
    )
    btf.add(4, "trace_event_raw_tcp_probe", 24, members=4, rest=rest)
    return btf.bytes()


@pytest.fixture(autouse=True)
def _fresh():
    btf_types.kernel_types.cache_clear()
    yield
    btf_types.kernel_types.cache_clear()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A host whose kernel has three tracepoints, four functions and every family of probes."""
    tracefs = tmp_path / "tracing"
    for category, name in (("tcp", "tcp_probe"), ("tcp", "tcp_reset"), ("sched", "sched_switch")):
        folder = tracefs / "events" / category / name
        folder.mkdir(parents=True)
        (folder / "format").write_text(FORMAT.format(name=name))
    (tracefs / "available_filter_functions").write_text(FUNCTIONS)
    kallsyms = tmp_path / "kallsyms"
    kallsyms.write_text("0 T tcp_sendmsg\n0 d tcp_data\n0 t tcp_static\n0 t nf_confirm\t[nf_conntrack]\n")
    types = tmp_path / "vmlinux"
    types.write_bytes(kernel())
    monkeypatch.setattr(probe_index, "_KALLSYMS", kallsyms)
    monkeypatch.setattr(btf_types, "VMLINUX", types)
    monkeypatch.setattr(btf_types, "files", lambda: [types])
    monkeypatch.setattr("runner.host.probes.tracefs_root", lambda: tracefs)
    monkeypatch.setattr("runner.probe_search._absent", lambda _: None)
    return tracefs


def found(text):
    return search(parse_pattern(text), lambda: pytest.fail("bpftrace is not needed for the kernel"))


def names(text):
    return [probe.name for probe in found(text).probes]


@pytest.mark.parametrize(
    ("text", "family", "scope", "name"),
    [
        ("tcp_*", None, None, "tcp_*"),
        ("tracepoint:tcp:*", "tracepoint", "tcp", "*"),
        ("t:tcp:tcp_probe", "tracepoint", "tcp", "tcp_probe"),
        ("kprobe:tcp_*", "kprobe", None, "tcp_*"),
        ("k:nf_conntrack:*", "kprobe", "nf_conntrack", "*"),
        ("kfunc:tcp_*", "fentry", None, "tcp_*"),
        ("kretfunc:vfs_read", "fexit", None, "vfs_read"),
        ("uprobe:/usr/sbin/nginx:ngx_*", "uprobe", "/usr/sbin/nginx", "ngx_*"),
        ("u:libc:malloc", "uprobe", "libc", "malloc"),
        ("uprobe:/lib/x.so:cpp:*foo*", "uprobe", "/lib/x.so", "cpp:*foo*"),
        ("usdt:/x:provider:*", "usdt", "/x", "provider:*"),
    ],
)
def test_a_pattern_is_as_bpftrace_writes_it(text, family, scope, name):
    assert parse_pattern(text) == Pattern(text, family, scope, name)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tracepiont:tcp:*", "did you mean tracepoint:tcp:*?"),
        ("profile:hz:99", "families that are searched: tracepoint"),
        ("tracepoint:tcp", "such as tracepoint:tcp:*"),
        ("uprobe:malloc", "such as uprobe:libc:*alloc*"),
        ("uprobe:/x:f { exit() }", "such as uprobe"),
        ("a b", "such as"),
        ("tcp[a-z]", "such as"),
        ("", "such as"),
        ("kprobe:", "such as"),
    ],
)
def test_what_is_no_pattern_is_refused(text, hint):
    with pytest.raises(ValueRefused) as refused:
        parse_pattern(text)
    assert hint in refused.value.hint


def test_tracepoints_with_fields_and_types(machine):
    (probe,) = found("tracepoint:tcp:tcp_p*").probes
    assert probe == ("tracepoint:tcp:tcp_probe", FIELDS)
    assert names("tracepoint:*:*s*") == ["tracepoint:sched:sched_switch", "tracepoint:tcp:tcp_reset"]


def test_functions_with_arguments_and_types(machine):
    assert found("kprobe:tcp_*").probes == [
        (
            "kprobe:tcp_recvmsg",
            [("done", "int (*)(const struct sock *)"), ("pair", "int[3] *")],
        ),
        ("kprobe:tcp_sendmsg", [("sk", "const struct sock *"), ("size", "size_t")]),
    ]
    assert found("kretprobe:tcp_*").probes == [
        ("kretprobe:tcp_recvmsg", []),
        ("kretprobe:tcp_sendmsg", [("retval", "int")]),
    ]
    assert found("fexit:tcp_sendmsg").probes == [
        ("fexit:tcp_sendmsg", [("sk", "const struct sock *"), ("size", "size_t"), ("retval", "int")])
    ]


def test_what_the_kernel_does_not_describe_has_unknown_arguments(machine):
    assert found("kprobe:vfs_*").probes == [("kprobe:vfs_read", None)]
    assert found("kprobe:nf_conntrack:*").probes == [("kprobe:nf_conntrack:nf_confirm", None)]
    # bpftrace takes the arguments of fentry from there: without them it has no such probe.
    with pytest.raises(HostRefused):
        found("fentry:vfs_read")


def test_a_name_alone_is_looked_for_everywhere(machine):
    assert names("tcp_*") == [
        "fentry:tcp_recvmsg", "fentry:tcp_sendmsg", "kprobe:tcp_recvmsg", "kprobe:tcp_sendmsg",
        "rawtracepoint:tcp_probe", "tracepoint:tcp:tcp_probe", "tracepoint:tcp:tcp_reset",
    ]  # fmt: skip


def test_without_root_names_and_fields_come_from_the_type_information(machine, monkeypatch):
    monkeypatch.setattr("runner.host.probes.tracefs_root", lambda: None)
    tracepoint = found("tracepoint:tcp:*")
    assert tracepoint.probes == [
        ("tracepoint:*:tcp_probe", [("skaddr", "void *"), ("cmd", "__data_loc"), ("sport", "int[3]")])
    ]
    assert "categories, system calls and some fields are not known" in tracepoint.notes[0]
    function = found("kprobe:*")
    assert [probe.name for probe in function.probes] == [
        "kprobe:nf_conntrack:nf_confirm", "kprobe:tcp_sendmsg", "kprobe:tcp_static",
    ]  # fmt: skip
    assert "may not be probed" in function.notes[0]


def test_any_number_of_arguments_has_dots(machine):
    assert btf_types.kernel_types().arguments("_printk") == [("fmt", "void *"), ("", "...")]
    assert found("rawtracepoint:*").probes == [("rawtracepoint:tcp_probe", [("arg0", "const struct sock *")])]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("tracepoint:tcp:tcp_prob", "near: tracepoint:tcp:tcp_probe"),
        ("kprobe:tcp_sendmgs", "near: kprobe:tcp_sendmsg"),
        ("tracepoint:schd:*", "near: tracepoint:sched:*"),
        ("tracepoint:tpc:tcp_probe", "near: tracepoint:tcp:tcp_probe"),
        ("kprobe:zzzzzzzz", "nothing here has a name like it"),
    ],
)
def test_nothing_that_matches_is_told_with_near_names(machine, text, near):
    with pytest.raises(HostRefused) as refused:
        found(text)
    assert refused.value.message == f"nothing here matches {text!r}"
    assert refused.value.hint.startswith(near)


def test_a_kernel_without_the_family_says_so(monkeypatch):
    missing = [Family("kprobe", False, "no such device", ("CONFIG_KPROBES",))]
    monkeypatch.setattr("runner.probe_search.probe_families", lambda *_: missing)
    with pytest.raises(HostRefused, match="this kernel has no kprobe probes: no such device"):
        found("kprobe:tcp_sendmsg")


def test_many_matches_are_all_there(machine):
    (machine / "available_filter_functions").write_text("".join(f"function_{n}\n" for n in range(6000)))
    assert len(names("kprobe:function_*")) == 6000


def test_libraries_are_found_as_the_loader_finds_them():
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    assert f"=> {find_binary('libc')}\n" in cache
    assert find_binary("sh").endswith("/sh")
    assert find_binary("no-such-library") is None


def test_the_exit_codes_of_the_command():
    assert ebpf_recipe("probes", "tracepoint:tcp").returncode == 3
    done = ebpf_recipe("probes", "uprobe:/nowhere/at/all:f")
    assert (done.returncode, done.stdout) == (4, "")
    assert "there is no file /nowhere/at/all" in done.stderr
    done = ebpf_recipe("probes", "no_such_name_anywhere_*", "--json")
    assert (done.returncode, done.stdout) == (4, "")
    assert "nothing here matches" in done.stderr


def test_the_schema_of_doctor_is_printed():
    assert json.loads(ebpf_recipe("schema", "doctor").stdout)["$id"] == "ebpf-recipe/doctor/v1"
