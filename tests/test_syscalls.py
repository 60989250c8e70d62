import dataclasses
import json
import re

import pytest

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.messages import read_messages
from runner.bpftrace.names import Names
from runner.bpftrace.tables import Context, decode_tables
from runner.capture.declaration import KeyDeclaration, TableDeclaration
from runner.capture.error_names import error_name
from runner.capture.syscalls import COMPAT, all_syscalls, syscall_name, syscall_numbers
from runner.decode import decode
from runner.errors import ValueRefused
from runner.recipe.catalogue import find_recipe
from runner.recipe.given import parse_given
from runner.recipe.hosts import distinguishable_hosts
from runner.recipe.named_calls import named_calls
from runner.recipe.parameters import PARAMETER_TYPES, parse_values
from runner.recipe.render import render_program
from runner.rendered import render_for_node
from tests.command import ebpf_recipe

X32 = 1 << 30
ARCHITECTURES = ("x86_64", "i686", "aarch64", "armv7l", "riscv64", "loongarch64", "ppc64le", "s390x")


@pytest.mark.parametrize(
    ("carried", "arch", "name"),
    [
        (20, "x86_64", "writev"),
        (20 | COMPAT, "x86_64", "getpid"),
        (0 | X32, "x86_64", "read"),
        (515 | X32, "x86_64", "readv"),
        (20, "i686", "getpid"),
        (56, "aarch64", "openat"),
        (322 | COMPAT, "aarch64", "openat"),
        (0, "x86_64", "read"),
        # No name: the number, as the program gave it.
        (9999, "x86_64", "9999"),
        (9999 | COMPAT, "x86_64", "9999"),
        ((1 << 32) - 1, "x86_64", "-1"),
        (20, "sparc64", "20"),
    ],
)
def test_a_number_has_the_name_of_the_interface_that_was_called(carried, arch, name):
    assert syscall_name(carried, arch) == name


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_name_leads_to_numbers_that_lead_back(arch):
    there = [name for name in all_syscalls() if syscall_numbers(name, arch)]
    assert len(there) > 300
    for name in there:
        assert {syscall_name(number, arch) for number in syscall_numbers(name, arch)} == {name}


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (2, "ENOENT"),
        (11, "EAGAIN"),
        (35, "EDEADLK"),
        (95, "EOPNOTSUPP"),
        (512, "ERESTARTSYS"),
        (4000, "4000"),
    ],
)
def test_errors_have_the_names_that_the_kernel_has_for_them(number, name):
    assert error_name(number) == name


def value(text):
    (parsed,) = parse_values("syscall", PARAMETER_TYPES["syscall"], [text])
    return parsed


def test_a_call_is_compared_with_its_number_in_each_interface():
    native, x32, compat = 257, 257 | X32, 295 | COMPAT
    condition = value("openat").on("x86_64").condition("little", "$call")
    assert set(re.findall(r"\$call == \(uint64\)(\d+)", condition)) == {str(native), str(x32), str(compat)}
    assert value("openat").json() == "openat"


def test_a_mistyped_call_is_refused_with_those_that_are_near():
    done = ebpf_recipe("run", "syscount", "--syscall", "opneat", "--dry-run")
    assert done.returncode == 3
    assert "--syscall 'opneat': there is no such system call; did you mean openat" in done.stderr


def test_a_call_of_another_architecture_is_refused():
    with pytest.raises(ValueRefused, match="s390_pci_mmio_read: x86_64 has no such system call"):
        program("syscount", "x86_64", syscall=("s390_pci_mmio_read",))
    # Programs of 32 bits have it there.
    assert "(uint64)4294967301" in program("syscount", "aarch64", syscall=("open",))


def host(name, arch):
    return dataclasses.replace(next(distinguishable_hosts(find_recipe(name).recipe)), arch=arch)


def program(name, arch, **texts):
    loaded = find_recipe(name)
    return render_program(loaded, parse_given(loaded.recipe, texts), host(name, arch)).text


@pytest.mark.parametrize("name", ["syscount", "syscall-latency"])
def test_each_architecture_tells_32_bit_programs_by_its_own_flag(name):
    assert "thread_info.status & 2)" in program(name, "x86_64")
    assert "thread_info.flags & 4194304)" in program(name, "aarch64")
    assert "thread_info" not in program(name, "riscv64")


def test_excluded_calls_and_wanted_ones_go_together():
    text = program("syscall-latency", "riscv64", syscall=("read",), exclude=("futex", "ppoll"))
    wanted, excluded = "(($call == (uint64)63))", "(($call == (uint64)98) || ($call == (uint64)73))"
    assert f"if ({wanted} && !{excluded}) {{" in text
    assert "&& !" not in program("syscall-latency", "riscv64", syscall=("read",))


TABLE = TableDeclaration(
    "t", "@t", "count", "calls", (KeyDeclaration("syscall", "syscall"), KeyDeclaration("error", "error"))
)


def test_calls_of_two_interfaces_that_have_one_name_are_one_row():
    pairs = {"257,2": 3, f"{295 | COMPAT},2": 4, f"{257 | COMPAT},2": 5}
    evidence = Evidence.of((0, 21, 0))
    line = json.dumps({"type": "map", "data": {"@t": pairs}})
    messages = read_messages(f"{line}\n".encode(), evidence)
    context = Context(evidence.dialect, Names("little", arch="x86_64"), 4096)
    ((table,), problems) = decode_tables([TABLE], messages, context)
    assert problems == []
    rows = {(row["key"]["syscall"], row["key"]["error"]): row["value"] for row in table["rows"]}
    assert rows == {("openat", "ENOENT"): 7, ("remap_file_pages", "ENOENT"): 5}


def test_saved_output_is_named_by_the_host_that_it_came_from():
    text = render_for_node(find_recipe("syscount"), {}, host("syscount", "aarch64"))
    mark = re.search(r"ebpf-recipe/rendered/v1 [A-Za-z0-9+/=]+", text)[0]
    end = re.search(r"@zzzz_end = (\d+)", text)[1]
    lines = [
        {"type": "printf", "data": f"{mark}\n"},
        {"type": "map", "data": {"@calls": {"7,97,0,56": 3, f"7,97,0,{322 | COMPAT}": 2}}},
        {"type": "map", "data": {"@calls_total": 5}},
        {"type": "map", "data": {"@zzzz_end": int(end)}},
    ]
    capture = decode(["\n".join(map(json.dumps, lines)).encode() + b"\n"])
    (row,) = capture["tables"][0]["rows"]
    assert row == {"key": {"pid": 7, "comm": "a", "syscall": "openat"}, "value": 5}


@pytest.mark.parametrize(
    ("arch", "numbers"),
    [
        ("x86_64", [7, 7 | X32, 168 | COMPAT, 202, 202 | X32, 240 | COMPAT]),
        # arm64 itself has no poll; its 32-bit programs have.
        ("aarch64", [168 | COMPAT, 98, 240 | COMPAT]),
        ("riscv64", [98]),
    ],
)
def test_a_template_names_calls_whatever_their_numbers_are(arch, numbers):
    condition = " || ".join(f"$n == (uint64){number}" for number in numbers)
    assert named_calls(arch)("$n", "poll", "futex") == f"({condition})"


def test_a_call_that_an_architecture_does_not_have_is_never_made_there():
    assert named_calls("aarch64")("$n", "arch_prctl") == "(0)"


@pytest.mark.parametrize(
    ("given", "why"),
    [(("$n", "pol", "poll"), "no architecture has a system call pol$"), (("$n",), "with names"), ((7, "poll"), "with names")],
)  # fmt: skip
def test_what_names_no_call(given, why):
    with pytest.raises(TypeError, match=why):
        named_calls("x86_64")(*given)
