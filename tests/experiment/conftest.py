"""What these tests share: a journal of their own, and a setting that nothing hangs on."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the journal, apart from the host's own."""
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("EBPF_RECIPE_STATE", str(path))
    return path


@pytest.fixture
def value(tmp_path: Path) -> Path:
    """A file of one value."""
    path = tmp_path / "value"
    path.write_text("128\n")
    return path
