"""Functions in real programs: where each is, and why some cannot be probed."""

import os
import shutil
import struct
import subprocess

import pytest

from runner.errors import HostRefused, ValueRefused
from runner.host.elf import Binary, NotElf
from runner.host.functions import Asked, find_function
from runner.host.process_files import has_own_files, inside_of, mapped_file
from tests.laboratory.called import address_of, build

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")

SOURCE = """
__attribute__((noinline)) static int same(int x) { return x + 1; }
int other(int);
int data = 1;
__attribute__((noinline)) int dollar(int x) __asm__("_ZN4core$u7b$x");
int dollar(int x) { return x * 3; }
__attribute__((noinline)) int cxx(int x) __asm__("_ZN2ns5doingEi");
int cxx(int x) { return x * 5; }
static int (*choose(void))(int) { return other; }
int chosen(int) __attribute__((ifunc("choose")));
__asm__(".section .text\\n.globl unsized\\nunsized: ret\\n");
int main(int argc, char **argv) { return same(argc) + dollar(argc) + cxx(argc) + other(argc) + puts("x"); }
"""
SECOND = """
__attribute__((noinline)) static int same(int x) { return x + 2; }
int other(int x) { return same(x) + 1; }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("elf")


@pytest.fixture(scope="module")
def program(folder):
    for name, text in (("first.c", SOURCE), ("second.c", SECOND)):
        (folder / name).write_text(text)
    path = folder / "program"
    subprocess.run(
        ["gcc", "-O1", "-w", "-no-pie", "-o", path, folder / "first.c", folder / "second.c"], check=True
    )
    return path


@pytest.fixture(scope="module")
def stripped(program):
    path = program.with_name("stripped")
    subprocess.run(["strip", "-o", path, program], check=True)
    return path


def find(path, function, *, returns=False, pids=()):
    address = int(function, 16) if function.startswith("0x") else None
    symbol = None if address is not None else function
    return find_function(Asked(f"{path}:{function}", str(path), symbol, address, returns), pids)


def refusal(path, function, kind=ValueRefused, **more):
    with pytest.raises(kind) as refused:
        find(path, function, **more)
    return f"{refused.value.message} [{refused.value.hint}]"


def test_a_function_is_attached_by_its_name(program):
    (place,) = find(program, "main")
    assert (place.path, place.location, place.is_unsafe, place.word_bytes) == (str(program), "main", False, 8)
    said = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True).stdout
    assert f"Build ID: {place.build_id}\n" in said
    assert find(program, "_ZN4core$u7b$x")[0].location == '"_ZN4core$u7b$x"'


def test_an_address_inside_a_symbol_is_attached_as_it_is(program):
    address = address_of(program, "main")
    (place,) = find(program, f"0x{address:x}")
    assert (place.location, place.is_unsafe) == (f"0x{address:x}", False)


def test_an_address_without_a_symbol_is_attached_by_its_place_in_the_file(program, stripped):
    address = address_of(program, "main")
    (place,) = find(stripped, f"0x{address:x}")
    assert (place.location, place.is_unsafe) == (f"0x{address - 0x400000:x}", True)
    unsized = address_of(program, "unsized")
    (place,) = find(program, "unsized")
    assert (place.location, place.is_unsafe) == (f"0x{unsized - 0x400000:x}", True)


@pytest.mark.parametrize("name", ["program", "stripped"])
def test_an_address_in_the_middle_of_a_function_is_refused(program, stripped, name):
    address = address_of(program, "main")
    said = refusal(program.with_name(name), f"0x{address + 4:x}")
    assert f"0x{address + 4:x} is in the middle of the function" in said
    assert f"[it begins at {program.with_name(name)}:0x{address:x}]" in said


def test_what_is_no_code_is_refused(program):
    assert "there is no code" in refusal(program, "0x10")
    assert "there is no code" in refusal(program, f"0x{address_of(program, 'data'):x}")
    assert "there is no code" in refusal(program, "0xffffffffffffffff")
    assert "data is data of" in refusal(program, "data")


def test_what_is_not_there_is_named_with_what_is_near(program, stripped, tmp_path):
    assert "[there is main" in refusal(program, "mian")
    assert "is stripped" in refusal(stripped, "main")
    assert "there is no file" in refusal(tmp_path / "nothing", "f")
    assert "no regular file" in refusal(tmp_path, "f")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "no regular file" in refusal(fifo, "f")
    assert "calls puts in another library" in refusal(program, "puts")
    assert "IFUNC" in refusal(program, "chosen")


def test_names_of_cxx_are_shown_as_people_write_them(program):
    ctypes = pytest.importorskip("ctypes")
    try:
        ctypes.CDLL("libstdc++.so.6")
    except OSError:
        pytest.skip("no C++ library")
    assert "[there is _ZN2ns5doingEi (ns::doing(int))" in refusal(program, "ns::doing")
    assert "[there is _ZN2ns5doingEi (ns::doing(int))" in refusal(program, "ns::doing(int)")


def test_of_two_functions_with_one_name_only_the_first_can_be_attached(program):
    said = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in said.splitlines()]
    both = sorted(int(line[0], 16) for line in lines if line[-1] == "same")
    said = refusal(program, "same")
    assert "has 2 functions same" in said
    assert all(f"{program}:0x{address:x}" in said for address in both)
    attached = next(each for each in Binary(program).symbols if each.name == "same").address
    (other,) = set(both) - {attached}
    assert find(program, f"0x{attached:x}")[0].location == f"0x{attached:x}"
    assert "several functions same" in refusal(program, f"0x{other:x}", HostRefused)


def test_returns_of_go_are_not_probed(program):
    made_by_go = program.with_name("go")
    section = ["--add-section", f".gopclntab={program}"]
    subprocess.run(["objcopy", *section, program, made_by_go], check=True)
    assert "was made by Go" in refusal(made_by_go, "main", returns=True)
    assert find(made_by_go, "main")[0].location == "main"


def test_what_is_no_program_is_refused(tmp_path):
    script, text, cut = tmp_path / "script", tmp_path / "text", tmp_path / "cut"
    script.write_text("#!/bin/sh\n")
    text.write_text("hello")
    cut.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(20))
    assert "a script, whose interpreter is the program" in refusal(script, "f")
    assert "no program and no library" in refusal(text, "f")
    assert "no program and no library" in refusal(cut, "f")


def test_a_damaged_file_is_read_or_refused(program, tmp_path):
    whole = program.read_bytes()
    path = tmp_path / "damaged"
    for place in (*range(16, 64), *range(len(whole) - 2000, len(whole), 37)):
        path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        try:
            Binary(path)
        except NotElf:
            continue
    for size in range(0, len(whole), 499):
        path.write_bytes(whole[:size])
        try:
            Binary(path)
        except NotElf:
            continue


def test_symbols_of_a_separate_debug_file_are_those_that_bpftrace_sees(program, stripped, tmp_path):
    identity = Binary(stripped).build_id
    debug = tmp_path / identity[:2] / f"{identity[2:]}.debug"
    debug.parent.mkdir()
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    assert "main" not in Binary(stripped).by_name
    assert "main" in Binary(stripped, debug_files=tmp_path).by_name


def test_where_the_place_in_the_file_is_another_functions_address_it_is_refused(program, stripped, tmp_path):
    """bpftrace would take the place for an address: here a symbol is put where it would find it."""
    address = address_of(program, "main")
    path = tmp_path / "ambiguous"
    offset = address - 0x400000
    subprocess.run(
        ["objcopy", "--add-symbol", f"trap={offset - 8:#x},function,global", stripped, path], check=True
    )
    raw = bytearray(path.read_bytes())
    entry = struct.pack("<Q", offset - 8)
    place = raw.rindex(entry)
    raw[place + 8 : place + 16] = struct.pack("<Q", 64)  # its size
    path.write_bytes(raw)
    assert "for an address in trap" in refusal(path, f"0x{address:x}", HostRefused)


def test_a_library_by_its_name():
    (place,) = find("libc", "malloc")
    assert place.location == "malloc"
    assert "there is no library or program" in refusal("libnothing", "f")


def test_a_library_of_a_process():
    assert "libc" in mapped_file(os.getpid(), "libc")
    assert mapped_file(os.getpid(), "libnothing") is None
    (place,) = find("libc", "malloc", pids=[os.getpid()])
    assert place.path == mapped_file(os.getpid(), "libc")
    assert f"process {os.getpid()} has no 'libnothing'" in refusal("libnothing", "f", pids=[os.getpid()])
    assert "there is no such process" in refusal("/bin/sh", "f", pids=[1 << 22])


def test_our_own_files_are_not_another_processs(program):
    assert not has_own_files(os.getpid())
    (place,) = find(program, "main", pids=[os.getpid(), os.getpid()])
    assert place.path == str(program)


def test_links_inside_a_root_stay_inside_of_it(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("/usr/lib")
    (tmp_path / "usr/lib/c.so").symlink_to("../../../usr/lib/./c.so.6")
    (tmp_path / "loop").symlink_to("loop")
    assert inside_of(str(tmp_path), "/lib/c.so") == f"{tmp_path}/usr/lib/c.so.6"
    assert inside_of(str(tmp_path), "/lib/../nothing") == f"{tmp_path}/usr/nothing"
    assert inside_of(str(tmp_path), "/loop/x") == f"{tmp_path}/loop/x"


def test_the_load_of_the_laboratory_is_built(tmp_path):
    program = build(tmp_path)
    other = build(tmp_path, "-DOTHER", name="other")
    assert address_of(program, "empty") != address_of(other, "empty")


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_files_whose_functions_exceptions_may_pass_are_known(program, tmp_path):
    source, path = tmp_path / "throws.cc", tmp_path / "throws"
    source.write_text("int main(int argc, char **) { try { throw argc; } catch (int) { return 0; } }")
    subprocess.run(["g++", "-s", "-o", path, source], check=True)
    assert Binary(path).can_throw
    assert not Binary(program).can_throw
