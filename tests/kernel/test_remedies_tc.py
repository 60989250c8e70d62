"""tc remedies: every packet counted and none too many, nothing of others touched, nothing left behind."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.remedies import (
    OTHER_PORT,
    SENT_PORT,
    counters,
    counting,
    do,
    link,
    loaded,
    send_datagrams,
    send_frames,
    shown,
    silent,
    switch,
)
from tests.laboratory.children import child
from tests.laboratory.frames import TCP, UDP
from tests.laboratory.network import counted_since
from tests.laboratory.network import counters as kernel_counters
from tests.laboratory.port_frames import MALFORMED, shapes
from tests.laboratory.until import until

pytestmark = pytest.mark.kernel

NAMESPACE = "remedy-tc"
INGRESS, EGRESS = "tc-ingress-drop", "tc-egress-drop"
PROTOCOLS = {"udp": UDP, "tcp": TCP}


@pytest.fixture
def both():
    """The host of the remedy, and its peer."""
    with link(NAMESPACE) as hosts:
        yield hosts


def ended(remedy, step, work, **parameters):
    done = do(remedy, step, NAMESPACE, work, **{"interface": "lab0", "port": SENT_PORT, **parameters})
    assert done.returncode == 0, (step, done.stdout, done.stderr)
    return done.stdout.strip()


def failed(remedy, step, work, **parameters):
    done = do(remedy, step, NAMESPACE, work, **{"interface": "lab0", "port": SENT_PORT, **parameters})
    assert done.returncode != 0, (step, done.stdout)
    return done.stderr


def counted(remedy, work, **parameters):
    return counters(remedy, NAMESPACE, work, **{"interface": "lab0", "port": SENT_PORT, **parameters})


@contextlib.contextmanager
def applied(remedy, work, **parameters):
    """Do a remedy for the time of a block, as an experiment would."""
    work.mkdir(exist_ok=True)
    ended(remedy, "requires", work, **parameters)
    assert ended(remedy, "read", work, **parameters) == "none"
    ended(remedy, "apply", work, **parameters)
    ended(remedy, "verify", work, **parameters)
    assert ended(remedy, "read", work, **parameters) != "none"
    try:
        yield
    finally:
        ended(remedy, "revert", work, **parameters)
        assert ended(remedy, "read", work, **parameters) == "none"


def ends(remedy, both):
    """Return the receiver and the sender of what a remedy of the first host drops."""
    return both if remedy == INGRESS else both[::-1]


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_every_datagram_to_the_port_is_dropped_and_counted(both, tmp_path, remedy, figure):
    here, _ = both
    receiver, sender = ends(remedy, both)
    before = shown(here)
    with applied(remedy, tmp_path):
        for address, number, others in ((receiver.ipv4, 137, 89), (receiver.ipv6, 211, 53)):
            with counting(receiver, "datagrams", address, str(SENT_PORT), str(OTHER_PORT)) as came:
                send_datagrams(sender, address, {SENT_PORT: number, OTHER_PORT: others})
            assert came == {str(SENT_PORT): 0, str(OTHER_PORT): others}
        found = counted(remedy, tmp_path)
    figure(str(found))
    assert found["packets-seen"] >= 137 + 89 + 211 + 53
    assert found["packets-dropped"] == 137 + 211
    assert found["bytes-dropped"] == 137 * (14 + 20 + 8 + 100) + 211 * (14 + 40 + 8 + 100)
    assert shown(here) == before
    for address in (receiver.ipv4, receiver.ipv6):
        with counting(receiver, "datagrams", address, str(SENT_PORT), str(OTHER_PORT)) as came:
            send_datagrams(sender, address, {SENT_PORT: 31, OTHER_PORT: 17})
        assert came == {str(SENT_PORT): 31, str(OTHER_PORT): 17}


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_frames_of_every_shape(both, tmp_path, remedy, protocol, figure):
    here, _ = both
    receiver, sender = ends(remedy, both)
    sent = [each for each in shapes(SENT_PORT, OTHER_PORT) if each.name != MALFORMED]
    names = {str(each.frame[11]): each.name for each in sent}
    dropped = [each for each in sent if each.protocol == PROTOCOLS[protocol]]
    assert dropped
    with silent(here), silent(both[1]):
        # Who watches an interface sees what comes in before tc does; what a bridge above it has came through.
        # It is not to look into packets, and drop those that are malformed.
        receiver.run(*["ip", "link", "add", "bridge0", "type", "bridge"])
        for family in ("ip", "ip6", "arp"):
            receiver.run("sh", "-c", f"echo 0 > /proc/sys/net/bridge/bridge-nf-call-{family}tables")
        receiver.run(*["ip", "link", "set", "lab0", "master", "bridge0"])
        receiver.run(*["ip", "link", "set", "bridge0", "up"])
        with applied(remedy, tmp_path, protocol=protocol):
            with counting(receiver, "frames", "bridge0") as came:
                send_frames(sender, [(each.times, each.frame) for each in sent])
            found = counted(remedy, tmp_path)
        with counting(receiver, "frames", "bridge0") as usual:
            send_frames(sender, [(each.times, each.frame) for each in sent])
    figure(f"{protocol}: {found}")
    assert {names[number]: times for number, times in usual.items()} == {
        each.name: each.times for each in sent
    }
    passed = {each.name: each.times for each in sent if each not in dropped}
    assert {names[number]: times for number, times in came.items()} == passed
    assert found == {
        "packets-seen": sum(each.times for each in sent),
        "packets-dropped": sum(each.times for each in dropped),
        "bytes-dropped": sum(each.times * len(each.frame) for each in dropped),
    }


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_a_second_one_is_refused_at_the_same_preference_alone(both, tmp_path, remedy):
    here, _ = both
    (second := tmp_path / "second").mkdir()
    before = shown(here)
    with applied(remedy, tmp_path):
        one = shown(here)
        assert "has a filter at this preference" in failed(remedy, "requires", second)
        # Where both asked before either was added.
        assert "already exists" in failed(remedy, "apply", second)
        failed(remedy, "verify", second)
        assert "left alone" in failed(remedy, "revert", second)
        assert shown(here) == one
        with applied(remedy, tmp_path / "other", pref=2):
            ended(remedy, "verify", tmp_path)
        assert shown(here) == one
    assert shown(here) == before


def test_both_directions_share_a_qdisc(both, tmp_path):
    here, _ = both
    before = shown(here)
    with applied(INGRESS, tmp_path / "in"), applied(EGRESS, tmp_path / "out"):
        ended(INGRESS, "verify", tmp_path / "in")
    assert shown(here) == before


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_what_is_not_dropped_goes_on_to_the_filters_behind(both, tmp_path, remedy):
    receiver, sender = ends(remedy, both)
    behind = {"pref": 2, "port": OTHER_PORT}
    with applied(remedy, tmp_path / "first"), applied(remedy, tmp_path / "second", **behind):
        with counting(receiver, "datagrams", receiver.ipv4, str(SENT_PORT), str(OTHER_PORT)) as came:
            send_datagrams(sender, receiver.ipv4, {SENT_PORT: 41, OTHER_PORT: 67})
        assert came == {str(SENT_PORT): 0, str(OTHER_PORT): 0}
        assert counted(remedy, tmp_path / "first")["packets-dropped"] == 41
        assert counted(remedy, tmp_path / "second", **behind)["packets-dropped"] == 67


def add_filter(here, direction, pref):
    here.run(
        *f"tc filter add dev lab0 {direction} pref {pref} protocol ip u32 match u32 0 0 flowid 1:1".split()
    )


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_filters_and_the_qdisc_of_others_stay(both, tmp_path, remedy):
    here, _ = both
    here.run(*["tc", "qdisc", "add", "dev", "lab0", "clsact"])
    for direction in ("ingress", "egress"):
        add_filter(here, direction, 7)
    before = shown(here)
    with applied(remedy, tmp_path):
        assert "recipe_" in shown(here)
    assert shown(here) == before
    theirs = ended(remedy, "read", tmp_path, pref=7)
    assert "u32" in theirs
    assert "has a filter at this preference" in failed(remedy, "requires", tmp_path, pref=7)
    for step in ("apply", "verify", "counters"):
        failed(remedy, step, tmp_path, pref=7)
    assert "left alone" in failed(remedy, "revert", tmp_path, pref=7)
    assert shown(here) == before


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_the_qdisc_stays_where_others_use_it_by_now(both, tmp_path, remedy):
    here, _ = both
    ended(remedy, "apply", tmp_path)
    add_filter(here, "egress", 9)
    assert "others have filters" in ended(remedy, "revert", tmp_path)
    assert "recipe_" not in shown(here)
    assert "pref 9 u32" in here.run(*["tc", "filter", "show", "dev", "lab0", "egress"])


def test_an_ingress_qdisc_serves_ingress_and_refuses_egress(both, tmp_path):
    here, sender = both
    here.run(*["tc", "qdisc", "add", "dev", "lab0", "ingress"])
    add_filter(here, "ingress", 7)
    before = shown(here)
    assert "ingress qdisc" in failed(EGRESS, "requires", tmp_path)
    # What the kernel shows of egress there are the filters of ingress: they are not taken for ours or anybody's.
    assert ended(EGRESS, "read", tmp_path, pref=7) == "none"
    assert "Exclusivity" in failed(EGRESS, "apply", tmp_path)
    assert shown(here) == before
    with applied(INGRESS, tmp_path):
        with counting(here, "datagrams", here.ipv4, str(SENT_PORT)) as came:
            send_datagrams(sender, here.ipv4, {SENT_PORT: 19})
        assert came == {str(SENT_PORT): 0}
        assert counted(INGRESS, tmp_path)["packets-dropped"] == 19
    assert shown(here) == before


def test_a_filter_put_in_the_place_of_ours_stays(both, tmp_path):
    here, _ = both
    ended(INGRESS, "apply", tmp_path)
    here.run(*["tc", "filter", "del", "dev", "lab0", "ingress", "pref", "1"])
    add_filter(here, "ingress", 1)
    failed(INGRESS, "verify", tmp_path)
    assert "left alone" in failed(INGRESS, "revert", tmp_path)
    assert "u32" in ended(INGRESS, "read", tmp_path)


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_apply_that_was_cut_short_is_reverted(both, tmp_path, remedy):
    here, _ = both
    before = shown(here)
    ended(remedy, "apply", tmp_path)
    (tmp_path / "attached").unlink()
    ended(remedy, "revert", tmp_path)
    assert shown(here) == before


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_a_qdisc_that_was_added_is_something_to_put_back(both, tmp_path, remedy):
    """`apply` was cut short between the qdisc and the filter, or somebody else removed the filter."""
    here, _ = both
    before = shown(here)
    ended(remedy, "apply", tmp_path)
    here.run(*f"tc filter del dev lab0 {remedy.split('-')[1]}".split())
    assert ended(remedy, "read", tmp_path) == "no filter in the qdisc that was added"
    ended(remedy, "revert", tmp_path)
    assert ended(remedy, "read", tmp_path) == "none"
    assert shown(here) == before


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_an_experiment_switches_it_on_and_off_and_adds_up_what_it_counted(both, tmp_path, remedy):
    here, _ = both
    receiver, sender = ends(remedy, both)
    before = shown(here)
    with switch(remedy, NAMESPACE, tmp_path, interface="lab0", port=SENT_PORT) as one:
        for number in (13, 17):
            one.on()
            send_datagrams(sender, receiver.ipv4, {SENT_PORT: number, OTHER_PORT: 5})
            one.off()
            assert list(one.became.values()) == ["put-back"]
            send_datagrams(sender, receiver.ipv4, {SENT_PORT: 7})
        assert one.counted["packets-dropped"] == 13 + 17
        assert one.counted["packets-seen"] >= 13 + 17 + 2 * 5
    assert shown(here) == before


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_an_interface_that_is_renamed_loses_the_filter_too(both, tmp_path, remedy):
    host, _ = both
    with switch(remedy, NAMESPACE, tmp_path, interface="lab0", port=SENT_PORT) as one:
        one.on()
        host.run("ip", "link", "set", "lab0", "down")
        host.run("ip", "link", "set", "lab0", "name", "renamed")
        one.off()
        assert list(one.became.values()) == ["put-back"]
        assert "clsact" not in host.run("tc", "qdisc", "show", "dev", "renamed")


def test_an_interface_that_is_gone_took_the_filter_with_it(both, tmp_path):
    here, _ = both
    ended(INGRESS, "apply", tmp_path)
    here.run(*["ip", "link", "delete", "lab0"])
    failed(INGRESS, "verify", tmp_path)
    assert ended(INGRESS, "read", tmp_path) == "none"
    ended(INGRESS, "gone", tmp_path)
    ended(INGRESS, "revert", tmp_path)


CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2.5).close()
    print("connected")
except TimeoutError:
    print("timeout")
"""
LISTEN = """
import socket, sys
held = [socket.create_server((sys.argv[1], int(port))) for port in sys.argv[2:]]
print("listening", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_connections_to_the_port_fail_until_the_revert(both, tmp_path, remedy, figure):
    receiver, sender = ends(remedy, both)
    listen = receiver.command([sys.executable, "-c", LISTEN, receiver.ipv4, str(SENT_PORT), str(OTHER_PORT)])

    def connect(port):
        return sender.run(sys.executable, "-c", CONNECT, receiver.ipv4, str(port)).strip()

    with child(listen, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listening:
        assert listening.stdout.readline() == b"listening\n"
        with applied(remedy, tmp_path, protocol="tcp"):
            before = kernel_counters(sender)
            assert connect(SENT_PORT) == "timeout"
            grown = counted_since(sender, before)
            dropped = counted(remedy, tmp_path, protocol="tcp")["packets-dropped"]
            assert connect(OTHER_PORT) == "connected"
            assert counted(remedy, tmp_path, protocol="tcp")["packets-dropped"] == dropped
        assert connect(SENT_PORT) == "connected"
    figure(
        f"{dropped} SYN dropped; the sender's own counters: {grown['TcpActiveOpens']} + {grown['TcpRetransSegs']}"
    )
    assert dropped == grown["TcpActiveOpens"] + grown["TcpRetransSegs"]


def test_what_cannot_be_is_refused_with_the_reason(both, tmp_path):
    here, _ = both
    here.run(*["ip", "tuntap", "add", "tun0", "mode", "tun"])
    for remedy in (INGRESS, EGRESS):
        assert "one of udp and tcp" in failed(remedy, "requires", tmp_path, protocol="sctp")
        for interface, reason in (("lab7", "no such interface"), ("tun0", "no Ethernet frames")):
            done = do(remedy, "requires", NAMESPACE, tmp_path, interface=interface, port=SENT_PORT)
            assert done.returncode != 0
            assert reason in done.stderr


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [("qdisc add dev lo clsact", "CONFIG_NET_SCH_INGRESS"), ("filter add dev lo", "CONFIG_NET_CLS_BPF")],
)
@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_a_kernel_without_what_it_takes_is_refused(both, tmp_path, monkeypatch, remedy, lacking, reason):
    """A `tc` that fails where it would on such a kernel."""
    (folder := tmp_path / "bin").mkdir()
    real = shutil.which("tc")
    (folder / "tc").write_text(f'#!/bin/sh\ncase "$*" in "{lacking}"*) exit 2 ;; esac\nexec {real} "$@"\n')
    (folder / "tc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    assert reason in failed(remedy, "requires", tmp_path)


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_no_mount_and_no_program_is_left_behind(both, tmp_path, remedy):
    """Where `ip netns exec` makes no mount namespace for it."""
    here, _ = both
    mounts = Path("/proc/self/mounts").read_text()
    for step in ("requires", "apply", "verify", "counters", "revert"):
        done = do(remedy, step, here, tmp_path, interface="lab0", port=SENT_PORT)
        assert done.returncode == 0, (step, done.stderr)
    assert Path("/proc/self/mounts").read_text() == mounts
    until(lambda: not loaded((tmp_path / "name").read_text().strip()), "the program is unloaded")


@pytest.mark.parametrize("remedy", [INGRESS, EGRESS])
def test_the_command_that_is_shown_puts_it_back(both, tmp_path, remedy):
    here, _ = both
    before = shown(here)
    with switch(remedy, NAMESPACE, tmp_path, interface="lab0", port=SENT_PORT) as one:
        one.on()
        (entry,) = one.entries
        for command in entry.setting.revert_by_hand(entry.before):
            subprocess.run(["sh", "-c", command], check=True, timeout=60)
        assert shown(here) == before
        one.off()
        assert list(one.became.values()) == ["as-before"]
