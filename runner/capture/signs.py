"""Signs: what the host counted beside a run that may matter, and what to do next; the one table of rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runner.capture.document import Capture, Companion

_SECONDS: Mapping[str | None, float] = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}


@dataclass(slots=True)
class Readings:
    """The companions of one place: the host, a control group, or a network namespace.

    :param seconds: The length of the window.
    :param place: A companion of a control group or a process's network; None of the host.
    """

    seconds: float | None
    cpus: int | None
    place: Companion | None = None
    by_name: dict[str, Companion] = field(default_factory=dict)
    by_cpu: list[Companion] = field(default_factory=list)

    def last(self, name: str) -> int | None:
        """Return the later of two values that are no counters; None where neither was read."""
        companion = self.by_name.get(name)
        values = () if companion is None else (companion["after"], companion["before"])
        return next((value for value in values if _is_whole(value)), None)

    def rise(self, *names: str) -> int:
        """Return by how much counters rose together; one that was not read at both ends did not."""
        return sum(_rise(self.by_name[name]) for name in names if name in self.by_name)

    def rise_seconds(self, name: str) -> float:
        """Return by how many seconds a time rose."""
        companion = self.by_name.get(name)
        return 0.0 if companion is None else _rise(companion) * _SECONDS.get(companion["unit"], 0.0)

    def share(self, name: str, *, of_all_processors: bool = False) -> float:
        """Return by which share of the window a time rose; 0 where the window's length is not known."""
        whole = (self.seconds or 0.0) * ((self.cpus or 0) if of_all_processors else 1)
        # The readings lie some ms outside the window.
        return min(self.rise_seconds(name) / whole, 1.0) if whole else 0.0

    def is_below(self, share: float, name: str, *, of_all_processors: bool = False) -> bool:
        """Whether a time that was read here rose by less than a share; not where that cannot be known."""
        if name not in self.by_name:
            return True
        whole = (self.seconds or 0.0) * ((self.cpus or 0) if of_all_processors else 1)
        return self.rise_seconds(name) < share * whole

    def per_second(self, *names: str) -> float:
        """Return by how much counters rose in a second; 0 where the window's length is not known."""
        return self.rise(*names) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What is worth a line.

    :param when: When it is, in words.
    :param next: What to do next.
    :param line: The line, or None where it is not worth one.
    :param counters: What it is made of: where all of them were read and there is no line, it did not happen.
    :param is_absent: Whether what is not worth a line did not happen at all; a little of it excludes nothing.
    :param is_of_host: It is counted for the whole host, whoever asks.
    """

    when: str
    next: str
    line: Callable[[Readings], str | None]
    counters: tuple[str, ...]
    is_absent: Callable[[Readings], bool] = lambda _: True
    is_of_host: bool = False


MOST_GROUPS, MOST_NAMESPACES = 8, 4
"""So many control groups and network namespaces of a target are read at most."""

THROTTLED_NEXT = "raise the CPU limit of the group, or have fewer threads run at once"
CONNTRACK_FULL = 0.9
CPU_PRESSURE, MEMORY_PRESSURE, IO_PRESSURE = 0.2, 0.05, 0.1
IOWAIT, STEAL = 0.2, 0.01
RETRANSMITTED, LEAST_RETRANSMITTED = 0.01, 10
OFTEN = 1.0
LITTLE = 0.1
"""Below this share of what is worth a line, nothing happened that matters."""
MANY_RULES = 1000


def _throttled(readings: Readings) -> str | None:
    periods = readings.rise("cpu_throttled_periods")
    if not periods:
        return None
    quota, period = readings.last("cpu_quota"), readings.last("cpu_quota_period")
    limit = f", limit {quota / period:.2f} processors" if quota is not None and period else ""
    return (
        f"held back by its CPU limit in {periods} of {readings.rise('cpu_periods')} periods, "
        f"for {readings.rise_seconds('cpu_throttled_time'):.2f} s over all processors{limit}"
    )


def _conntrack_full(readings: Readings) -> str | None:
    entries, most = readings.last("conntrack_entries"), readings.last("conntrack_max")
    if entries is None or not most or entries < CONNTRACK_FULL * most:
        return None
    return f"the connection tracking table is {entries / most:.0%} full: {entries} of {most}"


def _conntrack_refused(readings: Readings) -> str | None:
    refused = readings.rise("conntrack_insert_failed", "conntrack_drops", "conntrack_early_drops")
    if not refused:
        return None
    return f"connection tracking refused {refused} packets or gave up connections for new ones"


def _softnet_dropped(readings: Readings) -> str | None:
    dropped = readings.rise("softnet_dropped")
    if not dropped:
        return None
    each = ", ".join(f"CPU {one.get('cpu')}: {_rise(one)}" for one in readings.by_cpu if _rise(one))
    return f"{dropped} packets dropped by full receive queues" + (f" ({each})" if each else "")


def _softnet_flow_limit(readings: Readings) -> str | None:
    dropped = readings.rise("softnet_flow_limit")
    return f"{dropped} packets of flows above their limit were dropped" if dropped else None


def _softnet_squeezed(readings: Readings) -> str | None:
    if readings.per_second("softnet_time_squeeze") < OFTEN:
        return None
    return f"receiving packets ran out of its budget {readings.rise('softnet_time_squeeze')} times"


def _stalled(name: str, least: float, what: str) -> Callable[[Readings], str | None]:
    def line(readings: Readings) -> str | None:
        share = readings.share(name)
        if share < least:
            return None
        return f"tasks waited for {what} in {readings.rise_seconds(name):.2f} s ({share:.0%} of the window)"

    return line


def _steal(readings: Readings) -> str | None:
    share = readings.share("cpu_steal", of_all_processors=True)
    return f"the hypervisor took {share:.0%} of the processors' time" if share >= STEAL else None


def _iowait(readings: Readings) -> str | None:
    share = readings.share("cpu_iowait", of_all_processors=True)
    return f"the processors were idle and waited for I/O {share:.0%} of the time" if share >= IOWAIT else None


def _retransmitted(readings: Readings) -> str | None:
    again, sent = readings.rise("tcp_retrans_segs"), readings.rise("tcp_out_segs")
    if again < LEAST_RETRANSMITTED or again < RETRANSMITTED * sent:
        return None
    return f"{again} TCP segments sent again, {sent} sent for the first time"


def _timeouts(readings: Readings) -> str | None:
    if readings.per_second("tcp_timeouts") < OFTEN:
        return None
    return f"{readings.rise('tcp_timeouts')} times no acknowledgement came before TCP's timer"


def _listen_drops(readings: Readings) -> str | None:
    # Each overflow is a drop too (tcp_listendrop).
    dropped, full = readings.rise("tcp_listen_drops"), readings.rise("tcp_listen_overflows")
    if not dropped and not full:
        return None
    return f"listening sockets dropped {max(dropped, full)} packets, {full} of them because a queue was full"


def _udp_full(readings: Readings) -> str | None:
    dropped = readings.rise("udp_rcvbuf_errors", "udp6_rcvbuf_errors")
    return f"{dropped} UDP packets dropped by full socket buffers" if dropped else None


def _udp_no_ports(readings: Readings) -> str | None:
    if readings.per_second("udp_no_ports", "udp6_no_ports") < OFTEN:
        return None
    return f"{readings.rise('udp_no_ports', 'udp6_no_ports')} UDP packets came for ports where nobody listens"


def _many_rules(readings: Readings) -> str | None:
    names = ("nftables_rules", "iptables_rules", "ip6tables_rules")
    counts = {name.removesuffix("_rules"): readings.last(name) or 0 for name in names}
    if sum(counts.values()) < MANY_RULES:
        return None
    return "firewall rules: " + ", ".join(f"{count} of {name}" for name, count in counts.items() if count)


RULES: dict[str, Rule] = {
    "cpu-throttled": Rule(
        "a CPU limit held a group back at all", THROTTLED_NEXT, _throttled, ("cpu_throttled_periods",)
    ),
    "conntrack-full": Rule(
        f"the table is {CONNTRACK_FULL:.0%} full or more",
        "raise net.netfilter.nf_conntrack_max, or track less (notrack); `conntrack -S` and `conntrack -L`",
        _conntrack_full,
        ("conntrack_entries", "conntrack_max"),
    ),
    "conntrack-refused": Rule(
        "an insert failed, or a packet or a connection was dropped", "`conntrack -S`; raise "
        "net.netfilter.nf_conntrack_max where it is full", _conntrack_refused,
        ("conntrack_drops", "conntrack_insert_failed"),
    ),
    "softnet-dropped": Rule(
        "a packet was dropped",
        "raise net.core.netdev_max_backlog; spread the packets over processors (`ethtool -x`, RPS)",
        _softnet_dropped,
        ("softnet_dropped",),
        is_of_host=True,
    ),
    "softnet-flow-limit": Rule(
        "a packet was dropped", "one flow fills a queue: net.core.flow_limit_cpu_bitmap", _softnet_flow_limit,
        ("softnet_flow_limit",),
        is_of_host=True,
    ),
    "softnet-squeezed": Rule(
        "once a second or more",
        "raise net.core.netdev_budget and netdev_budget_usecs; spread the packets over processors",
        _softnet_squeezed,
        ("softnet_time_squeeze",),
        is_of_host=True,
    ),
    "cpu-pressure": Rule(
        f"{CPU_PRESSURE:.0%} of the window or more", "find who runs (`top`); fewer tasks or more processors",
        _stalled("cpu_pressure_some", CPU_PRESSURE, "a processor"),
        ("cpu_pressure_some",),
        is_of_host=True,
    ),
    "memory-pressure": Rule(
        f"{MEMORY_PRESSURE:.0%} of the window or more",
        "find who uses memory; `memory.pressure` of each cgroup says whose limit it is",
        _stalled("memory_pressure_some", MEMORY_PRESSURE, "memory"),
        ("memory_pressure_some",),
        is_absent=lambda readings: readings.is_below(LITTLE * MEMORY_PRESSURE, "memory_pressure_some"),
        is_of_host=True,
    ),
    "io-pressure": Rule(
        f"{IO_PRESSURE:.0%} of the window or more", "find which disk (`iostat -x 1`) and whose requests",
        _stalled("io_pressure_some", IO_PRESSURE, "I/O"),
        ("io_pressure_some",),
        is_of_host=True,
    ),
    "cpu-steal": Rule(
        f"{STEAL:.0%} of the processors' time or more",
        "nothing in this host: ask who runs the hypervisor, or move the machine", _steal,
        ("cpu_steal",),
        is_absent=lambda readings: readings.is_below(LITTLE * STEAL, "cpu_steal", of_all_processors=True),
        is_of_host=True,
    ),
    "cpu-iowait": Rule(
        f"{IOWAIT:.0%} of the processors' time or more", "find which disk (`iostat -x 1`)", _iowait,
        ("cpu_iowait",),
        is_of_host=True,
    ),
    "tcp-retransmitted": Rule(
        f"{LEAST_RETRANSMITTED} segments or more, and {RETRANSMITTED:.0%} of those that were sent",
        "`ebpf-recipe run tcp-retrans` says whose", _retransmitted,
        ("tcp_retrans_segs", "tcp_out_segs"),
        is_absent=lambda readings: not readings.rise("tcp_retrans_segs"),
    ),
    "tcp-timeouts": Rule(
        "once a second or more", "`ebpf-recipe run tcp-retrans` says whose; a peer or a path is dead or slow",
        _timeouts,
        ("tcp_timeouts",),
    ),
    "listen-drops": Rule(
        "a listening socket dropped a packet",
        "the server accepts too slowly: `ss -ltn` (Recv-Q); raise its backlog and net.core.somaxconn",
        _listen_drops,
        ("tcp_listen_drops", "tcp_listen_overflows"),
    ),
    "udp-buffers-full": Rule(
        "a packet was dropped", "`ss -uamp` says whose; a faster reader, or net.core.rmem_max and SO_RCVBUF",
        _udp_full,
        ("udp_rcvbuf_errors",),
    ),
    "udp-no-ports": Rule(
        "once a second or more", "whoever sends them has a wrong port, or a service is down", _udp_no_ports,
        ("udp_no_ports",),
    ),
    "many-firewall-rules": Rule(
        f"{MANY_RULES} rules or more", "use sets (`ipset`, nftables sets) instead of a rule for each address",
        _many_rules,
        (),
    ),
}  # fmt: skip
"""What a share is taken of is the window; the thresholds are judgements, the counts are not."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that happened beside a run and may matter.

    :param code: Which rule says so.
    :param place: Has the control group (`cgroup`) that it was in, or a process in whose network namespace it
        was (`pid`); None: it was of the host.
    """

    code: str
    place: Companion | None
    text: str

    @property
    def next(self) -> str:
        """Return what to do next."""
        return RULES[self.code].next


def signs_of(capture: Capture) -> list[Sign]:
    """Return what happened beside the run and may matter, in the order of the rules."""
    return [
        Sign(code, readings.place, text)
        for code, rule in RULES.items()
        for readings in _places(capture)
        if (text := rule.line(readings)) is not None
    ]


def absent_signs(capture: Capture) -> list[str]:
    """Return the rules whose counters were read at both ends, wherever they were read, and did not rise.

    What was read of as many places as are read at most may have happened in another one.
    """
    told = {sign.code for sign in signs_of(capture)}
    known: dict[str, bool] = {}
    for each in capture["companions"]:
        is_read = None not in (each["before"], each["after"])
        known[each["name"]] = known.get(each["name"], True) and is_read
    read = {name for name, is_read in known.items() if is_read}
    places = list(_places(capture))
    if sum(_kind_of(each) == "cgroup" for each in places) >= MOST_GROUPS:
        read -= {name for each in places if _kind_of(each) == "cgroup" for name in each.by_name}
    if sum(_kind_of(each) == "pid" for each in places) >= MOST_NAMESPACES - 1:
        read -= {name for each in places if _kind_of(each) == "pid" for name in each.by_name}
    return [
        code
        for code, rule in RULES.items()
        if rule.counters
        and code not in told
        and read.issuperset(rule.counters)
        and all(rule.is_absent(each) for each in places)
    ]


def _kind_of(readings: Readings) -> str:
    return "" if readings.place is None else _place_of(readings.place)[0]


def _places(capture: Capture) -> Iterator[Readings]:
    places: dict[tuple[str, Any], Readings] = {}
    for companion in capture["companions"]:
        where = _place_of(companion)
        if where not in places:
            places[where] = Readings(
                capture["window"]["duration_seconds"],
                capture["host"].get("cpus"),
                companion if where[0] else None,
            )
        if "cpu" in companion:
            places[where].by_cpu.append(companion)
        else:
            places[where].by_name[companion["name"]] = companion
    yield from places.values()


def _place_of(companion: Companion) -> tuple[str, Any]:
    """Return what tells one place from another."""
    if "cgroup" in companion:
        return "cgroup", str(companion["cgroup"])
    return ("pid", companion["pid"]) if "pid" in companion else ("", None)


def _rise(companion: Companion) -> int:
    before, after = companion["before"], companion["after"]
    return max(after - before, 0) if _is_whole(before) and _is_whole(after) else 0


def _is_whole(value: Any) -> bool:
    return type(value) is int
