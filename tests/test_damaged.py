"""Damaged recordings and captures: exit 6 and a reason, whatever is wrong with them."""

import json

import pytest

from tests.command import RECORDINGS, ebpf_recipe

RUN = ("run", "tcp-retrans", "--comm", "nginx", "--replay")
RECORDED = json.loads(RECORDINGS[2].read_text())


def damaged(document, path, value):
    *folders, last = path
    copy = json.loads(json.dumps(document))
    place = copy
    for folder in folders:
        place = place[folder]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["attached"], None), (["ended"], None), (["attached", "clock_ns"], None),
        (["attached", "clock_ns"], "5"), (["attached", "wall"], 5), (["facts", "bpftrace"], "new"),
        (["facts", "bpftrace"], 5), (["facts", "probes"], []), (["facts", "probes"], {}), (["facts", "cpus"], ...),
        (["ended_by"], "banana"), (["room"], "x"), (["exit_code"], "x"), (["end_value"], None),
        (["holders"], {"x": []}), (["holders"], {"5": [{"pid": 1, "name": "?"}]}), (["problems"], [5]),
        (["overhead"], {"x": 1}), (["stdout"], ['{"type": "lost_events", "data": {"events": null}}', ""]),
        (["stdout"], ['{"type": "helper_error", "helper": "x"}', ""]), (["stdout"], 5), (["stdout"], {"base64": 5}),
        (["stdout"], ['{"type": "map", "data": ' + "[" * 100_000, ""]),
    ],
)  # fmt: skip
def test_a_recording(tmp_path, path, value):
    file = tmp_path / "r.json"
    file.write_text(json.dumps(damaged(RECORDED, path, value)))
    done = ebpf_recipe(*RUN, str(file))
    assert done.returncode == 6, done.stderr
    assert done.stdout == ""


def test_text_that_is_no_unicode_is_kept_as_bytes(tmp_path):
    file = tmp_path / "r.json"
    lines = ['{"type": "printf", "data": "\\ud800"}', *RECORDED["stdout"]]
    file.write_text(json.dumps({**RECORDED, "stdout": lines}))
    done = ebpf_recipe(*RUN, str(file))
    assert done.returncode == 0, done.stderr
    assert "base64" in json.loads(done.stdout)["messages"][0]["text"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["tables", 0, "rows", 0, "key", "pid"], ...), (["tables", 0, "rows", 0, "value"], None),
        (["tables", 0, "rows", 0, "value"], "5"), (["tables", 0, "rows", 0, "value"], [5]),
        (["tables", 1, "rows", 0, "value"], {}),
    ],
)  # fmt: skip
def test_a_capture(tmp_path, path, value):
    capture = json.loads(ebpf_recipe(*RUN, str(RECORDINGS[2])).stdout)
    file = tmp_path / "c.json"
    file.write_text(json.dumps(damaged(capture, path, value)))
    done = ebpf_recipe("report", str(file))
    assert done.returncode == 6, done.stderr
    assert "table" in done.stderr


def test_a_void_capture_is_shown(tmp_path):
    lines = RECORDED["stdout"][:3]
    file = tmp_path / "r.json"
    file.write_text(json.dumps({**RECORDED, "stdout": [*lines, ""]}))
    done = ebpf_recipe(*RUN, str(file), "-f", "table")
    assert done.returncode == 0
    assert "void" in done.stdout.splitlines()[0]
