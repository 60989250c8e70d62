"""A load whose processes change their names: `python renamed.py`; it prints `NAME COUNT` for its calls of getppid().

Between the calls of a name it waits for longer than a program that keeps names waits before it keeps one.
"""

import ctypes
import os
import sys
import threading
import time
from pathlib import Path

LONGER_SECONDS = 1.3
SET_NAME = 15
"""PR_SET_NAME of linux/prctl.h."""

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


def _as_another(name: str, times: int, pid: int = 0) -> int:
    """Call as a child of a name of its own; return its number, which is `pid` where that is given."""
    while True:
        if pid:
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        child = os.fork()
        if child == 0:
            if pid in (0, os.getpid()):
                # The kernel may not have told yet that the last one of that number is gone.
                _call("nm-third", 100)
                _rename(name)
                time.sleep(LONGER_SECONDS)
                _call(name, times)
                time.sleep(0.01)
                _call(name, times)
            os._exit(0)
        os.waitpid(child, 0)
        if pid in (0, child):
            return child


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
    _as_another("nm-child-b", 900, _as_another("nm-child-a", 800))
    os.execv(sys.executable, [sys.executable, "-S", "-E", __file__, "again"])  # noqa: S606


if __name__ == "__main__":
    main()
