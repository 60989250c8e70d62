"""Companions on the real kernel, against its own files and against packets that were counted when they were sent."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import ebpf_recipe
from tests.kernel.recipes import run_beside
from tests.laboratory.children import child

pytestmark = pytest.mark.kernel

QUOTA_US, PERIOD_US = 10_000, 50_000
PACKETS = 37
FIRST_PORTS = itertools.count(20_000, PACKETS)
SEND = """
import socket, sys
host, port, count, *first = sys.argv[1], *map(int, sys.argv[2:])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
for place in range(count):
    with socket.socket(family, socket.SOCK_DGRAM) as each:
        if first:
            each.bind(("", first[0] + place))
        each.sendto(b"x", (host, port))
"""
COUNT_RULES = """
from pathlib import Path
from runner.host.companions.firewall import firewall_facts
print({fact.name: fact.value for fact in firewall_facts(Path("/proc"))})
"""


def run(bpftrace, *words):
    done = ebpf_recipe("run", words[0], "--bpftrace", bpftrace, "-f", "json", *words[1:])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def companions(capture, **where):
    return {
        each["name"]: each
        for each in capture["companions"]
        if all(each.get(name) == value for name, value in {"cpu": None, **where}.items())
    }


def rise(companion):
    return companion["after"] - companion["before"]


@contextlib.contextmanager
def limited_group():
    """A control group with a tight CPU limit, of v1 where that has the cpu controller."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    root = Path("/sys/fs/cgroup") if unified else Path("/sys/fs/cgroup/cpu")
    folder = root / f"ebpf-recipe-test-{os.getpid()}"
    if unified:
        (root / "cgroup.subtree_control").write_text("+cpu")
    folder.mkdir()
    try:
        if unified:
            (folder / "cpu.max").write_text(f"{QUOTA_US} {PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(QUOTA_US))
        yield folder
    finally:
        # Whoever was in it has been ended, and leaves it a little later.
        deadline = time.monotonic() + 5
        while folder.exists() and time.monotonic() < deadline:
            for each in (folder / "inner", folder):
                with contextlib.suppress(OSError):
                    each.rmdir()
            time.sleep(0.02)


def stat_of(folder):
    lines = (folder / "cpu.stat").read_text().splitlines()
    return {name: int(number) for name, number in (line.split() for line in lines)}


def test_throttling_is_what_the_group_itself_counts(bpftrace, tmp_path, figure):
    with limited_group() as folder, child(["sh", "-c", "while :; do :; done"]) as busy:
        # The loop is in a group below the limit: what holds it back is counted above it.
        (folder / "inner").mkdir()
        (folder / "inner/cgroup.procs").write_text(str(busy.pid))
        busy.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.3)
            before = stat_of(folder)
            # It runs inside the window alone, so that the files outside say the same.
            load = f"kill -CONT {busy.pid}; sleep 1; kill -STOP {busy.pid}; sleep 0.3"
            capture = run(bpftrace, "tcp-retrans", "--pid", str(busy.pid), "--", "sh", "-c", load)
            after = stat_of(folder)
        finally:
            busy.send_signal(signal.SIGCONT)
    found = companions(capture, cgroup=f"/{folder.name}")
    periods, held = rise(found["cpu_periods"]), rise(found["cpu_throttled_periods"])
    figure(f"held back in {held} of {periods} periods")
    time_field = "throttled_usec" if "throttled_usec" in before else "throttled_time"
    for name, field in (
        ("cpu_periods", "nr_periods"),
        ("cpu_throttled_periods", "nr_throttled"),
        ("cpu_throttled_time", time_field),
    ):
        assert (found[name]["before"], found[name]["after"]) == (before[field], after[field]), name
    assert found["cpu_throttled_time"]["unit"] == ("us" if time_field == "throttled_usec" else "ns")
    assert (found["cpu_quota"]["after"], found["cpu_quota_period"]["after"]) == (QUOTA_US, PERIOD_US)
    # In a second with a fifth of a processor most of the 20 periods are cut.
    assert held >= 8
    saved = tmp_path / "capture.json"
    saved.write_text(json.dumps(capture))
    text = ebpf_recipe("report", str(saved)).stdout
    assert "beside the run:\n" in text
    assert f"cgroup /{folder.name}: held back by its CPU limit in {held} of {periods} periods" in text
    assert "limit 0.20 processors" in text


def test_packets_for_a_closed_port_are_counted_in_the_network_of_the_process(bpftrace, hosts, figure):
    server, client = hosts
    with child(server.command(["sleep", "60"])) as there:
        while Path(f"/proc/{there.pid}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        for address, name in ((server.ipv4, "udp_no_ports"), (server.ipv6, "udp6_no_ports")):
            send = client.command([sys.executable, "-c", SEND, address, "9", str(PACKETS)])
            # The other does not say whose network: it is the runner's own, and gets packets of others, too.
            asked, unasked = run_beside(
                "tcp-retrans", ("--pid", str(there.pid)), (), bpftrace=bpftrace, command=send
            )
            found = companions(asked.capture, pid=there.pid)
            figure(f"{PACKETS} packets sent to a closed port: {name} {rise(found[name])}")
            assert rise(found[name]) == PACKETS
            assert found[name]["source"].startswith(f"/proc/{there.pid}/net/")
            assert "udp_no_ports" not in companions(asked.capture, pid=None)
            assert rise(companions(unasked.capture)[name]) < PACKETS


def test_tracked_connections_are_those_of_the_network_of_the_process(bpftrace, hosts, figure):
    server, client = hosts
    server.run("iptables-legacy", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
    try:
        with child(server.command(["sleep", "60"])) as there:
            while Path(f"/proc/{there.pid}/comm").read_text() != "sleep\n":
                time.sleep(0.01)
            # An entry stays for half a minute: none is from a port that had one.
            words = [server.ipv4, "9", str(PACKETS), str(next(FIRST_PORTS))]
            send = client.command([sys.executable, "-c", SEND, *words])
            capture = run(bpftrace, "tcp-retrans", "--pid", str(there.pid), "--", *send)
    finally:
        server.run("iptables-legacy", "-F", "INPUT")
    found = companions(capture, pid=there.pid)
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    figure(
        f"{PACKETS} flows: entries {found['conntrack_entries']['before']} to {found['conntrack_entries']['after']}"
    )
    assert rise(found["conntrack_entries"]) == PACKETS
    assert found["conntrack_max"]["after"] == most


def test_a_script_and_a_recording_have_them_too(bpftrace, tmp_path):
    script = tmp_path / "script.bt"
    script.write_text("BEGIN { @a = 1; }")
    send = [sys.executable, "-c", SEND, "127.0.0.1", "9", str(PACKETS)]
    capture = run(bpftrace, str(script), "--", *send)
    # Others of this host may send some too.
    assert rise(companions(capture)["udp_no_ports"]) >= PACKETS
    record = tmp_path / "record.json"
    capture = run(bpftrace, "tcp-retrans", "-d", "100ms", "--record", str(record))
    assert companions(capture)["tcp_out_segs"]["before"] > 0
    again = json.loads(ebpf_recipe("run", "tcp-retrans", "--replay", str(record)).stdout)
    assert again["companions"] == capture["companions"]


def test_stalls_and_times_of_processors_lie_between_readings_from_outside(bpftrace, figure):
    def outside():
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        # Not the wait for I/O, which may decrease (Documentation/filesystems/proc.rst).
        found = {"cpu_steal": int(words[8]) * 1000 // os.sysconf("SC_CLK_TCK")}
        with contextlib.suppress(OSError):
            for resource in ("cpu", "memory", "io"):
                line = Path(f"/proc/pressure/{resource}").read_text().splitlines()[0]
                found[f"{resource}_pressure_some"] = int(line.rpartition("=")[2])
        return found

    before = outside()
    spin = " & ".join(["timeout 1 sh -c 'while :; do :; done'"] * (2 * os.cpu_count())) + " & wait"
    capture = run(bpftrace, "tcp-retrans", "--", "sh", "-c", spin)
    after = outside()
    found = companions(capture)
    for name, first in before.items():
        assert first <= found[name]["before"] <= found[name]["after"] <= after[name], name
    if "cpu_pressure_some" in before:
        # Two loops for each processor: one of the two always waits.
        stalled = rise(found["cpu_pressure_some"]) / 1e6
        figure(f"two loops for each processor for 1 s: cpu_pressure_some {stalled:.2f} s")
        assert 0.5 <= stalled <= capture["window"]["duration_seconds"] + 0.1


def test_firewall_rules_are_all_counted(hosts):
    server, _ = hosts
    rules = "".join(f"-A INPUT -p udp --dport {port} -j ACCEPT\n" for port in range(1, 3001))
    for command in ("iptables-legacy-restore", "iptables-nft-restore"):
        subprocess.run(server.command([command]), input=f"*filter\n{rules}COMMIT\n", text=True, check=True)
    server.run("ip6tables-legacy", "-A", "INPUT", "-j", "ACCEPT")
    try:
        said = server.run(sys.executable, "-c", COUNT_RULES)
    finally:
        server.run("iptables-legacy", "-F", "INPUT")
        server.run("iptables-nft", "-F", "INPUT")
        server.run("ip6tables-legacy", "-F", "INPUT")
    assert said == "{'nftables_rules': 3000, 'iptables_rules': 3000, 'ip6tables_rules': 1}\n"
