"""A kernel with kprobes and fentry where this machine's has none: `python -m tests.laboratory.guest [PYTEST WORDS]`.

Boots Debian's kernel under emulation (virtme-ng and qemu) on this machine's own files, which it cannot change, and
runs the tests that are marked `guest` in one boot of it. The exit code is pytest's. Where there can be no guest it says
why and is done, or fails where that is asked (EBPF_RECIPE_KERNEL_TESTS=1). With EBPF_RECIPE_TRUTH=FILE.json the
comparisons of the run are written there.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.laboratory.machine import FORCE, TRUTH_FILE

_ROOT = Path(__file__).parents[2]
_FETCHED = Path("/var/cache/ebpf-recipe")
_NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "zstd": "zstd",
    "depmod": "kmod",
    "udevadm": "udev",
    "file": "file",
}
_VNG = Path(sys.executable).with_name("vng")

BOOT_SECONDS = 120
"""How long the guest may take to boot and to go down, beside its tests."""
TEST_SECONDS = 1200
"""How long the tests may take; inside the guest and outside, so that neither end waits for the other for ever."""


_ATTEMPTS = 2
"""An emulated kernel may stand still for reasons of the emulation; tests that fail are not run again."""

_STANDSTILL = "softlockup_panic=1 watchdog_thresh=30"
"""A processor that does nothing but spin in the kernel for a minute ends the guest."""

_SHARE = "-fsdev local,id=cached,path=/,security_model=none,readonly=on,multidevs=remap"
_CACHED = """\
modprobe 9p 2>/dev/null
mkdir /run/cached
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 cached /run/cached || exit 1
for folder in /usr/bin /usr/sbin /usr/local /usr/lib/*-linux-gnu /usr/lib/python3* "$root" /var/cache/ebpf-recipe; do
  [ ! -d "/run/cached$folder" ] || mount --bind "/run/cached$folder" "$folder"
done
"""
"""virtme-ng shares this machine's files without a cache: each start of Python or bpftrace would fetch them again."""


def fetched_kernel() -> Path | None:
    """Return the kernel that `fetch-kernel` fetched, its modules beside it, or None."""
    return max((_FETCHED / "kernel/boot").glob("vmlinuz-*"), default=None)


def missing() -> str | None:
    """Return why there can be no guest here, or None where there can."""
    if platform.machine() != "x86_64":
        return f"a guest for {platform.machine()} is not set up"
    if os.geteuid() != 0:
        return "not root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [package for name, package in _NEEDED.items() if shutil.which(name, path=path) is None]
    if not _VNG.exists():
        lacking.append("virtme-ng (pip)")
    if fetched_kernel() is None:
        lacking.append("a kernel (tests/laboratory/fetch-kernel)")
    return f"not installed: {', '.join(lacking)}" if lacking else None


def run_in_guest(command: list[str], folder: Path, *, seconds: int = TEST_SECONDS) -> int:
    """Run a command in a guest, what it prints on our stdout; return its exit code.

    :param folder: The only folder whose files the guest may change; empty.
    :param seconds: After so long the command is ended inside, and BOOT_SECONDS later the guest is.
    :raises TimeoutError: The guest was ended.
    :raises RuntimeError: It ended without the command's exit code.
    """
    kernel = fetched_kernel()
    assert kernel is not None
    code = folder / "exit-code"
    script = folder / "run.sh"
    passed = {name: value for name, value in os.environ.items() if name.startswith("EBPF_RECIPE_")}
    # The checkout is read-only there.
    passed |= {
        "HOME": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
    }
    script.write_text(
        "#!/bin/sh\n"
        + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in passed.items())
        + f"root={shlex.quote(str(_ROOT))}\n"
        + _CACHED
        + 'cd "$root" || exit 1\n'
        + f"timeout --kill-after=10 {seconds} {shlex.join(command)}\n"
        + f"echo $? > {shlex.quote(str(code))}\n"
    )
    script.chmod(0o755)
    # Its own /var/cache is empty. /dev/kvm may open and the guest hang all the same, so it is emulated.
    argv = [
        str(_VNG), "--run", str(kernel), "--disable-kvm", "--cpus", "2", "--memory", "2G", "--user", "root",
        "--append", _STANDSTILL, "--rwdir", str(folder), "--rodir", str(_FETCHED),
        f"--qemu-opts={_SHARE} -device virtio-9p-pci,fsdev=cached,mount_tag=cached", "--", str(script),
    ]  # fmt: skip
    # vng looks for its own parts by their names.
    environment = {**os.environ, "PATH": f"{_VNG.parent}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    with subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, start_new_session=True) as guest:
        try:
            guest.wait(BOOT_SECONDS + seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"the guest did not end within {BOOT_SECONDS + seconds} s") from error
        finally:
            # qemu is in the session of its own that vng leads, and ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(guest.pid, signal.SIGKILL)
    try:
        return int(code.read_text())
    except (FileNotFoundError, ValueError) as error:
        raise RuntimeError(f"the guest ended without an exit code (vng: {guest.returncode})") from error


def main() -> int:
    """Run the tests that are marked `guest`; return the exit code."""
    # So that the guest ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = missing()
    if reason is not None:
        print(f"no guest with kprobes here: {reason}", file=sys.stderr)
        return 1 if os.environ.get(FORCE) == "1" else 0
    wanted = os.environ.pop(TRUTH_FILE, None)
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-guest-") as name:
        folder = Path(name)
        truths = folder / "truth.json"
        os.environ[TRUTH_FILE] = str(truths)
        # Where a test stands still it says where.
        told = ["-o", "faulthandler_timeout=200", "-p", "no:cacheprovider"]
        words = [*told, "-m", "guest", "tests/guest", *sys.argv[1:]]
        # In the guest a test that is skipped proves nothing.
        os.environ[FORCE] = "1"
        code = 1
        for attempt in range(_ATTEMPTS):
            try:
                code = run_in_guest([sys.executable, "-m", "pytest", *words], folder)
                break
            except (TimeoutError, RuntimeError) as error:
                print(f"boot {attempt + 1} of {_ATTEMPTS}: {error}", file=sys.stderr)
        if wanted is not None and truths.exists():
            shutil.copy(truths, wanted)
        return code


if __name__ == "__main__":
    sys.exit(main())
