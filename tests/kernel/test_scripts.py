"""Scripts that nobody wrote for us: their maps against what processes really did, and bpftrace's own tools."""

import base64
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.command import EBPF_RECIPE, ebpf_recipe
from tests.laboratory.children import child
from tests.laboratory.releases import release_of, tools_of

pytestmark = pytest.mark.kernel

OFFSETS = [0, 1, 7, 5000, 2**31, 2**53 + 1]

COUNTING = """#!/usr/bin/env bpftrace
// A BEGIN of its own, a comment that says BEGIN { @none[1, 2] = 1; } and a text that does.
BEGIN { printf("BEGIN { counting %s\\n", "@calls[1]: 5"); }
tracepoint:syscalls:sys_enter_lseek /args->fd == 77/ {
  @calls[comm] = count();
  @by_offset[comm, args->offset] = count();
  @all = count();
}
END { printf("done\\n"); }
"""

SHAPING = """
tracepoint:syscalls:sys_enter_lseek /args->fd == 77/ {
  @offsets[comm] = hist(args->offset); @statistics[comm, 1] = stats(args->offset); @calls[comm] = count();
}
"""


def run(path, bpftrace, *arguments, code=0):
    done = ebpf_recipe("run", str(path), "--bpftrace", bpftrace, "-f", "json", *arguments)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def seekers_load(tmp_path):
    report = tmp_path / "report.json"
    argv = [sys.executable, "-m", "tests.laboratory.seekers", str(report), *map(str, OFFSETS)]
    return argv, report


def raw(text):
    return base64.b64decode(text["base64"]) if isinstance(text, dict) else text.encode()


def table_of(capture, name):
    return next(table for table in capture["tables"] if table["name"] == name)


def test_names_and_counts_of_a_script_are_those_of_the_processes(bpftrace, tmp_path, figure):
    script = tmp_path / "counting.bt"
    script.write_text(COUNTING)
    argv, report = seekers_load(tmp_path)
    capture = run(script, bpftrace, "--", *argv)
    made = {base64.b64decode(each["name"]): each["calls"] for each in json.loads(report.read_text())}
    assert capture["quality"]["grade"] == "usable"
    assert {problem["code"] for problem in capture["quality"]["problems"]} <= {"repaired"}
    calls = table_of(capture, "calls")
    assert [column["name"] for column in calls["keys"]] == ["comm"]
    assert calls["kind"] == "count"
    assert {raw(row["key"]["comm"]): row["value"] for row in calls["rows"]} == made
    by_offset = table_of(capture, "by_offset")
    counted = {}
    for row in by_offset["rows"]:
        assert row["key"]["offset"] in OFFSETS
        name = raw(row["key"]["comm"])
        counted[name] = counted.get(name, 0) + row["value"]
    assert counted == made
    assert table_of(capture, "all")["rows"][0]["value"] == sum(made.values())
    texts = [m["text"] for m in capture["messages"] if m["type"] == "printf"]
    assert texts == ["BEGIN { counting @calls[1]: 5\n", "done\n"]
    assert capture["program"]["text"] == COUNTING
    figure(f"{len(made)} names, {sum(made.values())} calls: equal, by name and by name and offset")


def test_histograms_of_a_script(bpftrace, tmp_path, figure):
    script = tmp_path / "shaping.bt"
    script.write_text(SHAPING)
    argv, report = seekers_load(tmp_path)
    capture = run(script, bpftrace, "--", *argv)
    made = {base64.b64decode(each["name"]): each["calls"] for each in json.loads(report.read_text())}
    assert {raw(row["key"]["comm"]): row["value"] for row in table_of(capture, "calls")["rows"]} == made
    marked = 0
    for name, field in (("offsets", "count"), ("statistics", "count")):
        found = {}
        for row in table_of(capture, name)["rows"]:
            key = raw(row["key"]["comm"])
            is_marked = "ambiguous" in row
            # Since 0.24 nothing prints a text alone with its own parentheses: that is said.
            bare = {each.removeprefix(b"(").removesuffix(b")"): each for each in made}
            marked += is_marked
            found[bare.get(key, key) if is_marked and key not in made else key] = row[field]
        assert found == made, name
    codes = {problem["code"] for problem in capture["quality"]["problems"]}
    assert codes <= {"parentheses-lost", "rows-ambiguous", "repaired"}
    figure(
        f"{len(made)} names in histograms and statistics: all counts equal, {marked} rows marked ambiguous"
    )


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("BEGIN { @x = ; }", (), 5, "syntax"),
        ("kprobe:there_is_no_such_function { @ = count(); }", (), (4, 5), "ebpf-recipe: bpftrace"),
        ('BEGIN { system("true"); }', (), 5, "unsafe"),
        ("// nothing\n", (), 3, "has no probe"),
        ("\x00\xff { binary", (), 5, "ebpf-recipe:"),
    ],
)
def test_scripts_that_cannot_run_say_why(bpftrace, tmp_path, text, arguments, code, said):
    script = tmp_path / "broken.bt"
    script.write_text(text)
    done = ebpf_recipe("run", str(script), "-d", "500ms", "--bpftrace", bpftrace, *arguments)
    assert done.returncode in (code if isinstance(code, tuple) else (code,)), done.stderr
    assert said in done.stderr
    assert "bug of ours" not in done.stderr


def test_a_script_ends_itself_and_takes_arguments(bpftrace, tmp_path):
    script = tmp_path / "arguments.bt"
    script.write_text('BEGIN { printf("%d %s\\n", $1, str($2)); @x[$1] = 5; exit(); }')
    capture = run(script, bpftrace, "42", "a b")
    assert [m["text"] for m in capture["messages"] if m["type"] == "printf"] == ["42 a b\n"]
    assert capture["window"]["ended_by"] == "script"
    assert capture["parameters"] == {"arguments": ["42", "a b"]}
    assert table_of(capture, "x")["rows"] == [{"key": {"key": 42}, "value": 5}]


def test_messages_come_as_they_are_printed(bpftrace, tmp_path):
    script = tmp_path / "ticks.bt"
    script.write_text('interval:ms:200 { printf("tick\\n"); @n = count(); }')
    argv = [EBPF_RECIPE, "run", str(script), "-d", "2s", "--bpftrace", bpftrace, "-f", "jsonl"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        lines = [(time.monotonic(), json.loads(line)) for line in process.stdout]
    ticks = [when for when, line in lines if line.get("text") == "tick\n"]
    assert lines[-1][1]["schema"] == "ebpf-recipe/capture/v1"
    assert len(ticks) >= 5
    # The first came long before the end.
    assert lines[-1][0] - ticks[0] > 1
    assert lines[-1][1]["tables"][0]["rows"][0]["value"] == len(ticks)


NAMES_IN_JSON = re.compile(
    rb'^\{"type": "(?:map|hist|stats|tseries)", "data": \{"(@\w*)": (.*)\}\}$', re.MULTILINE
)
NAME_IN_TEXT = re.compile(rb"^(@\w*)(?:\[|:)", re.MULTILINE)


def printed_maps(output):
    """Return the maps that bpftrace printed, by name, without any of our readers."""
    names = {match[1].decode() for match in NAMES_IN_JSON.finditer(output)}
    return (names or {name.decode() for name in NAME_IN_TEXT.findall(output)}) - {"@zzzz_end", "@zzz_limit"}


def run_tool(tool, bpftrace, folder):
    """Run a tool with a bpftrace whose output is kept beside; return what it was and what we made of it."""
    kept = folder / f"{tool.stem}.out"
    wrapper = folder / f"{tool.stem}.sh"
    wrapper.write_text(
        f'#!/bin/bash\n[ "$1" = --version ] && exec {bpftrace} "$@"\nexec {bpftrace} "$@" > >(tee -i {kept})\n'
    )
    wrapper.chmod(0o755)
    done = subprocess.run(
        [EBPF_RECIPE, "run", str(tool), "-d", "1s", "--bpftrace", str(wrapper), "-f", "json", "--overhead", "off"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done, kept.read_bytes() if kept.exists() else b""


def test_every_map_that_bpftraces_own_tools_print_is_in_the_capture(bpftrace, tmp_path, figure):
    tools = tools_of(bpftrace)
    assert len(tools) > 30
    busy = [
        sys.executable,
        "-c",
        "import os,time\nwhile True: os.system('cat /etc/hosts >/dev/null; sync -d /etc/hosts'); time.sleep(.05)",
    ]
    with child(busy), concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda tool: run_tool(tool, bpftrace, tmp_path), tools))
    ran, maps, refused = 0, 0, []
    for tool, (process, output) in zip(tools, done, strict=True):
        if process.returncode != 0:
            assert process.returncode in (4, 5), process.stderr
            assert "bug of ours" not in process.stderr
            refused.append(tool.stem)
            continue
        ran += 1
        capture = json.loads(process.stdout)
        tables = [*capture["tables"], *(m["data"] for m in capture["messages"] if m.get("data", {}))]
        found = {table["map"] for table in tables if isinstance(table, dict) and "map" in table}
        assert printed_maps(output) == found, tool
        maps += len(found)
        codes = {problem["code"] for problem in capture["quality"]["problems"]}
        assert codes.isdisjoint({"lines-unreadable", "output-incomplete", "release-unclear"}), (tool, codes)
    assert ran > 10  # without kprobes the others have nothing to attach to
    figure(
        f"{release_of(bpftrace)}: {ran} of {len(tools)} tools run on this kernel, {maps} maps, none is missing"
    )


def test_ctrl_c_in_a_pipe_from_bpftrace_loses_nothing(bpftrace):
    """The signal reaches both ends: bpftrace prints its maps after it."""
    program = 'interval:ms:200 { printf("tick\\n"); @n = count(); }'
    pipe = f"{bpftrace} -f json -e '{program}' 2>/dev/null | {EBPF_RECIPE} decode -f jsonl -"
    with subprocess.Popen(["sh", "-c", pipe], stdout=subprocess.PIPE, start_new_session=True) as shell:
        first = json.loads(shell.stdout.readline())
        time.sleep(0.7)
        os.killpg(shell.pid, signal.SIGINT)
        *messages, last = [json.loads(line) for line in shell.stdout]
    assert first["text"] == "tick\n"
    assert last["tables"][0]["rows"] == [{"key": {}, "value": 1 + len(messages)}]


def test_what_the_host_lacks_is_no_mistake_of_the_script(bpftrace, tmp_path):
    path = tmp_path / "missing.bt"
    path.write_text("tracepoint:tcp:no_such_event { @ = count(); }")
    said = run(path, bpftrace, "-d", "1s", code=4)
    assert "[tracepoint-missing]" in said
    assert "mistake in the script" not in said
    path.write_text("tracepoint:tcp:tcp_probe { @ = no_such_function(); }")
    assert "mistake in the script" in run(path, bpftrace, "-d", "1s", code=5)
