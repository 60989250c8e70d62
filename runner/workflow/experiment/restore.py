"""Puts settings back: each is read first, and what somebody else changed meanwhile is not overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.errors import EbpfRecipeError, ExitCode
from runner.workflow.experiment.setting_command import SettingFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.workflow.experiment.journal import Entry
    from runner.workflow.experiment.setting import Setting

Became = Literal["as-before", "put-back", "gone", "left", "failed"]
"""`left`: somebody else changed it, and it stays as it is; `gone`: there is nothing left to be put back."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a setting.

    :param detail: Why, in words; empty where there is nothing to say.
    :param by_hand: What to type where it is not as it was.
    """

    name: str
    became: Became
    detail: str = ""
    by_hand: tuple[str, ...] = ()

    @property
    def is_other(self) -> bool:
        """Whether it is not as it was before."""
        return self.became in ("left", "failed")


class HostChanged(EbpfRecipeError):
    """The host is not as it was before: something could not be put back, or was not to be."""

    exit_code = ExitCode.CHANGED


def restore(
    entries: Sequence[Entry], ask: Callable[[str], bool] | None, *, is_ours: bool = True
) -> list[Restored]:
    """Put settings back, the last that was changed first; one that fails keeps no other from it.

    :param ask: Whether to put back what somebody else changed; None where there is nobody to ask.
    :param is_ours: What is as the experiment made it was made so by it, and not by another machine's.
    """
    last_first = list(reversed(entries))
    # Before anything is put back: what one of them does to another is nobody else's change.
    seen = [_look(each) for each in last_first]
    found = []
    for entry, each in zip(last_first, seen, strict=True):
        if not isinstance(each, Restored):
            found.append(_restore(entry, each, ask, is_ours=is_ours))
        elif each.became == "failed" and is_ours and entry.after is None:
            # The change itself made it so that it cannot be read.
            found.append(_put_back(entry, "not known"))
        else:
            found.append(each)
    _settle(last_first, found)
    return found


def refuse_unless_restored(found: Iterable[Restored]) -> None:
    """Say loudly what is not as it was, and what to type.

    :raises HostChanged: Something is not.
    """
    other = [each for each in found if each.is_other]
    if not other:
        return
    lines = [f"{each.name}: {each.detail}" for each in other]
    commands = [f"  {command}" for each in other for command in each.by_hand]
    raise HostChanged(
        "this host is not as it was before:\n" + "\n".join(f"  {line}" for line in lines),
        hint="\n".join(
            [
                "put it back by hand:",
                *commands,
                "then: ebpf-recipe experiment recover",
                "or keep it as it is: ebpf-recipe experiment recover --leave",
            ]
        ),
    )


def _look(entry: Entry) -> Restored | str:
    """Return what a setting is now; what became of it where that cannot be read."""
    setting, before = entry.setting, entry.before
    try:
        if setting.is_gone(before):
            return Restored(setting.name, "gone", f"it is not there any more: it was {before!r} before")
        return setting.read()
    except SettingFailed as error:
        return Restored(setting.name, "failed", error.message, tuple(setting.revert_by_hand(before)))


def _restore(entry: Entry, now: str, ask: Callable[[str], bool] | None, *, is_ours: bool) -> Restored:
    setting, before = entry.setting, entry.before
    if setting.is_same(now, before):
        return Restored(setting.name, "as-before")
    # While it was being changed nobody knows what it would become: what it is now is taken for that.
    is_as_made = entry.after is None or setting.is_same(now, entry.after)
    if not (is_ours and is_as_made):
        detail = (
            f"it is {now!r}; before the experiment {before!r}, and the experiment made it {entry.after!r}"
        )
        if is_ours:
            detail = f"somebody else changed it meanwhile: {detail}"
        if not _is_wanted(ask, f"{setting.name}: {detail}. Put {before!r} back?"):
            return Restored(setting.name, "left", detail, tuple(setting.revert_by_hand(before)))
    return _put_back(entry, now)


def _is_wanted(ask: Callable[[str], bool] | None, question: str) -> bool:
    """Whether it is answered with yes: a terminal that is closed, or a signal, is no answer."""
    try:
        return ask is not None and ask(question)
    except (EbpfRecipeError, OSError):
        return False


def _put_back(entry: Entry, now: str) -> Restored:
    setting, before = entry.setting, entry.before
    by_hand = tuple(setting.revert_by_hand(before))
    try:
        # One that was put back may have brought this one back with it.
        if not _is(setting, before):
            setting.put_back(before)
        found = setting.read()
    except SettingFailed as error:
        return Restored(setting.name, "failed", error.message, by_hand)
    if not setting.is_same(found, before):
        return Restored(setting.name, "failed", f"it is {found!r} instead of {before!r}", by_hand)
    return Restored(setting.name, "put-back", f"{now!r} back to {before!r}")


def _is(setting: Setting, state: str) -> bool:
    try:
        return setting.is_same(setting.read(), state)
    except SettingFailed:
        return False


def _settle(entries: Sequence[Entry], found: list[Restored]) -> None:
    """Look once more: one that was put back later may have changed one that was put back before it."""
    for is_last in (False, True):
        for place, entry in enumerate(entries):
            if found[place].became not in ("as-before", "put-back"):
                continue
            now = _look(entry)
            if isinstance(now, Restored):
                found[place] = now
            elif not entry.setting.is_same(now, entry.before):
                found[place] = _put_back(entry, now) if not is_last else _moved(entry, now)


def _moved(entry: Entry, now: str) -> Restored:
    setting, before = entry.setting, entry.before
    detail = f"it is {now!r} instead of {before!r}: what was put back with it changes it"
    return Restored(setting.name, "failed", detail, tuple(setting.revert_by_hand(before)))
