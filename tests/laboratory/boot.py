"""Boot one of Debian's kernels under emulation (virtme-ng and qemu) on this machine's own files, and run a command there.

It can read those files and not change them; what it writes into the folder that is named is seen here as it comes.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.kernels import DEFAULT, fetched_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]
_CACHE = Path("/var/cache/ebpf-recipe")
_NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "zstd": "zstd",
    "depmod": "kmod",
    "udevadm": "udev",
    "file": "file",
}
_PACKAGES = ("runner", "tests")

VNG = Path(sys.executable).with_name("vng")

BOOT_SECONDS = 120
"""How long the guest may take to boot and to go down, beside its command."""

_STANDSTILL = "softlockup_panic=1 watchdog_thresh=30"
"""A processor that does nothing but spin in the kernel for a minute ends the guest."""

_CHEAP = "mitigations=off"
"""Each entry into the kernel would change the page tables, and what is emulated forgets all that it had translated."""

_SHARE = "-fsdev local,id=cached,path=/,security_model=none,readonly=on,multidevs=remap"
_CACHED = """\
# The second for the disks of the laboratory.
modprobe -a 9p loop 2>/dev/null
mkdir /run/cached
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 cached /run/cached || exit 1
# Its own /tmp is empty, and the checkout may be there.
mkdir -p "$root"
for folder in /usr/bin /usr/sbin /usr/local /usr/lib/*-linux-gnu /usr/lib/python3* "$root" /var/cache/ebpf-recipe; do
  [ ! -d "/run/cached$folder" ] || mount --bind "/run/cached$folder" "$folder"
done
"""
"""virtme-ng shares this machine's files without a cache: each start of Python or bpftrace would fetch them again."""


def missing(kernel: str = DEFAULT) -> str | None:
    """Return why there can be no guest with this kernel here, or None where there can."""
    if platform.machine() != "x86_64":
        return f"a guest for {platform.machine()} is not set up"
    if os.geteuid() != 0:
        return "not root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [package for name, package in _NEEDED.items() if shutil.which(name, path=path) is None]
    if not VNG.exists():
        lacking.append("virtme-ng (pip)")
    if fetched_kernel(kernel) is None:
        lacking.append(f"a kernel {kernel} (tests/laboratory/fetch-kernel {kernel})")
    return f"not installed: {', '.join(lacking)}" if lacking else None


@dataclass(frozen=True)
class Guest:
    """A guest that was started."""

    process: subprocess.Popen[bytes]
    code: Path

    def exit_code(self) -> int:
        """Return the exit code of the command, after the guest ended.

        :raises RuntimeError: The guest ended without one.
        """
        try:
            return int(self.code.read_text())
        except (FileNotFoundError, ValueError) as error:
            raise RuntimeError(
                f"the guest ended without an exit code (vng: {self.process.returncode})"
            ) from error


@contextlib.contextmanager
def booted(
    command: list[str],
    folder: Path,
    *,
    kernel: str = DEFAULT,
    seconds: int,
) -> Iterator[Guest]:
    """Boot a guest that runs a command, what it prints on our stdout, and ends; end it where it still runs afterwards.

    :param folder: A folder whose files the guest may change; `run.sh` and `exit-code` in it are ours.
    :param kernel: Which of the fetched kernels; `missing` says whether it is here.
    :param seconds: After so long the command is ended inside.
    """
    image = fetched_kernel(kernel)
    assert image is not None
    for package in _PACKAGES:
        # Nobody can keep what is compiled inside, and each start would do it again.
        compileall.compile_dir(_ROOT / package, quiet=1)
    code = folder / "exit-code"
    code.unlink(missing_ok=True)
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
        str(VNG), "--run", str(image), "--disable-kvm", "--cpus", "2", "--memory", "2G", "--user", "root",
        "--append", f"{_STANDSTILL} {_CHEAP}", "--rwdir", str(folder), "--rodir", str(_CACHE),
        f"--qemu-opts={_SHARE} -device virtio-9p-pci,fsdev=cached,mount_tag=cached", "--", str(script),
    ]  # fmt: skip
    # vng looks for its own parts by their names.
    environment = {**os.environ, "PATH": f"{VNG.parent}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    with (
        # qemu opens its output once more by its path, and would empty a file that we write.
        subprocess.Popen(["cat"], stdin=subprocess.PIPE) as printed,
        subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=printed.stdin, start_new_session=True
        ) as guest,
    ):
        try:
            yield Guest(guest, code)
        finally:
            # qemu is in the session of its own that vng leads, and ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(guest.pid, signal.SIGKILL)


def run_in_guest(command: list[str], folder: Path, *, kernel: str = DEFAULT, seconds: int) -> int:
    """Run a command in a guest, what it prints on our stdout; return its exit code.

    :param folder: The only folder whose files the guest may change; empty.
    :param kernel: Which of the fetched kernels; `missing` says whether it is here.
    :param seconds: After so long the command is ended inside, and BOOT_SECONDS later the guest is.
    :raises TimeoutError: The guest was ended.
    :raises RuntimeError: It ended without the command's exit code.
    """
    with booted(command, folder, kernel=kernel, seconds=seconds) as guest:
        try:
            guest.process.wait(BOOT_SECONDS + seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"the guest did not end within {BOOT_SECONDS + seconds} s") from error
    return guest.exit_code()
