"""Switches a change on and off, with a journal that is ahead of what is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import HostRefused, ValueRefused
from runner.workflow.experiment.entangled import refuse_entangled
from runner.workflow.experiment.journal import Entry, Journal, remove_journal
from runner.workflow.experiment.restore import refuse_unless_restored, restore
from runner.workflow.experiment.setting import CommandSetting
from runner.workflow.experiment.setting_command import SettingFailed
from runner.workflow.experiment.state import clear_work, journal_path, keep_work, make_work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.workflow.experiment.change import Change
    from runner.workflow.experiment.restore import Became


class Switch:
    """A change of this host, off to begin with.

    :ivar entries: Its settings and their states.
    :ivar counted: What it counted itself while it was on, by name.
    :ivar became: What became of each setting when it was put back for the last time, by name.
    """

    def __init__(self, change: Change, directory: Path, ask: Callable[[str], bool] | None) -> None:
        """Read how everything is now; nothing is changed yet.

        :param directory: Where the experiment keeps its results.
        :param ask: Whether to put back what somebody else changed; None where there is nobody to ask.
        :raises HostRefused: This host cannot take the change.
        :raises SettingFailed: A setting cannot be read.
        :raises ValueRefused: All is so already.
        """
        self._change = change
        self._ask = None if ask is None else _asked_once(ask)
        self._path = journal_path()
        change.check_host()
        self.entries = [Entry(setting=each, before=each.read()) for each in change.settings]
        for entry in self.entries:
            now = entry.setting.read()
            if not entry.setting.is_same(now, entry.before):
                raise SettingFailed(
                    f"{entry.setting.name}: it is {entry.before!r}, and {now!r} right after: "
                    "what changes by itself cannot be put back"
                )
            refuse_entangled(entry.setting, entry.before)
        refuse_if_so_already(self.entries)
        self.counted: dict[str, int] = {}
        self.became: dict[str, Became] = {}
        self.is_on = False
        self._journal = Journal.begin(change.title, directory, self.entries)

    def on(self) -> None:
        """Change everything, and see that it is changed.

        :raises SettingFailed: It could not be: what was done is put back.
        :raises HostChanged: And that failed.
        :raises HostRefused: Somebody else changed a setting since it was read.
        """
        for entry in self.entries:
            now = entry.setting.read()
            if not entry.setting.is_same(now, entry.before):
                raise HostRefused(
                    f"{entry.setting.name}: somebody else changed it meanwhile: it was {entry.before!r}, "
                    f"and is {now!r} now",
                    hint="it is left as it is; see who changes it, and try again",
                )
        for entry in self.entries:
            entry.after = None
        make_work()
        self._write()
        self.is_on = True
        try:
            for entry in self.entries:
                entry.setting.apply()
                _verify(entry)
            # One that was changed later may have changed one that was changed before it.
            for entry in self.entries:
                if len(self.entries) > 1:
                    _verify(entry)
                entry.after = entry.setting.read()
        except BaseException:
            self.off()
            raise
        self._write()

    def check(self) -> None:
        """See that everything is as it was switched, on or off.

        :raises HostRefused: Somebody else changed a setting: what is measured is something else.
        :raises SettingFailed: A setting cannot be read any more.
        """
        for entry in self.entries:
            now, wanted = entry.setting.read(), entry.after if self.is_on else entry.before
            if wanted is not None and not entry.setting.is_same(now, wanted):
                raise HostRefused(
                    f"{entry.setting.name}: somebody else changed it meanwhile: it was {wanted!r}, "
                    f"and is {now!r} now",
                    hint="no verdict: what was measured is another change; see who changes it",
                )

    def off(self) -> None:
        """Put everything back, and forget the journal.

        :raises HostChanged: Something could not be, or was not to be: the journal stays.
        :raises NotWritten: All is put back, and the journal cannot be taken away.
        """
        self._count()
        found = restore(self.entries, self._ask)
        self.became = {each.name: each.became for each in found}
        refuse_unless_restored(found)
        self.is_on = False
        # What it will be from now on is not of our making, and must not be taken for that.
        remove_journal(self._path)

    def close(self) -> None:
        """Forget the journal: everything is as it was, or is to stay as it is now."""
        remove_journal(self._path)
        if self.is_on:
            keep_work()
        else:
            clear_work()

    def _count(self) -> None:
        for entry in self.entries:
            if isinstance(entry.setting, CommandSetting) and entry.after is not None:
                try:
                    counters = entry.setting.counters()
                except SettingFailed:
                    continue
                for name, count in counters.items():
                    self.counted[name] = self.counted.get(name, 0) + count

    def _write(self) -> None:
        self._journal.entries = self.entries
        self._journal.write(self._path)


def _verify(entry: Entry) -> None:
    why_not = entry.setting.verify(entry.before)
    if why_not is not None:
        raise SettingFailed(f"the change did not take: {why_not}")


def _asked_once(ask: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return what asks the same question once only: it is tried again to put back what was not."""
    answers: dict[str, bool] = {}

    def answer(question: str) -> bool:
        if question not in answers:
            answers[question] = False
            answers[question] = ask(question)
        return answers[question]

    return answer


def refuse_if_so_already(entries: Sequence[Entry]) -> None:
    """Refuse a change that would change nothing.

    :raises ValueRefused: All is so already.
    """
    if all(each.setting.verify(each.before) is None for each in entries):
        # A state of several lines is nothing to read in a sentence.
        states = [repr(each.before) if "\n" not in each.before else "so" for each in entries]
        names = ", ".join(
            f"{each.setting.name} is {state}" for each, state in zip(entries, states, strict=True)
        )
        raise ValueRefused(f"there is nothing to try: {names} already", hint="try another value")
