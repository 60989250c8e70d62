"""A function by its name: what is taken, what is refused, and what of it enters a program."""

import dataclasses
import subprocess
import sys

import pytest

from runner.errors import HostRefused, ValueRefused
from runner.host.facts import FunctionPlace
from runner.recipe.catalogue import find_recipe
from runner.recipe.function import parse_called_function, parse_function
from runner.recipe.given import parse_given
from runner.recipe.render import render_program
from tests.command import ebpf_recipe
from tests.test_catalogue import NOWHERE


def rendered(recipe, *texts, **facts):
    loaded = find_recipe(recipe)
    values = parse_given(loaded.recipe, {"function": texts})
    return render_program(loaded, values, dataclasses.replace(NOWHERE, **facts)).text


@pytest.mark.parametrize(
    ("text", "kind", "path", "symbol", "address"),
    [
        ("/usr/sbin/nginx:ngx_http_close", "uprobe", "/usr/sbin/nginx", "ngx_http_close", None),
        ("/usr//sbin/nginx:x", "uprobe", "/usr/sbin/nginx", "x", None),
        ("/opt/a b/it's (1), 2#+~%@=:x", "uprobe", "/opt/a b/it's (1), 2#+~%@=", "x", None),
        ("/bin/x:0x1A2b", "uprobe", "/bin/x", None, 0x1A2B),
        ("/bin/x:ns::f(int)", "uprobe", "/bin/x", "ns::f(int)", None),
        ("/bin/x:main.(*T).Do", "uprobe", "/bin/x", "main.(*T).Do", None),
        ("/proc/7/root/bin/x:f", "uprobe", "/proc/7/root/bin/x", "f", None),
        ("libc:malloc", "uprobe", "libc", "malloc", None),
        ("libstdc++.so.6:x", "uprobe", "libstdc++.so.6", "x", None),
        ("vfs_read", "kprobe", "", "vfs_read", None),
        ("foo.isra.0", "kprobe", "", "foo.isra.0", None),
        ("tracepoint:sched:sched_switch", "tracepoint", "", "sched:sched_switch", None),
    ],
)
def test_what_is_a_function(text, kind, path, symbol, address):
    found = parse_function(text)
    assert (found.kind, found.path, found.symbol, found.address) == (kind, path, symbol, address)
    assert found.json() == text


@pytest.mark.parametrize(
    "text",
    [
        "", ":", ":f", "/bin/x", "/bin/x:", "bin/x:f", "./x:f", "/bin/x:0x", "/bin/x:0xg", f"/bin/x:0x{'1' * 17}",
        "/bin/*:f", "/bin/x:f*", "vfs_*", "vfs_?", "/bin/x?:f", "/bin/[x]:f", '/a"b:f', "/a\\b:f", "/a\nb:f",
        "/a{b:f", "/a$1:f", "/bin/x:f\ng", "/bin/x:f\x07", "/bin/\udcff:f", "/bin/ü:f", "uprobe:/bin/x:f",
        "kprobe:vfs_read", "tracepoint:sched", "tracepoint:sched:x*", "tracepoint:a:b:c", "a b", "-", "1x",
        "/" + "a" * 5000 + ":f",
    ],
)  # fmt: skip
def test_what_is_none(text):
    with pytest.raises(ValueError):
        parse_function(text)


def test_a_tracepoint_does_not_return():
    with pytest.raises(ValueError, match="does not return"):
        parse_called_function("tracepoint:sched:sched_switch")
    assert parse_called_function("vfs_read").probe == "kprobe:vfs_read"


def test_without_one_there_is_nothing_to_run():
    done = ebpf_recipe("run", "function-calls")
    assert done.returncode == 3
    assert "function-calls needs --function FUNCTION" in done.stderr
    assert "such as --function /usr/sbin/nginx:ngx_http_process_request" in done.stderr


def test_what_is_refused_is_named_with_what_it_may_be():
    done = ebpf_recipe("run", "function-latency", "--function", "tracepoint:sched:sched_switch")
    assert done.returncode == 3
    assert "a tracepoint is passed, and does not return" in done.stderr
    assert "--function takes PATH:SYMBOL, PATH:0xADDRESS or a kernel function" in done.stderr


def test_help_and_show_say_that_it_is_required():
    assert "required]" in " ".join(ebpf_recipe("run", "function-calls", "--help").stdout.split())
    assert "; required)" in " ".join(ebpf_recipe("show", "function-calls").stdout.split())


def test_a_kernel_function_is_probed_where_it_is_entered_and_where_it_returns():
    probes = {"kprobe:vfs_read": ()}
    text = rendered("function-latency", "vfs_read", probes=probes)
    assert "\nkprobe:vfs_read\n/1 && 1/\n{" in text
    assert "\nkretprobe:vfs_read\n/1 && 1/\n{" in text
    assert "@depth[tid, $function] = $frame;" in text
    assert 'reg("sp")' not in text
    calls = rendered("function-calls", "vfs_read", "tracepoint:sched:sched_switch", probes=probes)
    assert calls.startswith("kprobe:vfs_read\n")
    assert "\ntracepoint:sched:sched_switch\n" in calls


@pytest.mark.parametrize(
    ("arch", "word_bytes", "left"),
    [("x86_64", 8, 'reg("sp") - 8;'), ("x86_64", 4, 'reg("sp") - 4;'), ("aarch64", 8, 'reg("sp");')],
)
def test_a_call_is_known_by_its_frame(arch, word_bytes, left):
    place = FunctionPlace("/bin/x", "f", word_bytes=word_bytes)
    text = rendered("function-latency", "/bin/x:f", arch=arch, functions={"/bin/x:f": (place,)})
    assert text.count('$frame = (uint64)reg("sp");') == (2 if arch == "aarch64" else 1)
    assert f"$frame = (uint64){left}" in text
    assert "@depth" not in text


def test_elsewhere_a_call_is_known_by_its_depth():
    assert "@depth" in rendered("function-latency", "/bin/x:f", arch="s390x")


def test_a_function_of_several_files_is_one_in_each_process():
    places = (
        FunctionPlace("/bin/x", "f", pids=(3, 5)),
        FunctionPlace("/proc/7/root/bin/x", "0x1f", pids=(7,)),
    )
    text = rendered("function-latency", "/bin/x:f", functions={"/bin/x:f": places})
    for kind in ("uprobe", "uretprobe"):
        assert f'\n{kind}:"/bin/x":f\n/1 && (pid == 3 || pid == 5)/' in text
        assert f'\n{kind}:"/proc/7/root/bin/x":0x1f\n/1 && (pid == 7)/' in text
    assert text.count("$function = (uint64)0;") == 4


def test_the_same_function_twice_is_one():
    assert rendered("function-calls", "/bin/x:f", "/bin/x:f") == rendered("function-calls", "/bin/x:f")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ('/bin/x":f { system("id") } uprobe:"/bin/x', "f"),
        ("/bin/x\n", "f"),
        ("bin/x", "f"),
        ("/bin/x", "f { }"),
        ("/bin/x", "*"),
        ("/bin/x", '"f*"'),
        ("/bin/x", '"f" {'),
        ("/bin/x", ""),
        ("/bin/x", "0x1F"),
        ("/bin/x", "f+1"),
    ],
)
def test_facts_from_a_file_cannot_put_anything_else_into_a_program(path, location):
    place = FunctionPlace(path, location)
    with pytest.raises(HostRefused, match="not every bpftrace takes the attach point"):
        rendered("function-calls", "/bin/x:f", functions={"/bin/x:f": (place,)})


def test_where_nobody_looked_it_is_attached_as_it_was_asked_for():
    text = rendered("function-calls", "/bin/x:f", "/bin/x:0x1F", "/bin/x:_ZN$1f")
    assert [line for line in text.splitlines() if line.startswith("uprobe")] == [
        'uprobe:"/bin/x":f', 'uprobe:"/bin/x":0x1f', 'uprobe:"/bin/x":"_ZN$1f"'
    ]  # fmt: skip
    for text in ("libc:malloc", "/bin/x:ns::f(int)"):
        with pytest.raises(HostRefused, match="has to be looked up on the host itself"):
            rendered("function-calls", text)


def test_a_host_without_the_function_cannot():
    for name in ("vfs_read", "tracepoint:sched:nothing"):
        probe = name if ":" in name else f"kprobe:{name}"
        with pytest.raises(HostRefused, match=f"the kernel has no {probe}"):
            rendered("function-calls", name, probes={probe: None})


def test_nobody_else_pays_for_the_reader_of_elf_files():
    code = "import sys, runner.plan, runner.cli.run; sys.exit(any(n.startswith('elftools') for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_recipe_has_one_function_parameter_where_it_has_such_a_key():
    from pydantic import ValidationError

    from runner.recipe.model import Recipe
    from runner.recipe.model_given import Parameter

    document = find_recipe("function-calls").recipe.model_dump(by_alias=True)
    with pytest.raises(ValidationError, match="one is a function where a key is"):
        Recipe.model_validate({**document, "parameters": []})
    with pytest.raises(ValidationError, match="what has a default is not required"):
        Parameter(name="x", type="port", description="x", required=True, default="1")
    with pytest.raises(ValidationError, match="only a function returns"):
        Parameter(name="x", type="port", description="x", returns=True)


def test_what_is_asked_for_with_a_facts_script_is_asked_by_it():
    done = ebpf_recipe("render", "function-calls", "--facts-script", "--function", "vfs_read")
    assert "\nkprobe kprobe vfs_read\n" in done.stdout
    assert ebpf_recipe("render", "function-calls", "--facts-script").returncode == 0


def test_a_wrong_value_is_refused_before_anything_else(tmp_path):
    with pytest.raises(ValueRefused, match="a wildcard names many functions"):
        parse_given(find_recipe("function-calls").recipe, {"function": ("vfs_*",)})
