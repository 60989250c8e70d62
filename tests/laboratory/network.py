"""Two hosts on one machine: network namespaces joined by a veth pair, with packet loss between them."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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


@contextlib.contextmanager
def rule(host: Host, text: str) -> Iterator[Callable[[], int]]:
    """Have an iptables rule on a host, first of its chain, in both families, for the time of a block.

    :param text: As iptables has it: `INPUT -p tcp --dport 9 -j DROP`.
    :return: What says how many packets the rule has met so far, by the rule's own counter.
    """
    chain, *rest = text.split()
    both = ("iptables-legacy", "ip6tables-legacy")

    def packets() -> int:
        # -x: not rounded. Two lines of head, then the first rule.
        return sum(int(host.run(tables, "-w", "-nvxL", chain).splitlines()[2].split()[0]) for tables in both)

    for tables in both:
        host.run(tables, "-w", "-I", chain, "1", *rest)
    try:
        yield packets
    finally:
        for tables in both:
            host.run(tables, "-w", "-D", chain, "1")


@contextlib.contextmanager
def narrow(host: Host, kilobits: int) -> Iterator[None]:
    """Let a host send so many kilobits per second, for the time of a block: each packet waits for the last one.

    Only packets without data fit: those that open and close connections.
    """
    shape = f"root tbf rate {kilobits}kbit burst 110 latency 5s"
    host.run("tc", "qdisc", "add", "dev", "lab0", *shape.split())
    try:
        yield
    finally:
        host.run("tc", "qdisc", "del", "dev", "lab0", "root")


@contextlib.contextmanager
def one_segment_packets(host: Host) -> Iterator[None]:
    """Have each packet that a host sends be one segment (no segmentation offload), for the time of a block."""
    host.run("ip", "link", "set", "dev", "lab0", "gso_max_segs", "1")
    try:
        yield
    finally:
        host.run("ip", "link", "set", "dev", "lab0", "gso_max_segs", "65535")


def receive_on(host: Host, cpu: int) -> None:
    """Have one processor take in all packets that reach a host (receive packet steering)."""
    # /sys shows the interfaces of the network namespace that it was mounted in.
    path = "/sys/class/net/lab0/queues/rx-0/rps_cpus"
    host.run("unshare", "--mount", "sh", "-c", f"mount -t sysfs sysfs /sys && echo {1 << cpu:x} > {path}")


def counters(host: Host) -> dict[str, int]:
    """Return the kernel's own counters of a host's network, by the names that nstat gives them."""
    found = {}
    lines = host.run("cat", "/proc/net/snmp").splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        protocol, _, rest = names.partition(": ")
        _, _, numbers = values.partition(": ")
        for name, number in zip(rest.split(), numbers.split(), strict=True):
            found[protocol + name] = int(number)
    for line in host.run("cat", "/proc/net/snmp6").splitlines():
        name, number = line.split()
        found[name] = int(number)
    return found


def counted_since(host: Host, before: Mapping[str, int]) -> dict[str, int]:
    """Return by how much each counter of a host grew."""
    return {name: value - before.get(name, 0) for name, value in counters(host).items()}


def retransmitted_segments(host: Host) -> int:
    """Return the kernel's own count of segments sent again by a host, SYN-ACKs included."""
    return counters(host)["TcpRetransSegs"]


def wait_until_nothing_is_sent(host: Host) -> None:
    """Wait until no connection of a host is left that may send: all were closed at both ends, or dropped.

    The kernel sends again what was lost, whether or not a process has the socket still.

    :raises TimeoutError: Some are left after a minute: the retransmission timer doubles, to 25.6 s in that time.
    """
    deadline = time.monotonic() + 60
    while left := host.run("ss", "-Htn", "state", "connected", "exclude", "time-wait"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"connections are left:\n{left}")
        time.sleep(0.1)


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
