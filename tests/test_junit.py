"""JUnit XML: what counts, what fails, and that any name of anybody leaves it well-formed."""

import xml.parsers.expat
from xml.etree import ElementTree as ET

import pytest

from runner.capture.encode import encode_capture
from runner.report.junit import junit_of_comparison, junit_of_gates
from tests.captures import capture, count
from tests.command import ebpf_recipe
from tests.comparison_documents import (
    HOSTILE,
    comparison,
    empty,
    exploratory,
    gate,
    hostile,
    primary,
    problem,
)

ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "testcase": {"name", "time", "classname"},
    "properties": set(),
    "property": {"name", "value"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
}
"""Elements and attributes of junit-10.xsd (of Jenkins' xunit plugin) that are used."""
INSIDE = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out"},
    "testcase": {"failure", "error", "skipped", "system-out"},
    "properties": {"property"},
}


def parse(data):
    """The root, of bytes that are well-formed and follow the schema, and whose figures add up."""
    strict = xml.parsers.expat.ParserCreate()
    strict.Parse(data, True)
    assert data.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    root = ET.fromstring(data)  # noqa: S314  # ours
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ALLOWED[element.tag]
        assert {child.tag for child in element} <= INSIDE.get(element.tag, set())
    for suite in [root, *root]:
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        float(suite.get("time"))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if suite is not root or name != "skipped":
                assert suite.get(name) == str(len(list(suite.iter(tag))))
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)
    return root


def outcomes(root):
    return {
        case.get("name"): next((child.tag for child in case if child.tag != "system-out"), "pass")
        for case in root.iter("testcase")
    }


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("better", "pass"),
        ("same", "pass"),
        ("changed", "pass"),
        ("worse", "failure"),
        ("inconclusive", "skipped"),
    ],
)
def test_a_verdict_is_a_testcase(word, outcome):
    root = parse(junit_of_comparison(comparison(word)))
    assert outcomes(root) == {"latency.above(5ms)": outcome}
    told = root.find(".//testcase")[0]
    assert told.text.startswith(f"{word}: the reason of {word}\n")
    assert "before 1.2%, after 3.3%, shift +2.1 percentage points, 99% interval +1.2 to +3" in told.text
    assert ("record anew: record 8 new runs" in told.text) == (word == "inconclusive")
    if outcome != "pass":
        assert told.get("message") == f"{word}: the reason of {word}"
        assert told.get("type") == word


def test_gates_and_unreadable_files_are_testcases_and_other_rows_are_not():
    root = parse(
        junit_of_comparison(
            comparison(
                tables=[primary(), exploratory()],
                gates=[
                    gate(),
                    gate("fail", text="a.total = 0"),
                    gate("inconclusive", text="b.p99 <= 1ms"),
                    gate("inconclusive", "pass", text="c.p99 <= 1ms"),
                ],
                problems=[
                    problem("unreadable", left_out=True, files=["x.json"], detail="cut off"),
                    problem("not-a-capture", left_out=True, files=["y.json"]),
                    problem("void", left_out=True, files=["z.json"]),
                    problem("other-kernel"),
                ],
            )
        )
    )
    assert outcomes(root) == {
        "latency.above(5ms)": "pass",
        "gate latency.p99 <= 10ms": "pass",
        "gate a.total = 0": "failure",
        "gate b.p99 <= 1ms": "failure",
        "gate c.p99 <= 1ms": "skipped",
        "readable x.json": "error",
        "readable y.json": "error",
    }
    assert root.get("failures") == "2"
    assert root.get("errors") == "2"
    suite = root.find("testsuite")
    assert suite.get("skipped") == "1"
    assert "left out, after: void: it differs (z.json)" in suite.find("system-out").text
    error = root.find(".//error")
    assert error.get("message") == "left out, after: unreadable: cut off (x.json)"
    assert suite.get("name") == "compare runqlat --above 5ms"
    # Twelve runs of 10 s.
    assert suite.get("time") == "120.000"


def test_a_comparison_of_nothing_has_a_testcase_too():
    assert outcomes(parse(junit_of_comparison(empty()))) == {"verdict": "skipped"}
    assert outcomes(parse(junit_of_comparison(empty("worse")))) == {"verdict": "failure"}


def test_two_outcomes_of_one_name_are_two_testcases():
    root = parse(junit_of_comparison(comparison(gates=[gate(), gate("fail")])))
    assert outcomes(root)["gate latency.p99 <= 10ms (2)"] == "failure"


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_leaves_it_well_formed(name):
    root = parse(junit_of_comparison(hostile(name)))
    if name.isprintable():
        assert any(name in case.get("name") for case in root.iter("testcase"))
    made = capture()
    made["recipe"] = {"id": name}
    made["run_id"] = name
    made["host"]["hostname"] = name
    made["gates"] = [gate("fail", text=name, reason=name)]
    parse(junit_of_gates([made]))


def test_what_xml_cannot_hold_is_shown():
    root = parse(junit_of_comparison(comparison(reason="\x1b[2J \x00 \ud800 \ufffe é 東 😀")))
    reason = next(each for each in root.iter("property") if each.get("name") == "reason")
    assert reason.get("value") == "\\x1b[2J \\x00 \\ud800 \\ufffe é 東 😀"


def run(run_id="r1", gates=(), **window):
    made = capture(count("drops", {"a": 3}), window=window)
    made["run_id"] = run_id
    made["recipe"] = {"id": "packet-drops"}
    return made | ({"gates": list(gates)} if gates else {})


def test_each_gate_of_each_run_is_a_testcase():
    root = parse(
        junit_of_gates(
            [
                run("r1", [gate(), gate("fail", text="drops.total = 0")]),
                run("r2", [gate("inconclusive", "pass")]),
            ]
        )
    )
    assert [suite.get("name") for suite in root] == ["packet-drops r1", "packet-drops r2"]
    assert [outcomes(suite) for suite in root] == [
        {"run": "pass", "gate latency.p99 <= 10ms": "pass", "gate drops.total = 0": "failure"},
        {"run": "pass", "gate latency.p99 <= 10ms": "skipped"},
    ]
    assert [suite.get("time") for suite in root] == ["10.000"] * 2
    assert root[0].get("timestamp") == "2026-11-24T10:00:00.000Z"
    failure = root.find(".//failure")
    assert failure.text == "gate drops.total = 0: fail (measured: 8 ms to 9.999 ms)"


def test_windows_of_one_run_have_its_gates_once():
    windows = [run("r1", [gate("fail")], index=number) for number in range(3)]
    root = parse(junit_of_gates(windows))
    assert outcomes(root) == {
        "window 1": "pass",
        "window 2": "pass",
        "window 3": "pass",
        "gate latency.p99 <= 10ms": "failure",
    }
    assert root.get("time") == "30.000"


@pytest.mark.parametrize(("exit_code", "outcome"), [(0, "pass"), (None, "pass"), (3, "error"), (-9, "error")])
def test_a_run_whose_command_failed_is_an_error(exit_code, outcome):
    root = parse(junit_of_gates([run(workload={"argv": ["./load.sh"], "exit_code": exit_code})]))
    assert outcomes(root) == {"run": outcome}
    if outcome == "error":
        assert root.find(".//error").get("message") == f"the command failed (exit code {exit_code})"


def test_a_void_run_is_an_error_that_says_why():
    made = capture(count("drops", {}), problems=[("probes-not-attached", None)])
    assert made["quality"]["grade"] == "void"
    made["gates"] = [gate("inconclusive", reason="…")]
    root = parse(junit_of_gates([made]))
    assert outcomes(root) == {"run": "error", "gate latency.p99 <= 10ms": "failure"}
    assert "probes-not-attached: " in root.find(".//error").text


def test_no_capture_at_all_is_an_empty_document():
    assert parse(junit_of_gates([])).get("tests") == "0"


def test_a_report_writes_its_gates_beside_the_table(tmp_path):
    saved, xml_file = tmp_path / "drops.json", tmp_path / "gates.xml"
    saved.write_bytes(encode_capture(capture(count("drops", {"a": 3}))))
    done = ebpf_recipe(
        "report",
        str(saved),
        "--gate",
        "drops.total = 0",
        "--gate",
        "drops.total < 5",
        "--junit",
        str(xml_file),
    )
    assert done.returncode == 1
    assert "drops: 3 packets" in done.stdout
    assert outcomes(parse(xml_file.read_bytes())) == {
        "run": "pass",
        "gate drops.total = 0": "failure",
        "gate drops.total < 5": "pass",
    }


def test_a_report_that_cannot_write_its_gates_says_so(tmp_path):
    saved = tmp_path / "drops.json"
    saved.write_bytes(encode_capture(capture(count("drops", {"a": 3}))))
    done = ebpf_recipe("report", str(saved), "--junit", str(tmp_path / "no" / "gates.xml"))
    assert done.returncode == 8
    assert not done.stdout
    assert "--junit FILE" in done.stderr
