"""A remedy of the catalogue, turned on for a block and held against what was there before."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from runner.recipe.remedies import find_remedy
from runner.workflow.experiment.change import change_of_remedy
from runner.workflow.experiment.journal import read_journal
from runner.workflow.experiment.state import host_lock, journal_path, state_directory, work_directory
from runner.workflow.experiment.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.workflow.experiment.change import Change


def change(name: str, netns: str | None = None, **given: object) -> Change:
    """Return what a remedy changes with these values; `max_kib` is its parameter `max-kib`."""
    values = {key.replace("_", "-"): str(value) for key, value in given.items()}
    return change_of_remedy(find_remedy(name), values, netns, work_directory())


@contextlib.contextmanager
def tried(name: str, netns: str | None = None, **given: object) -> Iterator[Switch]:
    """Turn a remedy on for a block, as an experiment does, and off again: every state is then as it was.

    The state directory has to be a test's own (EBPF_RECIPE_STATE).
    """
    made = change(name, netns, **given)
    before = [each.read() for each in made.settings]
    with host_lock():
        switch = Switch(made, state_directory(), None)
        try:
            switch.on()
            journal = read_journal(journal_path())
            assert journal is not None
            assert [each.before for each in journal.entries] == before
            assert [each.after for each in journal.entries] == [each.read() for each in made.settings]
            yield switch
        finally:
            switch.off()
            switch.close()
    assert read_journal(journal_path()) is None
    assert set(switch.became.values()) == {"put-back"}
    assert [each.read() for each in made.settings] == before


@contextlib.contextmanager
def kept(path: str) -> Iterator[Path]:
    """Have the value of a file the same after a block, whatever the block does."""
    file = Path(path)
    before = file.read_text()
    try:
        yield file
        assert file.read_text() == before
    finally:
        if file.read_text() != before:
            file.write_text(before)
