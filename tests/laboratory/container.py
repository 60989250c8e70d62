"""A container of runc, in a cgroup of the caller's choice, as engines start them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.laboratory.children import child

_LIMIT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs.

    :param pid: Of its first process, as this host has it.
    """

    id: str
    pid: int


def new_id() -> str:
    """Return an id as docker and the engines of Kubernetes make them: 64 hexadecimal digits."""
    return os.urandom(32).hex()


@contextlib.contextmanager
def container(
    bundle: Path,
    cgroup: str,
    command: Sequence[str],
    *,
    id: str,  # noqa: A002  # runc's word
    annotations: Mapping[str, str] | None = None,
) -> Iterator[Container]:
    """Run a command in a container until the end of the block, or of our own life.

    Its files are busybox and its applets; it has no network. What it prints is in the bundle's file `output`.

    :param bundle: A folder for its files that does not exist; engines keep their config.json below /run.
    :param cgroup: The container's own, from the root of every hierarchy: what lacks on the way is made, and
        removed at the end.
    :param annotations: What an engine would write into config.json.
    """
    _write_bundle(bundle, cgroup, command, annotations or {})
    roots = _hierarchies()
    made = [place for root in roots for place in _missing(root, cgroup)]
    # In a process namespace around it: with runc, its first process, the container ends. unshare(1) heeds no
    # SIGTERM while it waits for that process.
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    runc = ["runc", "--root", str(bundle / "state"), "run", "--bundle", str(bundle), id]
    try:
        with (
            (bundle / "output").open("wb") as output,
            child(
                [*alone, *runc], end=signal.SIGKILL, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            ) as process,
        ):
            first = _first_process(process, roots[0] / cgroup.lstrip("/"), bundle / "output")
            try:
                yield Container(id, first)
            finally:
                # Then runc ends by itself, and its parent takes note; killed, the parent leaves a zombie.
                if process.poll() is None:
                    os.kill(first, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LIMIT_SECONDS)
    finally:
        _remove(made)


def _write_bundle(bundle: Path, cgroup: str, command: Sequence[str], annotations: Mapping[str, str]) -> None:
    binaries = bundle / "rootfs/bin"
    binaries.mkdir(parents=True)
    for name in ("dev", "etc", "proc", "sys", "tmp"):
        (bundle / "rootfs" / name).mkdir()
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeError("busybox is not installed")
    shutil.copy(busybox, binaries / "busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for applet in set(applets.stdout.split()) - {"busybox"}:
        (binaries / applet).symlink_to("busybox")
    subprocess.run(["runc", "spec", "--bundle", str(bundle)], check=True)
    place = bundle / "config.json"
    config: dict[str, Any] = json.loads(place.read_text())
    config["process"].update(terminal=False, args=list(command))
    config["root"]["readonly"] = False
    config["linux"]["cgroupsPath"] = cgroup
    config["annotations"] = dict(annotations)
    place.write_text(json.dumps(config))


def _hierarchies() -> list[Path]:
    """Return where the hierarchies of cgroups are mounted, that of version 2 first."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = [(fields[2], fields[1]) for fields in mounts if fields[2] in {"cgroup", "cgroup2"}]
    if not found:
        raise RuntimeError("no hierarchy of cgroups is mounted")
    return [Path(place) for _, place in sorted(found, reverse=True)]


def _missing(root: Path, cgroup: str) -> list[Path]:
    """Return the cgroups that do not exist on the way to one, the outermost first."""
    leaf = root / cgroup.lstrip("/")
    way = [leaf, *leaf.parents]
    return [place for place in reversed(way[: way.index(root)]) if not place.exists()]


def _first_process(process: subprocess.Popen[bytes], cgroup: Path, output: Path) -> int:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            for pid in (cgroup / "cgroup.procs").read_text().split():
                if _is_first(Path("/proc") / pid):
                    return int(pid)
        time.sleep(0.01)
    raise RuntimeError(f"the container did not start: {output.read_text(errors='replace')}")


def _is_first(process: Path) -> bool:
    """Whether a process is a container's first, and runc made it the command already."""
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return status["NSpid"].split()[-1] == "1" and not status["Name"].strip().startswith("runc")


def _remove(cgroups: Sequence[Path]) -> None:
    """Remove cgroups whose processes were killed: the kernel takes a moment."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    for cgroup in reversed(cgroups):
        while cgroup.exists():
            try:
                cgroup.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
