"""Doing one text of a remedy, on a host or in a network namespace, and the link that they are tried on."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.recipe.remedies import find_remedy
from runner.workflow.experiment.change import change_of_remedy
from runner.workflow.experiment.state import host_lock, work_directory
from runner.workflow.experiment.switch import Switch
from tests.laboratory.children import child
from tests.laboratory.network import Host, two_hosts

ROOT = Path(__file__).parents[2]
SENT_PORT, OTHER_PORT = 9000, 9001


def do(
    remedy: str, step: str, where: str | Host, work: Path, *, before: str = "none", **parameters: object
) -> subprocess.CompletedProcess[str]:
    """Do one step of a remedy on a host, or in a namespace of that name.

    :param step: `read`, `apply`, `verify`, `counters`, `revert` or `gone`; or `requires`: all checks.
    :return: The end of its text; of `requires` with the reasons of the checks that failed as its stderr.
    """
    given = {name.replace("_", "-"): str(value) for name, value in parameters.items()}
    change = change_of_remedy(find_remedy(remedy), given, None, work)
    environment = {**os.environ, **change.environment, "BEFORE": before}

    def shell(text: str) -> subprocess.CompletedProcess[str]:
        words = ["sh", "-ec", text]
        command = where.command(words) if isinstance(where, Host) else ["ip", "netns", "exec", where, *words]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    if step != "requires":
        return shell(getattr(change.settings[0], f"{step}_text"))
    reasons = [reason for check, reason in change.requires if shell(check).returncode != 0]
    return subprocess.CompletedProcess([], bool(reasons), "", "\n".join(reasons))


@contextlib.contextmanager
def switch(remedy: str, namespace: str, directory: Path, **parameters: object) -> Iterator[Switch]:
    """Have a remedy as an experiment has it: with a journal, off to begin with, and off at the end."""
    given = {name.replace("_", "-"): str(value) for name, value in parameters.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EBPF_RECIPE_STATE", str(directory))
        change = change_of_remedy(find_remedy(remedy), given, namespace, work_directory())
        with host_lock():
            made = Switch(change, directory, None)
            try:
                yield made
            finally:
                if made.is_on:
                    made.off()
                made.close()


def loaded(program: str) -> bool:
    """Whether a BPF program of this name is loaded."""
    done = subprocess.run(["bpftool", "prog", "show"], capture_output=True, text=True, check=True)
    return f" name {program} " in done.stdout


def counters(remedy: str, namespace: str, work: Path, **parameters: object) -> dict[str, int]:
    """Return what a remedy that is applied has counted."""
    done = do(remedy, "counters", namespace, work, **parameters)
    assert done.returncode == 0, done.stderr
    return {name: int(number) for name, number in map(str.split, done.stdout.splitlines())}


@contextlib.contextmanager
def named(host: Host, name: str) -> Iterator[str]:
    """Give the namespace of a host a name, as `ip netns exec` wants it."""
    subprocess.run(["ip", "netns", "attach", name, str(host.holder)], check=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@contextlib.contextmanager
def link(name: str) -> Iterator[tuple[Host, Host]]:
    """Raise a receiver, whose namespace has that name, and a sender, on whose link nobody speaks unasked."""
    with two_hosts() as (receiver, sender), named(receiver, name):
        for one, other in ((receiver, sender), (sender, receiver)):
            address = json.loads(other.run("ip", "-j", "link", "show", "lab0"))[0]["address"]
            for family in (other.ipv4, other.ipv6):
                one.run(*f"ip neighbour add {family} lladdr {address} dev lab0 nud permanent".split())
        yield receiver, sender


@contextlib.contextmanager
def silent(host: Host) -> Iterator[None]:
    """Take the addresses off a link, and IPv6 with its own packets."""
    host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
    host.run("ip", "address", "flush", "dev", "lab0")
    yield


@contextlib.contextmanager
def counting(host: Host, module: str, *words: str) -> Iterator[dict[str, int]]:
    """Count what comes to a host during the block; the result is filled at its end."""
    found: dict[str, int] = {}
    command = host.command([sys.executable, "-m", f"tests.laboratory.{module}", "count", *words])
    with child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as counter:
        assert counter.stdout.readline() == b"counting\n"
        yield found
        output, _ = counter.communicate(timeout=30)
    found.update(json.loads(output))


def send_frames(host: Host, frames: Sequence[tuple[int, bytes]], interface: str = "lab0") -> None:
    """Send frames, each so many times."""
    lines = "".join(f"{times} {frame.hex()}\n" for times, frame in frames)
    command = host.command([sys.executable, "-m", "tests.laboratory.frames", "send", interface])
    subprocess.run(command, input=lines, text=True, check=True, cwd=ROOT, timeout=60)


def send_datagrams(host: Host, address: str, numbers: Mapping[int, int], size: int = 100) -> None:
    """Send so many datagrams to each port."""
    words = [str(word) for port, number in numbers.items() for word in (port, number, size)]
    host.run(sys.executable, "-m", "tests.laboratory.datagrams", "send", address, *words)


def attached(host: Host, interface: str = "lab0") -> dict[str, Any]:
    """Return what XDP an interface has, as `ip` shows it; empty without one."""
    found: dict[str, Any] = json.loads(host.run("ip", "-j", "link", "show", interface))[0].get("xdp", {})
    return found


def shown(host: Host, interface: str = "lab0") -> str:
    """Return all that `ip` and `tc` say of an interface, but how many packets it had."""
    commands = (
        "ip -d link show dev {}",
        "tc qdisc show dev {}",
        "tc filter show dev {} ingress",
        "tc filter show dev {} egress",
    )
    return "\n".join(host.run(*command.format(interface).split()) for command in commands)
