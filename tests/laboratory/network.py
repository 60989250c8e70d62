"""Two hosts on one machine: network namespaces joined by a veth pair, with packet loss between them."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.laboratory.children import child


@dataclass(frozen=True)
class Host:
    """A network namespace, held by a process.

    :param ipv4: Its address on the link, and `ipv6` likewise.
    """

    holder: int
    ipv4: str
    ipv6: str

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return a command as it runs on this host."""
        return ["nsenter", f"--net=/proc/{self.holder}/ns/net", "--", *argv]

    def run(self, *argv: str) -> str:
        """Run a command on this host to its end; return its stdout."""
        done = subprocess.run(self.command(argv), check=True, capture_output=True, text=True, timeout=60)
        return done.stdout


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Raise a server and a client host, joined by a link."""
    with contextlib.ExitStack() as stack:
        holders = [
            stack.enter_context(child(["unshare", "--net", "sleep", "infinity"])).pid for _ in range(2)
        ]
        server = Host(holders[0], "10.99.0.1", "fd99::1")
        client = Host(holders[1], "10.99.0.2", "fd99::2")
        _wait_for_namespaces(holders)
        server.run(
            "ip", "link", "add", "lab0", "type", "veth", "peer", "name", "lab0", "netns", str(holders[1])
        )
        for host in (server, client):
            host.run("ip", "link", "set", "lo", "up")
            host.run("ip", "address", "add", f"{host.ipv4}/24", "dev", "lab0")
            # Without duplicate address detection the address is usable at once.
            host.run("ip", "address", "add", f"{host.ipv6}/64", "dev", "lab0", "nodad")
            host.run("ip", "link", "set", "lab0", "up")
        yield server, client


def lose_packets(host: Host, probability: float) -> None:
    """Drop this share of the TCP packets that reach a host: what was sent to it is sent again."""
    for tables in ("iptables-legacy", "ip6tables-legacy"):
        rule = f"-A INPUT -p tcp -m statistic --mode random --probability {probability} -j DROP"
        host.run(tables, *rule.split())


def stop_losing_packets(host: Host) -> None:
    """Let every packet through again."""
    for tables in ("iptables-legacy", "ip6tables-legacy"):
        host.run(tables, "-F", "INPUT")


def retransmitted_segments(host: Host) -> int:
    """Return the kernel's own count of segments sent again by a host, SYN-ACKs included."""
    lines = host.run("cat", "/proc/net/snmp").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


def _wait_for_namespaces(holders: Sequence[int]) -> None:
    def namespace(pid: int | str) -> str:
        return subprocess.run(
            ["readlink", f"/proc/{pid}/ns/net"], capture_output=True, text=True, check=True
        ).stdout

    ours = namespace("self")
    deadline = time.monotonic() + 10
    while any(namespace(pid) == ours for pid in holders):
        if time.monotonic() > deadline:
            raise TimeoutError("unshare made no network namespace")
        time.sleep(0.01)
