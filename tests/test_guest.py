"""The guest with kprobes: where it cannot be had that is said, and is a failure only where that is asked."""

import json
import os

import pytest

from tests.laboratory import guest
from tests.laboratory.machine import FORCE, TRUTH_FILE
from tests.laboratory.truth import Comparison, as_json, from_json


@pytest.mark.parametrize(("forced", "code"), [("", 0), ("1", 1)])
def test_where_there_can_be_no_guest(monkeypatch, capsys, forced, code):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv(FORCE, forced)
    monkeypatch.setattr(guest.sys, "argv", ["guest"])
    monkeypatch.setattr(guest, "run_in_guest", lambda *_, **__: pytest.fail("it was booted"))
    assert guest.main() == code
    assert "no guest with kprobes here: not root" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "code"), [(0, 0), (1, 1), (TimeoutError("it hangs"), 1), (RuntimeError("it fell"), 1)]
)
def test_the_exit_code_is_that_of_the_tests(monkeypatch, capsys, tmp_path, answer, code):
    comparison = Comparison("r", "what", "load", "0.17.0", 5, 5, "another")

    def run(command, folder, **_):
        assert command[1:3] == ["-m", "pytest"]
        assert os.environ[FORCE] == "1"
        if isinstance(answer, Exception):
            raise answer
        (folder / "truth.json").write_text(as_json([comparison]))
        return answer

    written = tmp_path / "truth.json"
    monkeypatch.setenv(TRUTH_FILE, str(written))
    monkeypatch.setenv(FORCE, "1")
    monkeypatch.setattr(guest.sys, "argv", ["guest"])
    monkeypatch.setattr(guest.signal, "signal", lambda *_: None)
    monkeypatch.setattr(guest, "missing", lambda _kernel: None)
    monkeypatch.setattr(guest, "run_in_guest", run)
    assert guest.main() == code
    if isinstance(answer, Exception):
        assert str(answer) in capsys.readouterr().err
        assert not written.exists()
    else:
        assert from_json(written.read_text()) == [comparison]
        assert json.loads(written.read_text())[0]["recipe"] == "r"
