"""One setting of the host: read, changed, checked, put back; by a file or by commands.

All that is needed to put it back is in it, so that a journal can keep it for another process.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.recipe.model_setting import Form  # noqa: TC001  # pydantic reads it
from runner.recipe.remedy_values import MOST_CPUS
from runner.workflow.experiment.setting_command import (
    SettingFailed,
    in_namespace,
    last_line,
    run_to_end,
    said_by,
)

KERNEL_FILES = ("/proc/", "/sys/")
"""What the kernel makes anew at each start."""

MOST_STATE_BYTES = 1 << 16
"""A longer state is none that is put back: the kernel takes twice as much in a variable (MAX_ARG_STRLEN)."""

_NOT_KEPT = ("/run/", "/dev/", "/var/run/")
_MISSING = 44
"""Exit code for what is not there, which no program that only failed uses."""
_OFFERS = re.compile(r"(\S+ )*\[\S+\]( \S+)*")


class _Setting(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    netns: str | None = None
    """The network namespace (`ip netns`) in which it is."""
    persists: bool = False
    """It survives a reboot, and nothing else of it says so."""

    @property
    def survives_start(self) -> bool:
        """Whether it is still so after the host was started anew."""
        return self.persists


class FileSetting(_Setting):
    """A file of one value."""

    kind: Literal["file"] = "file"
    file: str
    value: str
    form: Form = "text"
    sysctl: str | None = None
    """Its name, where it is below /proc/sys."""

    def read(self) -> str:
        """Return its state, as it can be written again.

        :raises SettingFailed: It cannot be read.
        """
        if self.netns is None:
            try:
                said = self._bytes()
            except OSError as error:
                raise SettingFailed(f"{self.file}: {error.strerror}") from error
        else:
            said = said_by(in_namespace(self.netns, ["cat", self.file]), self.name)
        return self._state(_as_state(said, self.name))

    @property
    def survives_start(self) -> bool:
        """Whether it is still so after the host was started anew: what is on a disk is."""
        return self.persists or not self.file.startswith((*KERNEL_FILES, *_NOT_KEPT))

    def is_same(self, one: str, other: str) -> bool:
        """Whether two states are the same."""
        return _comparable(one, self.form) == _comparable(other, self.form)

    def apply(self) -> None:
        """Change it.

        :raises SettingFailed: It cannot be written, or takes another value.
        """
        self._write(self.value)

    def verify(self, before: str) -> str | None:
        """Return why it is not as it was changed to be; None where it is."""
        del before
        found, wanted = self.read(), " ".join(self.value.split())
        return None if self.is_same(found, wanted) else f"{self.name} is {found!r} instead of {wanted!r}"

    def put_back(self, before: str) -> None:
        """Write the state before.

        :raises SettingFailed: It cannot be written.
        """
        self._write(before)

    def is_gone(self, before: str) -> bool:
        """Whether there is no such file any more: its device, interface or namespace is gone."""
        del before
        if self.netns is None:
            return not os.path.exists(self.file)  # noqa: PTH110
        if not os.path.exists(f"/run/netns/{self.netns}"):  # noqa: PTH110
            return True
        # `ip` that fails for a reason of its own says nothing of the file.
        script = f'test -e "$1" || exit {_MISSING}'
        return (
            run_to_end(in_namespace(self.netns, ["sh", "-c", script, "sh", self.file])).returncode == _MISSING
        )

    @property
    def change_by_hand(self) -> list[str]:
        """Return the commands that change it."""
        if self.sysctl is not None:
            return [self._shown(f"sysctl -w {self.sysctl}={shlex.quote(self.value)}")]
        # What `echo` of some shells reads otherwise: an option, a backslash.
        plain = not self.value.startswith("-") and "\\" not in self.value
        write = "echo" if plain else "printf '%s\\n'"
        return [self._shown(f"{write} {shlex.quote(self.value)} > {shlex.quote(self.file)}")]

    def revert_by_hand(self, before: str) -> list[str]:
        """Return the commands that put it back."""
        return self.model_copy(update={"value": before}).change_by_hand

    def _shown(self, command: str) -> str:
        return command if self.netns is None else shlex.join(in_namespace(self.netns, ["sh", "-c", command]))

    def _state(self, text: str) -> str:
        line = text.rstrip("\n")
        if "\n" in line:
            raise SettingFailed(
                f"{self.file}: it has several lines, and is no file of one value",
                hint="--read, --apply and --revert change anything",
            )
        words = " ".join(line.split())
        of_kernel = self.file.startswith(KERNEL_FILES)
        # The kernel takes one of the words that it offers, and never all of them back.
        if self.form == "choice" or (self.form == "text" and of_kernel and _OFFERS.fullmatch(words)):
            return words.partition("[")[2].partition("]")[0] if "[" in words else words
        return words if of_kernel or self.form != "text" else line

    def _bytes(self) -> bytes:
        """Return what stands in it; a pipe or a terminal would be waited for."""
        descriptor = self._open(os.O_RDONLY)
        try:
            found = b""
            while len(found) <= MOST_STATE_BYTES and (more := os.read(descriptor, MOST_STATE_BYTES + 1)):
                found += more
            return found
        finally:
            os.close(descriptor)

    def _open(self, how: int) -> int:
        descriptor = os.open(self.file, how | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SettingFailed(f"{self.file}: it is no file of a value")
        return descriptor

    def _write(self, value: str) -> None:
        if self.netns is not None:
            script = 'printf "%s\\n" "$1" > "$2"'
            said_by(in_namespace(self.netns, ["sh", "-c", script, "sh", value, self.file]), self.name)
            return
        try:
            # Never made: what is gone stays so.
            with open(self._open(os.O_WRONLY | os.O_TRUNC), "wb", buffering=0) as file:  # noqa: PTH123
                file.write(f"{value}\n".encode())
        except OSError as error:
            raise SettingFailed(f"{self.file}: {value!r}: {error.strerror}") from error


class CommandSetting(_Setting):
    """Anything that commands change: texts for `sh -e`."""

    kind: Literal["commands"] = "commands"
    read_text: str
    apply_text: str
    verify_text: str | None
    revert_text: str
    gone_text: str | None
    counters_text: str | None
    environment: dict[str, str]

    def read(self) -> str:
        """Return its state, as it is printed.

        :raises SettingFailed: It cannot be read.
        """
        said = self._run(self.read_text, "cannot be read")
        return _as_state(said, self.name).rstrip()

    def is_same(self, one: str, other: str) -> bool:
        """Whether two states are the same."""
        return one.strip() == other.strip()

    def apply(self) -> None:
        """Change it.

        :raises SettingFailed: The command failed.
        """
        self._run(self.apply_text, "cannot be changed")

    def verify(self, before: str) -> str | None:
        """Return why it is not as it was changed to be; None where it is."""
        if self.verify_text is None:
            return None if not self.is_same(self.read(), before) else f"{self.name} is still {before!r}"
        done = run_to_end(self._argv(self.verify_text), {**self.environment, "BEFORE": before})
        return (
            None
            if done.returncode == 0
            else f"{self.name}: {last_line(done) or 'it is not as it was changed'}"
        )

    def put_back(self, before: str) -> None:
        """Put the state before back.

        :raises SettingFailed: The command failed.
        """
        self._run(self.revert_text, "cannot be put back", {"BEFORE": before})

    def is_gone(self, before: str) -> bool:
        """Whether there is nothing left to put back."""
        if self.netns is not None and not os.path.exists(f"/run/netns/{self.netns}"):  # noqa: PTH110
            return True
        if self.gone_text is None:
            return False
        done = run_to_end(self._argv(self.gone_text), {**self.environment, "BEFORE": before})
        return done.returncode == 0

    def counters(self) -> dict[str, int]:
        """Return what the change itself counted, by name; lines that are no counters are left out."""
        if self.counters_text is None:
            return {}
        found = {}
        said = self._run(self.counters_text, "does not say what it counted")
        for line in said[:MOST_STATE_BYTES].decode(errors="replace").splitlines():
            name, _, count = line.strip().rpartition(" ")
            if name and count.isdecimal():
                found[name] = int(count)
        return found

    @property
    def change_by_hand(self) -> list[str]:
        """Return the commands that change it."""
        return [self._shown(self.apply_text, {})]

    def revert_by_hand(self, before: str) -> list[str]:
        """Return the commands that put it back."""
        return [self._shown(self.revert_text, {"BEFORE": before})]

    def _shown(self, text: str, more: dict[str, str]) -> str:
        values = {name: value for name, value in {**self.environment, **more}.items() if name in text}
        variables = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
        return " ".join([*variables, shlex.join(self._argv(text))])

    def _argv(self, text: str) -> list[str]:
        return in_namespace(self.netns, ["sh", "-ec", text])

    def _run(self, text: str, what: str, more: dict[str, str] | None = None) -> bytes:
        return said_by(self._argv(text), f"{self.name} {what}", {**self.environment, **(more or {})})


Setting = Annotated[FileSetting | CommandSetting, Field(discriminator="kind")]


def check_fails(text: str, environment: dict[str, str], netns: str | None) -> str | None:
    """Return what a check for `sh -e` said when it failed; None where it succeeded."""
    done = run_to_end(in_namespace(netns, ["sh", "-ec", text]), environment)
    return None if done.returncode == 0 else last_line(done)


def _comparable(state: str, form: Form) -> object:
    """Return a state as it is compared; one that is not of its form is compared as it stands."""
    try:
        if form == "mask" and state:
            # Each group is 32 processors, whether its zeros are written or not.
            return int("".join(group.zfill(8) for group in state.split(",")), 16)
        if form == "cpus":
            ends = [part.split("-") for part in state.split(",")]
            if any(int(each[-1]) > MOST_CPUS for each in ends):
                return state
            return {number for each in ends for number in range(int(each[0]), int(each[-1]) + 1)}
    except ValueError:
        pass
    return " ".join(state.split())


def _as_state(said: bytes, name: str) -> str:
    """Return a state, as it can be kept in a journal and be put back.

    :raises SettingFailed: It cannot.
    """
    if len(said) > MOST_STATE_BYTES:
        raise SettingFailed(
            f"{name}: its state is longer than {MOST_STATE_BYTES:,} bytes, and could not be put back"
        )
    try:
        text = said.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SettingFailed(f"{name}: its state is no text (UTF-8), and could not be put back")
    return text
