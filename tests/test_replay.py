"""Recorded runs of three bpftrace releases decode to what those runs counted."""

import json

import orjson
import pytest
from jsonschema import Draft202012Validator

from runner.bpftrace.recording import Moment, Recording, read_recording, write_recording
from runner.capture.schema import capture_schema
from tests.command import RECORDINGS, ebpf_recipe

recorded = pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)


def replayed(path, *arguments):
    done = ebpf_recipe("run", "tcp-retrans", "--comm", "nginx", "--replay", str(path), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_three_releases_are_recorded():
    assert [path.stem.rpartition("-")[2] for path in RECORDINGS] == ["0.17.0", "0.23.2", "0.27.1"]


@recorded
def test_the_capture_is_what_the_schema_says(path):
    Draft202012Validator.check_schema(capture_schema())
    Draft202012Validator(capture_schema()).validate(json.loads(replayed(path)))


@recorded
def test_its_figures_are_those_that_bpftrace_printed(path):
    capture = json.loads(replayed(path))
    tables = {table["name"]: table["rows"] for table in capture["tables"]}
    printed = [json.loads(line) for line in json.loads(path.read_text())["stdout"] if line.startswith("{")]
    maps = {name: data for line in printed if line["type"] == "map" for name, data in line["data"].items()}
    assert tables["retransmits_total"][0]["value"] == maps["@retransmits_total"]
    rows = tables["retransmits"]
    assert sum(row["value"] for row in rows) == maps["@retransmits_total"]
    assert len(rows) == len(maps["@retransmits"])
    assert {row["key"]["comm"] for row in rows} == {"nginx"}
    assert {row["key"]["remote_address"] for row in rows} == {"10.99.0.2"}
    # Nobody listened during the run: the listening socket is held by several processes of one name.
    assert {(row["key"]["pid"], row["key"]["comm"]) for row in tables["synack_retransmits"]} <= {
        (None, "nginx")
    }
    assert capture["host"]["bpftrace"] == path.stem.rpartition("-")[2]
    assert capture["window"]["recorded"] is True
    assert capture["quality"] == {"grade": "usable", "problems": []}


@recorded
def test_a_table_says_that_it_is_recorded(path):
    text = replayed(path, "-f", "table")
    assert text.startswith("RECORDED, not measured now")
    assert "retransmits: " in text


def test_other_filters_are_another_program():
    done = ebpf_recipe("run", "tcp-retrans", "--replay", str(RECORDINGS[0]))
    assert done.returncode == 3
    assert "another program" in done.stderr


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema": "x"}', '{"schema": "ebpf-recipe/recording/v1"}', "\0"]
)
def test_what_is_no_recording_is_refused(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    done = ebpf_recipe("run", "tcp-retrans", "--replay", str(path))
    assert done.returncode == 6
    assert "is not a recording" in done.stderr


@pytest.mark.parametrize("raw", [b"", b"text\n", b"\xff\n\n", b"no newline"])
def test_a_recording_keeps_every_byte(tmp_path, raw):
    now = Moment.now()
    recording = Recording(now, 5, now, now, bytearray(raw), bytearray(raw), -2)
    path = tmp_path / "r.json"
    path.write_bytes(write_recording(recording, room=7))
    again, context = read_recording(path)
    assert (again, context["room"]) == (recording, 7)
    assert orjson.loads(path.read_bytes())["schema"] == "ebpf-recipe/recording/v1"


def test_report_shows_a_saved_capture(tmp_path):
    path = tmp_path / "capture.json"
    path.write_text(replayed(RECORDINGS[0]))
    shown = ebpf_recipe("report", str(path))
    assert shown.returncode == 0
    assert shown.stdout == replayed(RECORDINGS[0], "-f", "table")


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "ebpf-recipe/capture/v2"}', "[1"])
def test_report_refuses_what_is_no_capture(tmp_path, text):
    path = tmp_path / "capture.json"
    path.write_text(text)
    done = ebpf_recipe("report", str(path))
    assert done.returncode == 6
    assert str(path) in done.stderr
    assert ebpf_recipe("report", str(tmp_path / "none.json")).returncode == 6


def test_a_load_that_failed_has_failed_in_its_recording_too(tmp_path):
    argv = ["curl", {"text": "\ufffd", "base64": "/w=="}]
    document = json.loads(RECORDINGS[0].read_text())
    document |= {"workload": {"argv": argv, "exit_code": 28}, "ended_by": "workload"}
    path = tmp_path / "recorded.json"
    path.write_text(json.dumps(document))
    capture = json.loads(replayed(path))
    assert capture["quality"]["grade"] == "degraded"
    assert [problem["code"] for problem in capture["quality"]["problems"]][:1] == ["workload-failed"]
    assert capture["window"]["workload"] == {"argv": argv, "exit_code": 28}
