"""Finishes what a killed experiment, or a host that went down, left: puts back what the journal says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.host.kernel import boot_id
from runner.workflow.experiment.journal import Journal, machine_id, read_journal, remove_journal
from runner.workflow.experiment.restore import Restored, refuse_unless_restored, restore
from runner.workflow.experiment.setting import CommandSetting, FileSetting
from runner.workflow.experiment.state import clear_work, journal_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.workflow.experiment.journal import Entry


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of an experiment that was left."""

    journal: Journal
    since: str
    """What happened to the host since, in words; empty where it is the same boot of the same machine."""
    settings: list[Restored]


def recover(ask: Callable[[str], bool] | None, *, leave: bool = False) -> Recovered | None:
    """Put back what an experiment left changed; the host is held meanwhile.

    :param ask: Whether to put back what somebody else changed; None where there is nobody to ask.
    :param leave: What somebody else changed, or cannot be put back, is to stay as it is: the journal goes.
    :returns: None where nothing was left.
    :raises NotUnderstood: The journal is damaged.
    :raises HostChanged: Something is not as it was before.
    """
    path = journal_path()
    journal = read_journal(path)
    if journal is None:
        clear_work()
        return None
    since = _since(journal)
    lost = [each for each in journal.entries if since and not each.setting.survives_start]
    rest = [each for each in journal.entries if each not in lost]
    found = [_taken_away(each) for each in lost if isinstance(each.setting, FileSetting)]
    # Of what commands change nobody knows whether a start takes it away: it is looked at, and asked about.
    found += restore([each for each in lost if isinstance(each.setting, CommandSetting)], ask, is_ours=False)
    # What an image has may be this machine's own by now.
    found += restore(rest, ask, is_ours=not _is_of_another_machine(journal))
    if not leave:
        refuse_unless_restored(found)
    remove_journal(path)
    clear_work()
    return Recovered(journal, since, found)


def _since(journal: Journal) -> str:
    if _is_of_another_machine(journal):
        return f"the journal is of another machine ({journal.hostname}): this one was made from its image"
    if journal.boot_id != boot_id():
        return "the host was started anew since"
    return ""


def _is_of_another_machine(journal: Journal) -> bool:
    return journal.machine_id is not None and machine_id() not in (None, journal.machine_id)


def _taken_away(entry: Entry) -> Restored:
    return Restored(
        entry.setting.name,
        "gone",
        f"nothing that was changed survives a start: it was {entry.before!r} before",
    )
