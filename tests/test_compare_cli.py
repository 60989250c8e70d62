"""`ebpf-recipe compare`: its words, exit codes, forms and files; and a baseline that is kept."""

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.captures import ABOVE, LOG2, RATE, count, drops, in_turns, latency, run, table
from tests.command import ebpf_recipe
from tests.compared import checked, problems, run_compare, write

STEADY = [100, 101, 99, 100, 102]


def times(factor):
    return [round(factor * each) for each in STEADY]


def sides(folder, after=1.0, make=None, first=0):
    """Folders of both sides; the rate after is so many times that before."""
    more = {} if make is None else {"make": make}
    before, later = in_turns(STEADY, times(after), first=first, **more)
    return write(folder / "before", before), write(folder / "after", later)


# --- The command line ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("{b}", "--with", "{a}"),
        ("{b}", "--with={a}"),
        ("--with", "{a}", "--margin", "10%", "{b}"),
        ("-f", "json", "{b}/000.json", "{b}/001.json", "{b}/00[2-4].json", "--with", "{a}/000.json", "{a}/001.json", "{a}/00[2-4].json"),
        ("--with", "{a}/000.json", "--with", "{a}/00[1-4].json", "--margin", "10%", "{b}"),
        ("{b}", "--with", "{a}/000.json", "{a}/001.json", "{a}/002.json", "-f", "json", "--with", "{a}/003.json", "{a}/004.json"),
    ],
)  # fmt: skip
def test_all_that_follows_with_is_the_side_after(tmp_path, arguments):
    before, after = sides(tmp_path)
    document, stderr = run_compare(*(each.format(b=before, a=after) for each in arguments))
    assert [len(document["sides"][side]["runs"]) for side in ("before", "after")] == [5, 5]
    assert document["verdict"] == "same"
    assert stderr.startswith("same: ")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "there is no side after"),
        (("a.json",), "there is no side after"),
        (("--with", "a.json"), "there is no side before"),
        (("a.json", "--with"), "--with"),
        (("a.json", "--with", "b.json", "--baseline", "c.json"), "both the side before"),
        (("a.json", "--with", "b.json", "--update-baseline"), "--update-baseline keeps a --baseline FILE"),
        (("a.json", "--with", "b.json", "--inconclusive", "pass"), "--inconclusive says something of --gate"),
        (("a.json", "--with", "b.json", "--inconclusive", "maybe"), "maybe"),
        (("a.json", "--with", "b.json", "-f", "html"), "html"),
        (("a.json", "--with", "b.json", "--gate", "latency.p99 10ms"), "here stands a comparison"),
        (("a.json", "--with", "b.json", "--gate", ""), "here stands the name of a table"),
        (("a.json", "--with", "b.json", "--primary", "latency"), "here stands a point and a statistic"),
        (("a.json", "--with", "b.json", "--nothing"), "--nothing"),
    ],
)
def test_grammar(arguments, why):
    _, stderr = run_compare(*arguments, code=2)
    assert why in " ".join(stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--margin", "10"), "--margin '10' is no margin"),
        (("--margin", "0%"), "is no margin"),
        (("--margin", "100%"), "is no margin"),
        (("--margin", "nan%"), "is no margin"),
        (("--margin", "0.5pp"), "the margin of drops.rate"),
        (("--primary", "nothing.rate"), "there is no table 'nothing'"),
        (("--gate", "drops.p99 <= 1"), "drops is a count and has no p99"),
        (("--gate", "nothing.rate <= 1/s"), "tables: drops"),
        (("--gate", "drops.rate <= 10ms"), "column 15"),
        (
            ("--gate", "drops.rate not worse by 10%", "--gate", "drops{comm=x}.rate < 1/s"),
            "drops has no key 'comm'",
        ),
    ],
)
def test_values_that_cannot_be(tmp_path, arguments, why):
    before, after = sides(tmp_path)
    document, stderr = run_compare(before, "--with", after, *arguments, code=3)
    assert document is None
    assert why in stderr


@pytest.mark.parametrize(
    ("factor", "better", "word", "code"),
    [
        (2, "lower", "worse", 1), (2, "higher", "better", 0), (1, "lower", "same", 0),
        (1.1, "lower", "inconclusive", 0),
    ],
)  # fmt: skip
def test_exit_codes_of_verdicts(tmp_path, factor, better, word, code):
    make = lambda n, at: run(drops(n), at=at, primary=RATE | {"better": better})  # noqa: E731
    before, after = sides(tmp_path, factor, make)
    document, stderr = run_compare(before, "--with", after, code=code)
    assert document["verdict"] == word
    assert f"{word}: {document['reason']}" in stderr


def test_a_change_without_a_direction_is_no_negative_verdict(tmp_path):
    make = lambda n, at: run(count("calls", {"a": n}), at=at, primary=None)  # noqa: E731
    before, after = sides(tmp_path, 2, make)
    document, _ = run_compare(before, "--with", after, "--primary", "calls.rate")
    assert document["verdict"] == "changed"


@pytest.mark.parametrize(
    ("gate", "options", "counts", "code"),
    [
        ("drops.total <= 1000", (), "pass", 0),
        ("drops.total <= 100", (), "fail", 1),
        ("drops.rate not worse by 10%", (), "pass", 0),
        ("latency.p99 <= 1000us", (), "fail", 1),
        ("latency.p99 <= 1000us", ("--inconclusive", "fail"), "fail", 1),
        ("latency.p99 <= 1000us", ("--inconclusive", "pass"), "pass", 0),
    ],
)
def test_exit_codes_of_gates(tmp_path, gate, options, counts, code):
    make = lambda n, at: run(drops(n), latency([1000] * 2000), at=at)  # noqa: E731
    before, after = sides(tmp_path, 1, make)
    document, stderr = run_compare(before, "--with", after, "--gate", gate, *options, code=code)
    (found,) = document["gates"]
    assert found["counts_as"] == counts
    assert gate in stderr


def test_what_could_not_be_read_comes_before_what_was_decided(tmp_path):
    before, after = sides(tmp_path, 2)
    (before / "bad.json").write_text("{")
    document, stderr = run_compare(before, "--with", after, "--gate", "drops.total <= 1", code=6)
    assert document["verdict"] == "worse"
    assert "bad.json" in stderr
    assert "drops.total <= 1" in stderr


def test_several_primaries_and_a_margin(tmp_path):
    def make(n, at):
        return run(
            drops(n), table("b", "count", [{"key": {}, "value": n}], "calls", (), better="lower"), at=at
        )

    before, after = sides(tmp_path, 1.3, make)
    asked = ("--primary", "drops.rate", "--primary", "b.rate")
    document, _ = run_compare(before, "--with", after, *asked, "--margin", "60%")
    assert [row["name"] for row in document["tables"] if row["primary"]] == ["drops", "b"]
    assert {row["margin"]["upper"] for row in document["tables"] if row["primary"]} == {1.6}


# --- Forms and files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["auto", "table", "json", "junit", "markdown", "github"])
def test_each_form(tmp_path, form):
    before, after = sides(tmp_path, 2)
    done = ebpf_recipe("compare", str(before), "--with", str(after), "-f", form)
    assert done.returncode == 1
    if form in ("auto", "json"):
        assert checked(json.loads(done.stdout))["verdict"] == "worse"
    elif form == "junit":
        assert ET.fromstring(done.stdout).tag == "testsuites"  # noqa: S314
    elif form == "github":
        assert "::error" in done.stdout
    else:
        assert "worse" in done.stdout
        assert "drops.rate" in done.stdout
    assert "worse: " in done.stderr


def test_a_file_is_json_unless_it_is_asked_for_otherwise(tmp_path):
    before, after = sides(tmp_path)
    out = tmp_path / "out"
    assert run_compare(before, "--with", after, "-o", out)[0] is None
    assert checked(json.loads(out.read_text()))["verdict"] == "same"
    run_compare(before, "--with", after, "-f", "table", "-o", out)
    assert out.read_text().startswith("same: ")


def test_junit_and_markdown_beside_the_result(tmp_path):
    before, after = sides(tmp_path, 2)
    document, _ = run_compare(
        before, "--with", after, "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md", code=1
    )
    assert document["verdict"] == "worse"
    assert ET.parse(tmp_path / "j.xml").getroot().tag == "testsuites"  # noqa: S314
    assert "worse" in (tmp_path / "m.md").read_text()


def test_the_summary_of_a_step_is_added_to(tmp_path):
    before, after = sides(tmp_path, 2)
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")
    env = {**os.environ, "GITHUB_STEP_SUMMARY": str(summary)}
    done = ebpf_recipe("compare", str(before), "--with", str(after), "-f", "github", env=env)
    assert done.returncode == 1
    assert summary.read_text().startswith("# before\n")
    assert "worse" in summary.read_text()
    said = summary.read_text()
    run_compare(before, "--with", after, env=env, code=1)
    assert summary.read_text() == said


@pytest.mark.parametrize("option", ["-o", "--junit", "--markdown"])
def test_where_nothing_can_be_written(tmp_path, option):
    before, after = sides(tmp_path)
    for name in ("nowhere/x", "before"):
        _, stderr = run_compare(before, "--with", after, option, tmp_path / name, code=8)
        assert "cannot be written" in stderr
    _, stderr = run_compare(before, "--with", after, option, "/dev/full", code=8)
    assert "No space left" in stderr
    Path(re.search(r"the result is kept in (\S+)", stderr)[1]).unlink()


def test_two_results_do_not_go_to_one_file(tmp_path):
    before, after = sides(tmp_path)
    out = tmp_path / "out"
    for options in (
        ("-o", out, "--junit", out),
        ("--junit", out, "--markdown", out),
        ("--markdown", "/dev/stdout"),
    ):
        _, stderr = run_compare(before, "--with", after, *options, code=3)
        assert "two results would go to the same file" in stderr
    run_compare(before, "--with", after, "-o", "/dev/null", "--junit", "/dev/null")


def test_the_same_input_gives_the_same_bytes(tmp_path):
    before, after = sides(tmp_path, 1.2)
    texts = set()
    names = [[str(each) for each in folder.iterdir()] for folder in (before, after)]
    for order in (1, -1):
        out = tmp_path / f"out{order}"
        run_compare(*names[0][::order], "--with", *names[1][::order], "-o", out, code=1)
        texts.add(out.read_bytes())
    assert len(texts) == 1


# --- A baseline -----------------------------------------------------------------------------------------------


def kept(path):
    return [each["id"] for each in json.loads(path.read_text())]


def ids(folder):
    return [json.loads(each.read_text())["id"] for each in sorted(folder.iterdir())]


@pytest.fixture
def baseline(tmp_path):
    """A baseline of the side before, and where it is."""
    before, _ = sides(tmp_path / "first")
    path = tmp_path / "baseline.json"
    _, stderr = run_compare("--baseline", path, "--update-baseline", "--with", before)
    assert "there was no baseline to compare with" in stderr
    assert kept(path) == ids(before)
    return path


def test_a_baseline_that_is_not_there(tmp_path):
    _, after = sides(tmp_path)
    _, stderr = run_compare("--baseline", tmp_path / "none.json", "--with", after, code=3)
    assert "there is no baseline" in stderr
    assert "--update-baseline" in stderr
    assert not (tmp_path / "none.json").exists()


def test_a_name_that_no_file_can_have(tmp_path):
    _, after = sides(tmp_path)
    run_compare("--baseline", "x" * 300, "--with", after, code=3)
    run_compare("--baseline", "x" * 300, "--update-baseline", "--with", after, code=8)


def test_a_baseline_is_the_side_before(tmp_path, baseline):
    _, after = sides(tmp_path, 2, first=5000)
    document, _ = run_compare("--baseline", baseline, "--with", after, code=1)
    assert document["verdict"] == "worse"
    assert document["sides"]["before"]["runs"][0]["files"] == [str(baseline)]
    assert document["design"]["interleaved"] is False


@pytest.mark.parametrize(
    ("factor", "options", "word", "code", "is_replaced"),
    [
        (2, (), "worse", 1, False),
        (0.5, (), "better", 0, True),
        (1, (), "same", 0, True),
        (1.1, (), "inconclusive", 0, False),
        (0.5, ("--gate", "drops.total <= 1"), "better", 1, False),
        (0.5, ("--gate", "drops.total <= 999"), "better", 0, True),
    ],
)
def test_a_baseline_is_replaced_where_that_is_no_step_back(
    tmp_path, baseline, factor, options, word, code, is_replaced
):
    _, after = sides(tmp_path, factor, first=5000)
    old = baseline.read_bytes()
    document, stderr = run_compare(
        "--baseline", baseline, "--update-baseline", "--with", after, *options, code=code
    )
    assert document["verdict"] == word
    assert (kept(baseline) == ids(after)) == is_replaced
    assert (baseline.read_bytes() == old) != is_replaced
    assert ("the baseline was left as it is" in stderr) != is_replaced


def test_a_baseline_is_left_where_not_all_could_be_read(tmp_path, baseline):
    _, after = sides(tmp_path, 0.5, first=5000)
    (after / "bad.json").write_text("{")
    old = baseline.read_bytes()
    run_compare("--baseline", baseline, "--update-baseline", "--with", after, code=6)
    assert baseline.read_bytes() == old


def test_a_baseline_that_cannot_be_read(tmp_path, baseline):
    _, after = sides(tmp_path, 0.5, first=5000)
    old = baseline.read_text()[:500]
    baseline.write_text(old)
    _, stderr = run_compare("--baseline", baseline, "--update-baseline", "--with", after, code=6)
    assert "not JSON" in stderr
    assert baseline.read_text() == old


def test_runs_that_were_left_out_are_in_no_baseline(tmp_path):
    _, after = sides(tmp_path)
    void = run(drops(1), at=9000, problems=[("output-incomplete", None)])
    (after / "void.json").write_text(json.dumps(void))
    path = tmp_path / "baseline.json"
    _, stderr = run_compare("--baseline", path, "--update-baseline", "--with", after)
    assert "output-incomplete" in stderr
    assert len(kept(path)) == 5
    _, better = sides(tmp_path / "next", 0.5, first=20_000)
    (better / "void.json").write_text(json.dumps(void))
    run_compare("--baseline", path, "--update-baseline", "--with", better)
    assert len(kept(path)) == 5


@pytest.mark.parametrize(
    ("spoil", "options", "code", "why"),
    [
        (lambda folder: (folder / "bad.json").write_text("{"), (), 6, "not JSON"),
        (lambda folder: [each.write_text("{") for each in folder.iterdir()], (), 6, "not JSON"),
        (lambda folder: [each.unlink() for each in folder.iterdir()], (), 6, "no captures in it"),
        (
            lambda folder: write(folder, [run(drops(1), at=20 * n, exit_code=1) for n in range(5)]),
            (),
            3,
            "the command failed",
        ),
        (lambda folder: write(folder, [run(drops(1), at=n) for n in range(5)]), (), 3, "on the same host"),
        (str, ("--gate", "drops.total <= 1"), 1, "drops.total <= 1"),
        (str, ("--gate", "nothing.total <= 1"), 3, "there is no table"),
        (str, ("--gate", "drops.rate not worse by 10%"), 0, "is one now"),
    ],
)
def test_what_makes_no_first_baseline(tmp_path, spoil, options, code, why):
    _, after = sides(tmp_path)
    spoil(after)
    path = tmp_path / "baseline.json"
    _, stderr = run_compare("--baseline", path, "--update-baseline", "--with", after, *options, code=code)
    assert why in stderr
    assert path.exists() == (code == 0)


def test_a_baseline_leaves_out_what_no_comparison_reads(tmp_path):
    after = write(tmp_path / "after", [run(drops(1), messages=[{"type": "text", "text": "x"}])])
    path = tmp_path / "baseline.json"
    run_compare("--baseline", path, "--update-baseline", "--with", after)
    (capture,) = json.loads(path.read_text())
    assert capture["messages"] == []
    assert capture["tables"] == [drops(1)]


def test_a_baseline_and_a_result_are_two_files(tmp_path, baseline):
    _, after = sides(tmp_path, first=5000)
    old = baseline.read_bytes()
    run_compare("--baseline", baseline, "--update-baseline", "--with", after, "-o", baseline, code=3)
    assert baseline.read_bytes() == old


# --- What the recipes declare ---------------------------------------------------------------------------------


def test_a_threshold_of_the_recipe_and_a_gate_at_it(tmp_path):
    def make(number, at):
        pair = {"table": "latency", "parameter": "above"}
        return run(
            latency([1000] * (1000 - number) + [20_000] * number),
            table("slow", "count", [{"key": {}, "value": number}], "events", (), above_of=pair),
            at=at,
            primary=ABOVE,
            parameters={"above": "10ms"},
        )

    before, after = sides(tmp_path, 3, make)
    document, stderr = run_compare(before, "--with", after, "--gate", "latency.above(10ms) <= 20%", code=1)
    assert document["verdict"] == "worse"
    assert document["tables"][0]["shown"]["shift"].startswith("+20")
    assert document["gates"][0]["verdict"] == "fail"
    assert "worse: " in stderr
    assert not problems(document, "load-unknown")


def test_a_latency_is_drawn(tmp_path):
    before, after = sides(tmp_path, 2, lambda n, at: run(latency([10 * n] * 500), at=at, primary=LOG2))
    done = ebpf_recipe("compare", str(before), "--with", str(after), "-f", "table")
    assert done.returncode == 1
    assert "latency" in done.stdout
    assert "p50" in done.stdout
