"""What a side is read from: files, directories, patterns; and what cannot be read is told, and nothing else."""

import json
import os
import tempfile
from pathlib import Path

import pytest

from runner.compare.loading import read_side
from tests.captures import drops, in_turns, windowed
from tests.compared import problems, run_compare, write

BEFORE, AFTER = in_turns([100, 101, 99, 100, 102], [200, 201, 199, 200, 202])


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "before", BEFORE)
    write(tmp_path / "after", AFTER)
    return tmp_path


def names(read):
    return [name for name, _ in read.captures]


def details(read):
    return [each["detail"] for each in read.problems]


def test_files_directories_and_patterns_mean_the_same_runs(folders):
    one, _ = run_compare("before", "--with", "after", code=1)
    files = sorted(str(path.relative_to(folders)) for path in (folders / "before").iterdir())
    other, _ = run_compare(*files, "--with", "aft*/*.json", code=1)
    assert one == other
    assert len(one["sides"]["before"]["runs"]) == 5
    assert one["verdict"] == "worse"


def test_a_pattern_means_directories_too(folders):
    assert len(read_side(["bef*"], "before").captures) == 5


def test_a_file_whose_name_is_a_pattern_is_that_file(folders):
    (folders / "a[1].json").write_text(json.dumps(BEFORE[0]))
    (folders / "a1.json").write_text(json.dumps(BEFORE[1]))
    read = read_side(["a[1].json"], "before")
    assert [capture["id"] for _, capture in read.captures] == [BEFORE[0]["id"]]


def test_of_a_directory_only_files_of_captures_are_read_and_none_below(folders):
    (folders / "before" / "notes.txt").write_text("no capture")
    write(folders / "before" / "below", AFTER)
    (folders / "before" / "dir.json").mkdir()
    read = read_side(["before"], "before")
    assert len(read.captures) == 5
    assert not read.problems


def test_a_file_that_is_named_twice_is_read_once(folders):
    (folders / "link.json").symlink_to(folders / "before" / "000.json")
    read = read_side(["before", "before/000.json", "./before/../before/000.json", "link.json"], "before")
    assert len(read.captures) == 5
    assert not read.problems


def test_arrays_and_lines_hold_many(folders):
    event = {"schema": "ebpf-recipe/event/v1", "name": "open"}
    (folders / "all.json").write_text(json.dumps(BEFORE[:2]))
    (folders / "all.jsonl").write_text("\n".join(map(json.dumps, [event, *BEFORE[2:4], event])) + "\n\n")
    read = read_side(["all.json", "all.jsonl"], "before")
    assert [capture["id"] for _, capture in read.captures] == [each["id"] for each in BEFORE[:4]]
    assert not read.problems


def test_lines_of_one_run_are_one_run(folders):
    made = windowed([drops(20), drops(21), drops(22)], at=1000, whole=drops(63))
    (folders / "after" / "live.jsonl").write_text("\n".join(map(json.dumps, made)))
    document, _ = run_compare("before", "--with", "after", code=1)
    last = document["sides"]["after"]["runs"][-1]
    assert (last["windows"], last["files"]) == (3, ["after/live.jsonl"])
    assert last["values"] == [21.0]


BAD = {
    "empty": (b"", "holds no capture"),
    "truncated": (json.dumps(BEFORE[0]).encode()[:300], "not JSON"),
    "newer": (
        json.dumps(BEFORE[0] | {"schema": "ebpf-recipe/capture/v2"}).encode(),
        "newer than what this release",
    ),
    "other": (b'{"schema": "ebpf-recipe/comparison/v1"}', "is not a capture"),
    "no-object": (b"7", "is not a capture"),
    "null": (b"null", "is not a capture"),
    "bytes": (b"\xff\xfe\x00{", "not JSON"),
    "none-in-it": (b"[]", "holds no capture"),
    "events-only": (
        b'{"schema": "ebpf-recipe/event/v1"}\n{"schema": "ebpf-recipe/event/v1"}\n',
        "holds no capture",
    ),
    "deep": (b"[" * 5000, "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_told_and_the_others_are_compared(folders, name):
    raw, why = BAD[name]
    (folders / "before" / "bad.json").write_bytes(raw)
    document, stderr = run_compare("before", "--with", "after", code=6)
    (problem,) = problems(document, "unreadable")
    assert (problem["side"], problem["left_out"]) == ("before", True)
    assert problem["files"] == ["before/bad.json"]
    assert why in problem["detail"]
    assert "bad.json" in stderr
    assert document["verdict"] == "worse"
    assert document["sides"]["before"]["left_out"] == 1
    assert document["sides"]["after"]["left_out"] == 0


def test_of_lines_that_end_too_early_the_line_is_named(folders):
    lines = "\n".join(map(json.dumps, BEFORE[:3]))
    (folders / "cut.jsonl").write_text(lines[:-40])
    (detail,) = details(read_side(["cut.jsonl"], "before"))
    assert "cut.jsonl:3:" in detail


def test_a_file_that_is_not_there(folders):
    document, stderr = run_compare("before", "nowhere.json", "--with", "after", code=6)
    assert "nowhere.json: No such file or directory" in stderr
    assert document["verdict"] == "worse"


def test_a_pattern_that_nothing_is_called_by(folders):
    document, stderr = run_compare("before", "nothing-*.json", "--with", "after", code=6)
    assert "no file is called nothing-*.json" in stderr
    assert document["verdict"] == "worse"


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "*", "loop", "loop/a.json", "/dev/null", "fifo-dir"])
def test_names_that_nothing_can_be_read_from(folders, name):
    (folders / "loop").symlink_to("loop")
    (folders / "fifo-dir").mkdir()
    document, _ = run_compare("before", name, "--with", "after", code=6)
    assert len(problems(document, "unreadable")) == 1


def test_a_link_that_leads_nowhere_in_a_directory_is_told(folders):
    (folders / "before" / "gone.json").symlink_to("nowhere")
    (folders / "before" / "self.json").symlink_to("self.json")
    read = read_side(["before"], "before")
    assert len(read.captures) == 5
    assert len(read.problems) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else")
def test_what_may_not_be_read_is_told():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "shut").mkdir(mode=0)
        (folder / "shut.json").touch(mode=0)
        write(folder / "open", BEFORE)
        names = [str(folder / each) for each in ("shut", "shut.json", "shut/a.json", "shut/*", "open")]
        child = os.fork()
        if not child:
            os.setresuid(65534, 65534, 65534)
            read = read_side(names, "before")
            os._exit(10 * len(read.captures) + len(read.problems))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 54


def test_an_empty_side(folders):
    (folders / "none").mkdir()
    document, stderr = run_compare("before", "--with", "none", code=6)
    assert document is None
    assert "none has no captures in it" in stderr
    assert "there is no run after that can be compared" in stderr


def test_both_sides_are_empty(folders):
    _, stderr = run_compare("x*", "--with", "y*", code=6)
    assert "no file is called x*" in stderr


def test_the_order_in_which_files_are_named_means_nothing(folders):
    made = windowed([drops(10), drops(11), drops(12)], at=1000)
    for place, each in enumerate(made):
        (folders / f"window-{2 - place}.json").write_text(json.dumps(each))
    (folders / "bad.json").write_text("{")
    (folders / "copy.json").write_text(json.dumps(BEFORE[0]))
    files = [f"before/{place:03}.json" for place in range(5)]
    files += ["window-0.json", "window-1.json", "window-2.json", "bad.json", "copy.json", "none-*"]
    one, _ = run_compare(*files, "--with", "after", code=6)
    other, _ = run_compare(*reversed(files), "--with", "after", code=6)
    assert json.dumps(one) == json.dumps(other)
    assert {each["code"] for each in one["problems"]} >= {"unreadable", "duplicate"}
