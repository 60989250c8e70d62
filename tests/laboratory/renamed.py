"""A load whose processes change their names: `python renamed.py`; it prints `NAME COUNT` for its calls of getppid().

Between the calls of a name it waits for longer than a program that keeps names waits before it keeps one.
"""

import ctypes
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LONGER_SECONDS = 1.3
SET_NAME = 15
"""PR_SET_NAME of linux/prctl.h."""

_EXIT = {"x86_64": 60, "aarch64": 93}
_libc = ctypes.CDLL(None)


def _call(name: str, times: int) -> None:
    for _ in range(times):
        os.getppid()
    print(name, times, flush=True)


def _rename(name: str) -> None:
    _libc.prctl(SET_NAME, name.encode(), 0, 0, 0)


def _renamed_by_a_thread(name: str) -> None:
    def write() -> None:
        Path(f"/proc/self/task/{os.getpid()}/comm").write_text(name)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


def _child(do: Callable[[], None], pid: int = 0) -> int:
    """Do something as a child, whose number is `pid` where that is given; return the number."""
    while True:
        if pid:
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        child = os.fork()
        if child == 0:
            if pid in (0, os.getpid()):
                do()
            os._exit(0)
        os.waitpid(child, 0)
        if pid in (0, child):
            return child


def _renamed(name: str, times: int) -> None:
    # The kernel may not have told yet that the last one of that number is gone.
    _call("nm-third", 100)
    _rename(name)
    time.sleep(LONGER_SECONDS)
    _call(name, times)
    time.sleep(0.01)
    _call(name, times)


def _without_its_leader() -> None:
    """End the leader; the other thread renames itself, and the process goes on under its leader's name."""

    def go_on() -> None:
        time.sleep(0.1)
        _rename("nm-thread")
        _call("nm-leader", 110)
        time.sleep(LONGER_SECONDS)
        _call("nm-leader", 120)
        os._exit(0)

    _rename("nm-leader")
    threading.Thread(target=go_on).start()
    # exit(2) of this thread alone: exit_group is another call.
    _libc.syscall(_EXIT[platform.machine()], 0)


def main() -> None:
    """Make the calls."""
    if sys.argv[1:] == ["again"]:
        _rename("nm-exec")
        _call("nm-exec", 50)
        time.sleep(LONGER_SECONDS)
        _call("nm-exec", 70)
        return
    _rename("nm-first")
    _call("nm-first", 200)
    time.sleep(LONGER_SECONDS)
    _call("nm-first", 300)
    _rename("nm-second")
    _call("nm-second", 400)
    time.sleep(LONGER_SECONDS)
    _call("nm-second", 500)
    _renamed_by_a_thread("nm-third")
    _call("nm-third", 600)
    time.sleep(LONGER_SECONDS)
    thread = threading.Thread(target=_call, args=("nm-third", 700))
    thread.start()
    thread.join()
    first = _child(lambda: _renamed("nm-child-a", 800))
    _child(lambda: _renamed("nm-child-b", 900), first)
    _child(lambda: _renamed("nm-child-c", 1000), _child(_without_its_leader))
    os.execv(sys.executable, [sys.executable, "-S", "-E", __file__, "again"])  # noqa: S606


if __name__ == "__main__":
    main()
