"""Programs for hosts without anything of ours: they say what they are, and their output is decoded anywhere."""

import base64
import dataclasses
import json
import re
import subprocess

import orjson
import pytest

from runner.bpftrace.version import Bpftrace, features_of
from runner.decode import decode
from runner.errors import NotUnderstood
from runner.host.facts import HostFacts
from runner.host.facts_file import decode_facts, encode_facts, facts_script
from runner.recipe.catalogue import find_recipe
from runner.rendered import render_for_node
from tests.command import RECORDINGS, ebpf_recipe

RECIPE = "tcp-retrans"


def recorded(release):
    return json.loads(next(path for path in RECORDINGS if release in path.name).read_text())


def facts_of(release):
    facts = recorded(release)["facts"]
    probes = {probe: fields and tuple(fields) for probe, fields in facts["probes"].items()}
    features = frozenset(facts["bpftrace_features"])
    return HostFacts(**{**facts, "probes": probes, "bpftrace_features": features})


def rendered(release, **texts):
    return render_for_node(find_recipe(RECIPE), texts, facts_of(release))


def output_of(program, release):
    """Return what a node would have printed: the maps of a recorded run behind what the program says itself."""
    mark = re.search(r"ebpf-recipe/rendered/v1 [A-Za-z0-9+/=]+", program)[0]
    end = re.search(r"@zzzz_end = (\d+)", program)[1]
    lines = [
        line
        for line in recorded(release)["stdout"]
        if line.startswith('{"type": "') and "@zzzz_end" not in line
    ]
    lines = [line for line in lines if '"printf"' not in line]
    said = ({"type": "printf", "data": f"{mark}\n"}, {"type": "printf", "data": "ebpf-recipe/began 1000000000\n"},
            {"type": "time", "data": "ebpf-recipe/time 1795471131\n"})  # fmt: skip
    last = [{"type": "printf", "data": "ebpf-recipe/ended 6500000000\n"}]
    return "\n".join(
        [
            *map(json.dumps, said),
            *map(json.dumps, last),
            *lines,
            f'{{"type": "map", "data": {{"@zzzz_end": {end}}}}}',
            "",
        ]
    ).encode()


@pytest.mark.parametrize("release", ["0.17.0", "0.23.2", "0.27.1"])
def test_the_output_of_a_rendered_program_is_the_capture_of_the_recipe(release):
    output = output_of(rendered(release, comm=("nginx",)), release)
    done = ebpf_recipe("run", RECIPE, "--comm", "nginx", "--replay",
                       str(next(path for path in RECORDINGS if release in path.name)))  # fmt: skip
    replayed = json.loads(done.stdout)
    for size in (1, 1000, len(output)):
        capture = decode([output[i : i + size] for i in range(0, len(output), size)])
        assert capture["recipe"] == replayed["recipe"]
        assert capture["target"] == {"comm": ["nginx"]}
        assert capture["program"] == replayed["program"]
        assert capture["quality"]["grade"] == "usable", capture["quality"]
        assert capture["window"]["started_at"] == "2026-11-23T21:58:51.000Z"
        assert (capture["window"]["attached_at"], capture["window"]["duration_seconds"]) == (None, 5.5)
        assert capture["host"]["hostname"] is None
        assert capture["host"]["bpftrace"] == release
        assert capture["messages"] == []
    totals = {t["name"]: t["rows"] for t in capture["tables"] if "total_of" in t}
    assert totals == {t["name"]: t["rows"] for t in replayed["tables"] if "total_of" in t}


def test_output_that_was_cut_is_void():
    output = output_of(rendered("0.23.2"), "0.23.2")
    capture = decode([output[: output.rindex(b'{"type": "map"')]])
    assert {problem["code"] for problem in capture["quality"]["problems"]} == {"output-incomplete"}
    assert capture["quality"]["grade"] == "void"


def test_void_output_fails_after_the_capture_is_written(tmp_path):
    output = output_of(rendered("0.23.2"), "0.23.2")
    saved = tmp_path / "cut.out"
    saved.write_bytes(output[: output.rindex(b'{"type": "map"')])
    for form in ("json", "jsonl", "table"):
        done = ebpf_recipe("decode", str(saved), "-f", form)
        assert done.returncode == 5
        assert "the run was void: bpftrace did not print its last map" in done.stderr
        assert done.stdout


def changed(output, **changes):
    match = re.search(rb"(rendered/v1 )([A-Za-z0-9+/=]+)", output)
    header = orjson.loads(base64.b64decode(match[2])) | changes
    return output.replace(match[2], base64.b64encode(orjson.dumps(header)))


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (b"began 1000000000", b"began 99999999999999999999"),
        (b"ended 6500000000", b"ended 1"),
        (b"ended 6500000000", b"ended 99999999999999999999"),
        (b"time 1795471131", b"time 999999999999"),
    ],
)
def test_times_that_no_clock_shows_are_refused(said, wrong):
    output = output_of(rendered("0.27.1"), "0.27.1")
    assert said in output
    with pytest.raises(NotUnderstood, match="at no time that a clock shows"):
        decode([output.replace(said, wrong)])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"program_sha256": "0"}, "another program"),
        ({"given": {"port": ["80"]}}, "another program"),
        ({"given": {"port": ["0x"]}}, "cannot be made again"),
        ({"given": {"nothing": ["1"]}}, "cannot be made again"),
        ({"recipe": "../x"}, "cannot be made again"),
        ({"recipe": 7}, "cannot be made again"),
        ({"facts": []}, "cannot be made again"),
        ({"facts": {"bpftrace": "0.1"}}, "cannot be made again"),
        ({"end_value": "x"}, "cannot be made again"),
    ],
)
def test_output_of_a_program_that_we_would_not_make_is_refused(changes, said):
    with pytest.raises(NotUnderstood, match=said):
        decode([changed(output_of(rendered("0.23.2"), "0.23.2"), **changes)])


def test_a_recipe_that_is_asked_for_must_be_that():
    output = output_of(rendered("0.23.2"), "0.23.2")
    assert decode([output], recipe=RECIPE)["recipe"]["id"] == RECIPE
    with pytest.raises(NotUnderstood, match="is of tcp-retrans, not of biolatency"):
        decode([output], recipe="biolatency")
    with pytest.raises(NotUnderstood, match="was not rendered, not of tcp-retrans"):
        decode([b"@a: 1\n"], recipe=RECIPE)


def test_damaged_headers_are_refused():
    output = output_of(rendered("0.23.2"), "0.23.2")
    place = output.index(b"rendered/v1 ") + 20
    with pytest.raises(NotUnderstood, match="cannot be made again"):
        decode([output[:place] + b"AAAA" + output[place + 4 :]])


def test_facts_are_written_and_read():
    # What a release can do is known by who reads them.
    facts = dataclasses.replace(facts_of("0.27.1"), bpftrace_features=features_of("0.27.1"))
    assert decode_facts(encode_facts(facts), features_of, "a file") == facts


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"null", b'{"schema": "ebpf-recipe/facts/v1"}', b'{"schema": 5}', b"\xff"]
)
def test_a_file_without_facts(raw):
    with pytest.raises(NotUnderstood, match="no facts"):
        decode_facts(raw, features_of, "a file")


def test_the_shell_script_is_sound_and_quotes_what_it_is_given():
    script = facts_script(
        "x",
        {"tracepoint:tcp:tcp_probe", "kprobe:tcp_sendmsg", "fexit:inet_recvmsg"},
        {"NET_RX_SOFTIRQ": "irq:softirq_entry"},
    )
    assert subprocess.run(["sh", "-n"], input=script.encode(), check=False).returncode == 0
    assert "kprobe kprobe tcp_sendmsg" in script
    assert "fentry fexit inet_recvmsg" in script
    assert "tracepoint tcp tcp_probe" in script
    assert "enum NET_RX_SOFTIRQ irq/softirq_entry" in script


def test_a_rendered_program_says_how_to_run_it():
    old, new = rendered("0.17.0"), rendered("0.27.1")
    assert old.startswith("// tcp-retrans for bpftrace 0.17.0")
    assert "BPFTRACE_MAP_KEYS_MAX=" in old
    assert "--no-warnings" in new
    assert Bpftrace("x", (0, 27, 1)).settings(max_map_keys=5, buffer_pages=None)[0].startswith("config")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--facts", "--facts-script"), 2, "do not go together"),
        (("--host", "/nonexistent"), 6, "No such file"),
        (("--host", "/etc/hostname"), 6, "holds no facts"),
        (("--port", "0x"), 3, "--port"),
    ],
)
def test_mistakes_are_named(arguments, code, said):
    done = ebpf_recipe("render", RECIPE, *arguments)
    assert done.returncode == code
    assert said in done.stderr
