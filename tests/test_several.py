"""Several captures as JSON: names in order, nothing of two runs mixed, nothing lost where a disk is full."""

import json
import re
from pathlib import Path

import pytest

from runner.cli.output import Destination
from runner.cli.several import Array, Folder
from runner.errors import NotWritten, ValueRefused
from tests.captures import capture, latency


def captures(number):
    return [capture(latency([value + 1])) for value in range(number)]


def names(path):
    return sorted(each.name for each in path.iterdir())


def test_a_file_for_each_window(tmp_path):
    made = captures(3)
    folder = Folder(tmp_path / "new" / "place", runs=None, has_windows=True)
    folder.take(made)
    folder.close()
    assert names(tmp_path / "new" / "place") == [f"window-00{number}.json" for number in (1, 2, 3)]
    for name, each in zip(names(tmp_path / "new" / "place"), made, strict=True):
        assert json.loads((tmp_path / "new" / "place" / name).read_text()) == each


def test_a_file_for_each_run_and_its_windows(tmp_path):
    runs = Folder(tmp_path / "runs", runs=3, has_windows=False)
    both = Folder(tmp_path / "both", runs=2, has_windows=True)
    for _ in range(2):
        runs.take(captures(1))
        both.take(captures(2))
    assert names(tmp_path / "runs") == ["run-001.json", "run-002.json"]
    assert names(tmp_path / "both") == [
        f"run-00{run}-window-00{window}.json" for run in (1, 2) for window in (1, 2)
    ]


def test_the_order_of_names_is_theirs(tmp_path):
    folder = Folder(tmp_path, runs=1000, has_windows=True)
    folder.take(captures(1001))
    found = names(tmp_path)
    assert (found[0], found[-1]) == ("run-0001-window-0001.json", "run-0001-window-1001.json")
    numbers = [int(re.search(r"(\d+)\.json", name)[1]) for name in found]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("there", ["window-001.json", "run-002.json", "run-001-window-003.json"])
def test_two_runs_are_not_mixed(tmp_path, there):
    (tmp_path / there).touch()
    with pytest.raises(ValueRefused, match=f"captures of another run \\({there}\\)"):
        Folder(tmp_path, runs=None, has_windows=True)


def test_what_else_is_there_stays(tmp_path):
    (tmp_path / "notes.json").write_text("mine")
    Folder(tmp_path, runs=None, has_windows=True).take(captures(1))
    assert names(tmp_path) == ["notes.json", "window-001.json"]
    assert (tmp_path / "notes.json").read_text() == "mine"


def test_what_is_no_directory(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueRefused, match="each a file in a directory"):
        Folder(tmp_path / "file", runs=None, has_windows=True)
    with pytest.raises(NotWritten, match="Not a directory"):
        Folder(tmp_path / "file" / "below", runs=None, has_windows=True)


def test_captures_that_cannot_be_written_are_kept(tmp_path):
    made = captures(3)
    folder = Folder(tmp_path / "place", runs=None, has_windows=True)
    (tmp_path / "place" / "window-002.json").mkdir()
    with pytest.raises(NotWritten) as failed:
        folder.take(made)
    kept = Path(re.search(r"kept in (\S+)", failed.value.hint)[1])
    assert json.loads(kept.read_text()) == made[1:]
    kept.unlink()
    assert json.loads((tmp_path / "place" / "window-001.json").read_text()) == made[0]


def test_an_array_of_all(tmp_path):
    made = captures(3)
    array = Array(Destination(tmp_path / "all.json"))
    array.take(made[:2])
    array.take(made[2:])
    assert not (tmp_path / "all.json").exists()
    array.close()
    assert json.loads((tmp_path / "all.json").read_text()) == made
