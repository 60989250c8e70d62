"""Companions from trees of made files: control groups of both versions, counters, odd content, nothing at all."""

import errno
import re
import subprocess
from pathlib import Path

import pytest

from runner.capture.signs import RULES
from runner.companions import CompanionWatch
from runner.host.companions import firewall
from runner.host.companions.fact import whole_number
from runner.host.companions.firewall import firewall_facts
from runner.host.companions.protocols import protocol_facts
from runner.host.companions.softnet import softnet_facts
from runner.report.companions import format_companions, rules_as_markdown

V1 = {"cpu.cfs_quota_us": "20000\n", "cpu.cfs_period_us": "100000\n"}
V1_FREE = {**V1, "cpu.cfs_quota_us": "-1\n"}
V1_STAT = "nr_periods 10\nnr_throttled 4\nthrottled_time 123456789\nnr_bursts 0\nburst_time 0\n"
V2_STAT = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 7\nnr_throttled 3\nthrottled_usec 1500\n"
SNMP = (
    "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: RtoAlgorithm MaxConn RetransSegs OutSegs\nTcp: 1 -1 12 3400\n"
)
SNMP += "Udp: InDatagrams NoPorts RcvbufErrors\nUdp: 5 6 7\nUdpLite: InDatagrams NoPorts\nUdpLite: 0 99\n"
NETSTAT = "TcpExt: ListenOverflows ListenDrops TCPTimeouts\nTcpExt: 1 2 3\nIpExt: InNoRoutes\nIpExt: 9\n"
CONNTRACK = (
    "entries  clashres insert_failed drop early_drop\n" + "0000000a 0 0000000f 00000002 00000000\n" * 2
)
SOFTNET = "0000000a 00000001 00000002 0 0 0 0 0 0 00000003 00000004 0 00000000 0 0\n"
SOFTNET += "000000ff 00000000 00000000 0 0 0 0 0 0 00000000 00000000 0 00000005 0 0\n"
PRESSURE = (
    "some avg10=57.64 avg60=1.00 avg300=7.20 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=45\n"
)


class Tree:
    """A host made of files."""

    def __init__(self, folder):
        self.proc = folder / "proc"
        self.cgroups = folder / "cg root"
        self.proc.mkdir()
        self.cgroups.mkdir()
        self._mounts = []
        self.link("self", "net:[1]")

    def write(self, path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def link(self, pid, namespace):
        (self.proc / str(pid) / "ns").mkdir(parents=True)
        (self.proc / str(pid) / "ns/net").symlink_to(namespace)

    def process(self, pid, comm="nginx", cgroup="0::/\n", namespace="net:[1]"):
        self.link(pid, namespace)
        self.write(self.proc / str(pid) / "comm", comm + "\n")
        self.write(self.proc / str(pid) / "cgroup", cgroup)

    def mount(self, kind, options, root="/", place=""):
        folder = self.cgroups / place
        folder.mkdir(exist_ok=True)
        shown = str(folder).replace(" ", "\\040")
        self._mounts.append(
            f"9 1 0:1 {root} {shown} rw,relatime shared:3 master:1 - {kind} {kind} {options}\n"
        )
        self.write(self.proc / "self/mountinfo", "odd line\n\n" + "".join(self._mounts))
        return folder

    def group(self, folder, files):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            self.write(folder / name, content)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr("runner.companions.firewall_facts", lambda _: ())
    return Tree(tmp_path)


def read(tree, *, change=None, asked=True):
    watch = CompanionWatch((lambda holder: holder.name == b"nginx") if asked else None, tree.proc)
    watch.look()
    watch.begin()
    if change is not None:
        change()
    watch.end()
    return watch.companions()


def values(companions, **where):
    return {
        each["name"]: (each["before"], each["after"])
        for each in companions
        if all(each.get(field) == value for field, value in where.items())
    }


def groups(companions):
    return {each["cgroup"] for each in companions if "cgroup" in each}


def test_a_host_that_says_nothing_gives_nothing_and_fails_nothing(tree):
    assert read(tree) == []
    assert read(tree, asked=False) == []


def test_throttling_of_cgroup_v2_with_the_limit_above(tree):
    folder = tree.mount("cgroup2", "rw")
    tree.group(folder / "a.slice", {"cpu.stat": V2_STAT, "cpu.max": "20000 100000\n"})
    tree.group(folder / "a.slice/b.service", {"cpu.stat": V2_STAT, "cpu.max": "max 100000\n"})
    tree.process(7, cgroup="0::/a.slice/b.service\n")
    later = V2_STAT.replace("throttled_usec 1500", "throttled_usec 2500")
    found = read(tree, change=lambda: tree.write(folder / "a.slice/cpu.stat", later))
    assert groups(found) == {"/a.slice"}
    assert values(found) == {
        "cpu_periods": (7, 7),
        "cpu_throttled_periods": (3, 3),
        "cpu_throttled_time": (1500, 2500),
        "cpu_quota": (20000, 20000),
        "cpu_quota_period": (100000, 100000),
    }
    assert {each["name"]: each["unit"] for each in found}["cpu_throttled_time"] == "us"
    assert found[0]["source"] == str(folder / "a.slice/cpu.stat")


def test_throttling_of_cgroup_v1_where_cpu_is_mounted_with_others(tree):
    tree.mount("cgroup", "rw,cpuset", place="cpuset")
    folder = tree.mount("cgroup", "rw,cpu,cpuacct", place="cpu,cpuacct")
    tree.group(folder / "pods/one", {"cpu.stat": V1_STAT, **V1})
    tree.group(folder / "pods", {"cpu.stat": V1_STAT, **V1})
    tree.process(7, cgroup="3:cpuset:/\n2:cpu,cpuacct:/pods/one\n1:name=systemd:/x\n")
    found = read(tree)
    assert groups(found) == {"/pods/one", "/pods"}
    assert values(found)["cpu_throttled_time"] == (123456789, 123456789)
    assert {each["name"]: each["unit"] for each in found}["cpu_throttled_time"] == "ns"


@pytest.mark.parametrize("is_cpu_v1", [True, False])
def test_a_hybrid_host_is_read_where_the_cpu_controller_is(tree, is_cpu_v1):
    unified = tree.mount("cgroup2", "rw", place="unified")
    old = tree.mount("cgroup", "rw,cpu" if is_cpu_v1 else "rw,memory", place="old")
    tree.group(unified / "u", {"cpu.stat": V2_STAT, "cpu.max": "1 2\n"})
    tree.group(old / "o", {"cpu.stat": V1_STAT, **V1})
    tree.process(7, cgroup=f"4:{'cpu' if is_cpu_v1 else 'memory'}:/o\n0::/u\n")
    assert groups(read(tree)) == {"/o" if is_cpu_v1 else "/u"}


def test_a_group_without_limit_shows_a_limit_that_comes_during_the_run(tree):
    folder = tree.mount("cgroup", "rw,cpu")
    tree.group(folder / "free", {"cpu.stat": V1_STAT, **V1_FREE})
    tree.process(7, cgroup="4:cpu:/free\n")
    found = read(tree, change=lambda: tree.group(folder / "free", V1))
    assert values(found)["cpu_quota"] == (None, 20000)
    assert values(found)["cpu_periods"] == (10, 10)


def test_the_hosts_root_group_is_nobodys(tree):
    folder = tree.mount("cgroup", "rw,cpu")
    tree.group(folder, {"cpu.stat": V1_STAT, **V1_FREE})
    tree.process(7, cgroup="4:cpu:/\n")
    assert groups(read(tree)) == set()


def test_the_root_of_a_container_may_have_a_limit(tree):
    folder = tree.mount("cgroup2", "rw", root="/docker/abc")
    tree.group(folder, {"cpu.stat": V2_STAT, "cpu.max": "5 10\n"})
    tree.process(7, cgroup="0::/docker/abc\n")
    # Outside what is mounted here: nothing of it can be read.
    tree.process(8, cgroup="0::/docker/abcd\n")
    tree.process(9, cgroup="0::/../other\n")
    assert groups(read(tree)) == {"/docker/abc"}


def test_a_group_that_is_removed_has_no_value_after(tree):
    folder = tree.mount("cgroup2", "rw")
    tree.group(folder / "x", {"cpu.stat": V2_STAT})
    tree.process(7, cgroup="0::/x\n")
    assert values(read(tree, change=(folder / "x/cpu.stat").unlink))["cpu_periods"] == (7, None)


def test_names_that_are_not_utf_8(tree):
    folder = tree.mount("cgroup2", "rw")
    path = Path(str(folder) + "/p\udcff: x")
    tree.group(path, {"cpu.stat": V2_STAT})
    tree.process(
        7, cgroup=b"0::/p\xff: x\n".decode(errors="surrogateescape").encode(errors="surrogateescape")
    )
    found = read(tree)
    assert [each["cgroup"]["text"] for each in found] == ["/p\N{REPLACEMENT CHARACTER}: x"] * 3
    assert all("\udcff" not in each["source"] for each in found)


def test_at_most_eight_groups_and_limited_ones_first(tree):
    folder = tree.mount("cgroup2", "rw")
    for number in range(12):
        limit = "max 100000\n" if number < 10 else "1 2\n"
        tree.group(folder / str(number), {"cpu.stat": V2_STAT, "cpu.max": limit})
        tree.process(100 + number, cgroup=f"0::/{number}\n")
    found = groups(read(tree))
    assert len(found) == 8
    assert {"/10", "/11"} <= found


@pytest.mark.parametrize("stat", ["", "nr_periods\n", "nr_periods x\n\0\xff\n", "nr_periods -1\n"])
def test_odd_content_is_left_out(tree, stat):
    folder = tree.mount("cgroup2", "rw")
    tree.group(folder / "x", {"cpu.stat": stat, "cpu.max": "max\n"})
    tree.process(7, cgroup="0::/x\nodd\n::\n")
    assert values(read(tree)) == {}


def test_processes_that_are_not_meant_are_not_read(tree):
    folder = tree.mount("cgroup2", "rw")
    tree.group(folder / "x", {"cpu.stat": V2_STAT})
    tree.process(7, comm="other", cgroup="0::/x\n")
    assert read(tree) == []


def counters(tree, process, *, no_ports=6):
    net = tree.proc / process / "net" if process else tree.proc / "net"
    tree.write(net / "snmp", SNMP.replace("Udp: 5 6 7", f"Udp: 5 {no_ports} 7"))
    tree.write(net / "netstat", NETSTAT)
    tree.write(net / "snmp6", "Ip6InReceives \t 1\nUdp6NoPorts \t 8\nUdp6RcvbufErrors\t9\n")
    tree.write(net / "stat/nf_conntrack", CONNTRACK)


def test_counters_of_the_runners_network(tree):
    counters(tree, "")
    tree.write(tree.proc / "sys/net/netfilter/nf_conntrack_count", "77\n")
    tree.write(tree.proc / "sys/net/netfilter/nf_conntrack_max", "100\n")
    tree.process(7)
    for asked in (True, False):
        found = read(tree, change=lambda: counters(tree, "", no_ports=16), asked=asked)
        assert not any("pid" in each for each in found)
        assert values(found) == {
            "tcp_out_segs": (3400, 3400),
            "tcp_retrans_segs": (12, 12),
            "tcp_timeouts": (3, 3),
            "tcp_listen_overflows": (1, 1),
            "tcp_listen_drops": (2, 2),
            "udp_rcvbuf_errors": (7, 7),
            "udp_no_ports": (6, 16),
            "udp6_rcvbuf_errors": (9, 9),
            "udp6_no_ports": (8, 8),
            "conntrack_entries": (77, 77),
            "conntrack_max": (100, 100),
            "conntrack_insert_failed": (30, 30),
            "conntrack_drops": (4, 4),
            "conntrack_early_drops": (0, 0),
        }
        counters(tree, "")


def test_counters_of_the_networks_of_the_processes_that_are_meant(tree):
    counters(tree, "")
    for pid in (7, 8, 9):
        tree.process(pid, namespace="net:[2]" if pid < 9 else "net:[3]")
        counters(tree, str(pid))
    # The first of a namespace ends, and another of the same namespace is read.
    found = read(tree, change=(tree.proc / "7/ns/net").unlink)
    assert {each["pid"] for each in found} == {7, 9}
    assert values(found, pid=7)["udp_no_ports"] == (6, 6)
    assert values(found, pid=7)["conntrack_entries"] == (10, 10)
    gone = read(tree, change=(tree.proc / "9/ns/net").unlink)
    assert values(gone, pid=9)["udp_no_ports"] == (6, None)


def test_a_process_id_that_is_taken_by_another_namespace_is_not_read(tree):
    tree.process(7, namespace="net:[2]")
    counters(tree, "7")

    def taken():
        (tree.proc / "7/ns/net").unlink()
        (tree.proc / "7/ns/net").symlink_to("net:[9]")

    assert values(read(tree, change=taken))["udp_no_ports"] == (6, None)


def test_at_most_four_networks(tree):
    for pid in range(10, 20):
        tree.process(pid, namespace=f"net:[{pid}]")
        counters(tree, str(pid))
    assert {each["pid"] for each in read(tree)} == {10, 11, 12, 13}


@pytest.mark.parametrize(
    "snmp", [b"", b"Udp: NoPorts\n", b"Udp: NoPorts\nUdp:\n", b"\xff\nUdp: x\nUdp: \xff\n"]
)
def test_odd_counters_are_left_out(tmp_path, snmp):
    (tmp_path / "snmp").write_bytes(snmp)
    assert list(protocol_facts(tmp_path, None)) == []


def test_softnet_is_summed_and_names_the_processors_that_dropped(tree):
    tree.write(tree.proc / "net/softnet_stat", SOFTNET)
    later = SOFTNET.replace("000000ff 00000000", "000000ff 00000009")
    found = read(tree, change=lambda: tree.write(tree.proc / "net/softnet_stat", later))
    assert [(each["cpu"], each["before"], each["after"]) for each in found if "cpu" in each] == [(5, 0, 9)]
    assert values([each for each in found if "cpu" not in each]) == {
        "softnet_processed": (0x109, 0x109),
        "softnet_dropped": (1, 10),
        "softnet_time_squeeze": (2, 2),
        "softnet_received_rps": (3, 3),
        "softnet_flow_limit": (4, 4),
    }


def test_softnet_of_a_kernel_with_fewer_columns(tree):
    tree.write(tree.proc / "net/softnet_stat", "0000000a 00000001 00000002 0 0 0 0 0 0 00000003\nxyz\n")
    assert {fact.name for fact in softnet_facts(tree.proc) if fact.cpu is None} == set()
    tree.write(tree.proc / "net/softnet_stat", "0000000a 00000001 00000002 0 0 0 0 0 0 00000003\n")
    assert [fact.name for fact in softnet_facts(tree.proc) if fact.cpu is None] == [
        "softnet_processed", "softnet_dropped", "softnet_time_squeeze", "softnet_received_rps",
    ]  # fmt: skip


def test_pressure_and_times_of_processors(tree):
    for resource in ("cpu", "memory", "io"):
        tree.write(tree.proc / "pressure" / resource, PRESSURE)
    tree.write(tree.proc / "stat", "cpu  1 2 3 4 50 6 7 80 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\nintr 5\n")
    assert values(read(tree)) == {
        "cpu_pressure_some": (123, 123),
        "memory_pressure_some": (123, 123),
        "memory_pressure_full": (45, 45),
        "io_pressure_some": (123, 123),
        "io_pressure_full": (45, 45),
        "cpu_iowait": (500, 500),
        "cpu_steal": (800, 800),
    }


def test_pressure_that_is_switched_off_is_left_out(tree, monkeypatch):
    for resource in ("cpu", "memory", "io"):
        tree.write(tree.proc / "pressure" / resource, PRESSURE)

    def refused(path):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert read(tree, asked=False) == []


@pytest.mark.parametrize(
    ("text", "base", "number"),
    [("0", 10, 0), ("18446744073709551615", 10, 2**64 - 1), ("ff", 16, 255), ("18446744073709551616", 10, None),
     ("", 10, None), ("-1", 10, None), ("1_0", 10, None), ("\N{SUPERSCRIPT TWO}", 10, None), (" 1", 10, None)],
)  # fmt: skip
def test_a_number_is_one_of_64_bits(text, base, number):
    assert whole_number(text, base) == number


SAVED = b"# Generated by iptables-save v1.8.9\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n-A X -j -A\nCOMMIT\n"


def saves(monkeypatch, answer):
    def run(argv, **options):
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(argv, 0, answer, b"")

    monkeypatch.setattr(firewall.subprocess, "run", run)
    monkeypatch.setattr(firewall.shutil, "which", lambda name, **_: f"/usr/sbin/{name}")
    monkeypatch.setattr(firewall, "_nftables_rules", lambda: None)


def test_rules_of_iptables_are_counted_where_its_tables_are_loaded(tmp_path, monkeypatch):
    saves(monkeypatch, SAVED)
    assert list(firewall_facts(tmp_path)) == []
    (tmp_path / "net").mkdir()
    (tmp_path / "net/ip_tables_names").write_text("filter\n")
    (fact,) = firewall_facts(tmp_path)
    assert (fact.name, fact.value, fact.source) == ("iptables_rules", 2, "/usr/sbin/iptables-legacy-save")


@pytest.mark.parametrize(
    "answer",
    [
        subprocess.TimeoutExpired("x", 1),
        subprocess.CalledProcessError(1, "x"),
        FileNotFoundError(),
        SAVED.replace(b"iptables-save", b"iptables-nft-save"),
    ],
)
def test_rules_that_cannot_be_counted_are_left_out(tmp_path, monkeypatch, answer):
    saves(monkeypatch, answer)
    (tmp_path / "net").mkdir()
    (tmp_path / "net/ip_tables_names").write_text("filter\n")
    assert list(firewall_facts(tmp_path)) == []


def test_no_module_is_loaded_to_count_rules(tmp_path, monkeypatch):
    monkeypatch.setattr(firewall, "_nftables_rules", lambda: 3)
    (tmp_path / "modules").write_text("ext4 1 0 - Live 0x0\n")
    assert list(firewall_facts(tmp_path)) == []
    (tmp_path / "modules").write_text("nf_tables 1 0 - Live 0x0\n")
    assert [fact.value for fact in firewall_facts(tmp_path)] == [3]


def companion(name, before, after, unit="events", **where):
    return {"name": name, "source": "x", "unit": unit, "before": before, "after": after, **where}


def lines(*companions, seconds=10.0, cpus=2):
    return format_companions(
        {"companions": list(companions), "window": {"duration_seconds": seconds}, "host": {"cpus": cpus}}
    )


NOTHING = (
    companion("cpu_quota", 5, 5),
    companion("softnet_dropped", 7, 7),
    companion("udp_no_ports", None, 9),
)

# For each rule what is just worth a line, a word of it, and what is not.
WORTH = {
    "cpu-throttled": ([("cpu_throttled_periods", 3, 4)], "in 1 of 0 periods", [("cpu_throttled_periods", 4, 4)]),
    "conntrack-full": (
        [("conntrack_entries", 0, 90), ("conntrack_max", 100, 100)], "90% full: 90 of 100",
        [("conntrack_entries", 95, 89), ("conntrack_max", 100, 100)],
    ),
    "conntrack-refused": ([("conntrack_drops", 0, 2)], "refused 2 packets", [("conntrack_drops", 2, 2)]),
    "softnet-dropped": ([("softnet_dropped", 0, 3)], "3 packets", [("softnet_dropped", 3, 0)]),
    "softnet-flow-limit": ([("softnet_flow_limit", 0, 3)], "3 packets of flows", [("softnet_flow_limit", 3, 3)]),
    "softnet-squeezed": ([("softnet_time_squeeze", 0, 10)], "10 times", [("softnet_time_squeeze", 0, 9)]),
    "cpu-pressure": (
        [("cpu_pressure_some", 0, 2_000_000, "us")], "a processor in 2.00 s (20% of the window)",
        [("cpu_pressure_some", 0, 1_900_000, "us")],
    ),
    "memory-pressure": (
        [("memory_pressure_some", 0, 500_000, "us")], "memory in 0.50 s", [("memory_pressure_some", 0, 9, "us")]
    ),
    "io-pressure": ([("io_pressure_some", 0, 1_000_000, "us")], "I/O in 1.00 s", [("io_pressure_some", 0, 9, "us")]),
    "cpu-steal": ([("cpu_steal", 0, 200, "ms")], "took 1% of", [("cpu_steal", 0, 190, "ms")]),
    "cpu-iowait": ([("cpu_iowait", 0, 4000, "ms")], "I/O 20% of", [("cpu_iowait", 0, 3990, "ms")]),
    "tcp-retransmitted": (
        [("tcp_retrans_segs", 0, 10), ("tcp_out_segs", 0, 1000)], "10 TCP segments sent again, 1000",
        [("tcp_retrans_segs", 0, 10), ("tcp_out_segs", 0, 1001)],
    ),
    "tcp-timeouts": ([("tcp_timeouts", 0, 10)], "10 times", [("tcp_timeouts", 0, 9)]),
    "listen-drops": ([("tcp_listen_drops", 0, 2)], "dropped 2 packets, 0", [("tcp_listen_drops", 2, 2)]),
    "udp-buffers-full": ([("udp6_rcvbuf_errors", 0, 1)], "1 UDP packets", [("udp6_rcvbuf_errors", 1, 1)]),
    "udp-no-ports": (
        [("udp_no_ports", 0, 5), ("udp6_no_ports", 0, 5)], "10 UDP packets",
        [("udp_no_ports", 0, 5), ("udp6_no_ports", 0, 4)],
    ),
    "many-firewall-rules": (
        [("nftables_rules", 999, None), ("iptables_rules", 1, None)], "999 of nftables, 1 of iptables",
        [("nftables_rules", 999, None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_line_from_its_threshold_on(rule):
    worth, word, not_worth = WORTH[rule]
    (line,) = lines(*NOTHING, *(companion(*one) for one in worth))
    assert word in line
    assert RULES[rule].next in line
    assert lines(*NOTHING, *(companion(*one) for one in not_worth)) == []


def test_a_line_says_where():
    group = {"cgroup": {"text": "/a\N{REPLACEMENT CHARACTER}\x1b[2J", "base64": "L2H/G1sySg=="}}
    (line,) = lines(
        companion("cpu_periods", 0, 100, "periods", **group),
        companion("cpu_throttled_periods", 0, 90, "periods", **group),
        companion("cpu_throttled_time", 10**9, 3 * 10**9, "ns", **group),
        companion("cpu_quota", 20000, 20000, "us", **group),
        companion("cpu_quota_period", 100000, 100000, "us", **group),
    )
    assert line.startswith(
        "cgroup /a\N{REPLACEMENT CHARACTER}\\x1b[2J: held back by its CPU limit in 90 of 100 periods, "
        "for 2.00 s over all processors, limit 0.20 processors ("
    )
    (line,) = lines(companion("udp_rcvbuf_errors", 0, 4, pid=7))
    assert line.startswith("network of process 7: 4 UDP packets")
    (line,) = lines(companion("softnet_dropped", 0, 4), companion("softnet_dropped", 1, 5, cpu=3))
    assert line.startswith("4 packets dropped by full receive queues (CPU 3: 4) (")


def test_what_is_odd_or_not_known_has_no_line():
    assert lines(companion("udp_rcvbuf_errors", "many", True), companion("new_fact", 0, {"x": 1})) == []
    assert lines(companion("tcp_timeouts", 0, 99), companion("cpu_steal", 0, 99, None), seconds=None) == []
    assert lines(companion("cpu_steal", 0, 9999, "ms"), cpus=None) == []


def test_the_documentation_has_every_rule_and_every_fact(tree, monkeypatch):
    page = (Path(__file__).parents[1] / "docs/companions.md").read_text()
    assert rules_as_markdown() in page
    facts = page.partition("| name | unit |")[2].partition("\n## ")[0]
    documented = {
        (name, unit)
        for name, units in re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", facts, re.MULTILINE)
        for unit in units.split(", ")
    }
    counters(tree, "")
    for name in ("nf_conntrack_count", "nf_conntrack_max"):
        tree.write(tree.proc / "sys/net/netfilter" / name, "1\n")
    tree.write(tree.proc / "net/softnet_stat", SOFTNET)
    for resource in ("cpu", "memory", "io"):
        tree.write(tree.proc / "pressure" / resource, PRESSURE)
    tree.write(tree.proc / "stat", "cpu  1 2 3 4 50 6 7 80 0 0\n")
    tree.group(tree.mount("cgroup2", "rw", place="u") / "x", {"cpu.stat": V2_STAT, "cpu.max": "1 2\n"})
    tree.group(tree.mount("cgroup", "rw,cpu", place="o") / "y", {"cpu.stat": V1_STAT, **V1})
    tree.process(7, cgroup="0::/x\n")
    tree.process(8, cgroup="1:cpu:/y\n")
    found = read(tree)
    for name in ("ip_tables_names", "ip6_tables_names"):
        tree.write(tree.proc / "net" / name, "filter\n")
    saves(monkeypatch, SAVED)
    monkeypatch.setattr(firewall, "_nftables_rules", lambda: 3)
    rules = {(fact.name, fact.unit) for fact in firewall_facts(tree.proc)}
    assert {(each["name"], each["unit"]) for each in found} | rules == documented
