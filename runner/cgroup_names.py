"""What the cgroups of a run are called: those at its beginning, and those that come meanwhile."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runner.capture.encode import encode_text
from runner.host.cgroups import path_in
from runner.host.containers import role_of

if TYPE_CHECKING:
    import types

    from inotify_simple import INotify

    from runner.host.cgroups import Hierarchy
    from runner.host.facts import Label
    from runner.host.target_cgroups import Host

_AGAIN_MS = 500
"""So often names are looked for again that were not there: an engine makes the cgroup first. Where the kernel
does not tell of new cgroups (no watches left) they are looked for as often."""

_MOST_TRIES = 20
"""So often a name is looked for: what has none after ten seconds was not made by an engine that gives one."""

_SHORT_ID = 12
"""Digits of a container's id that docker and crictl show."""


class CgroupNames:
    """Follows the cgroups of one hierarchy in a thread. Use as a context manager.

    A cgroup that comes and goes before it is looked at (a millisecond or so) has no name.
    """

    def __init__(self, by: str, hierarchy: str, host: Host) -> None:
        """Find the hierarchy.

        :param by: What cgroups are called by: `cgroup`, `container` or `pod`.
        :ivar labels: What each cgroup seen so far is called, by its id; None where it has no such name. It is
            filled as they come.
        """
        self._by = by
        self._names = host.names
        self._hierarchy: Hierarchy = next(each for each in host.mounted if each.name == hierarchy)
        self.labels: dict[int, Label] = {}
        self._unnamed: dict[int, tuple[str, int]] = {}
        self._pods: dict[str, str] = {}
        self._folders: dict[int, Path] = {}
        self._is_told = True
        self._thread = threading.Thread(target=self._follow, name="cgroups", daemon=True)

    def __enter__(self) -> Self:
        # Loaded where it is needed alone.
        from inotify_simple import INotify  # noqa: PLC0415

        self._inotify: INotify | None = None
        try:
            self._inotify = INotify()
        except OSError:
            self._is_told = False
        self._stop = os.eventfd(0)
        self._enter(self._hierarchy.mount)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            os.eventfd_write(self._stop, 1)
            self._thread.join()
        self._name_again()
        os.close(self._stop)
        if self._inotify is not None:
            self._inotify.close()

    def label_of(self, cgroups: bytes) -> Label:
        """Return what the cgroup of a process is called.

        :param cgroups: Its /proc/PID/cgroup.
        """
        path = path_in(cgroups, self._hierarchy.name)
        return None if path is None else self._label(path)[0]

    def _follow(self) -> None:
        from inotify_simple import flags  # noqa: PLC0415

        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        if self._inotify is not None:
            poll.register(self._inotify, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(_AGAIN_MS)]
            if self._stop in ready:
                return
            if ready and self._inotify is not None:
                for event in self._inotify.read(timeout=0):
                    if event.mask & flags.IGNORED:
                        self._folders.pop(event.wd, None)
                        continue
                    folder = self._folders.get(event.wd)
                    if folder is None or not event.name:
                        # More happened than the kernel kept.
                        self._enter(self._hierarchy.mount)
                    else:
                        self._enter(folder / event.name)
                continue
            if not self._is_told:
                self._enter(self._hierarchy.mount)
            self._name_again()

    def _enter(self, top: Path) -> None:
        """Take a cgroup and those below it, and be told of those that come there."""
        from inotify_simple import flags  # noqa: PLC0415

        for folder, _, _ in os.walk(top):
            try:
                if self._inotify is not None and self._is_told:
                    # Before the look into it: what comes between is seen twice, and not missed.
                    wanted = flags.CREATE | flags.ONLYDIR
                    self._folders[self._inotify.add_watch(folder, wanted)] = Path(folder)
            except FileNotFoundError:
                continue
            except OSError:
                self._is_told = False  # no watches are left (fs.inotify.max_user_watches)
            try:
                place = self._hierarchy.place_of(Path(folder))
            except OSError:
                continue
            if place.id not in self.labels:
                self._name(place.id, place.path)

    def _name_again(self) -> None:
        for identity, (path, tries) in list(self._unnamed.items()):
            self._name(identity, path, tries + 1)

    def _name(self, identity: int, path: str, tries: int = 0) -> None:
        label, is_sure = self._label(path)
        self.labels[identity] = label
        if is_sure or tries >= _MOST_TRIES:
            self._unnamed.pop(identity, None)
        else:
            self._unnamed[identity] = (path, tries)

    def _label(self, path: str) -> tuple[Label, bool]:
        """Return what a cgroup is called, and whether that is all there is to know."""
        if self._by == "cgroup":
            return encode_text(os.fsencode(path)), True
        role, names = role_of(path), self._names
        known = names.container(role.container) if role.container is not None else None
        if self._by == "container":
            if role.container is None:
                return None, True
            if known is not None and known.name is not None:
                return known.name, True
            return role.container[:_SHORT_ID], False
        if role.pod_uid is None:
            return None, True
        pod = known.pod if known is not None else None
        if pod is None and role.pod_uid not in self._pods:
            pod = names.logged_pod(role.pod_uid)
        if pod is not None:
            # Its own cgroup, and those of containers whose files say nothing of it.
            self._pods[role.pod_uid] = str(pod)
        name = self._pods.get(role.pod_uid)
        return (name, True) if name is not None else (role.pod_uid, False)
