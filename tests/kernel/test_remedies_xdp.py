"""XDP remedies: every packet counted and none too many, nothing of others touched, nothing left behind."""

import contextlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.kernel.remedies import (
    OTHER_PORT,
    SENT_PORT,
    attached,
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
from tests.laboratory.frames import UDP
from tests.laboratory.network import counted_since
from tests.laboratory.network import counters as kernel_counters
from tests.laboratory.port_frames import MALFORMED, shapes
from tests.laboratory.until import until

pytestmark = pytest.mark.kernel

NAMESPACE = "remedy-xdp"
NATIVE, GENERIC = 1, 2
"""As `ip -j link` numbers the modes."""


@pytest.fixture
def both():
    with link(NAMESPACE) as hosts:
        yield hosts


@pytest.fixture
def third(both):
    """A third host, behind a link of the receiver's own: its interface is `in0`, the receiver's `out0`."""
    receiver, _ = both
    name = f"{NAMESPACE}-third"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        receiver.run(*f"ip link add out0 type veth peer name in0 netns {name}".split())
        receiver.run(*["ip", "link", "set", "out0", "up"])
        for words in ("link set lo up", "link set in0 up"):
            subprocess.run(["ip", "-n", name, *words.split()], check=True)
        yield Named(name, receiver)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


class Named:
    """A host whose namespace has a name, with the addresses of the receiver: it gets what that one was sent."""

    def __init__(self, name, receiver):
        self.name, self.ipv4, self.ipv6 = name, receiver.ipv4, receiver.ipv6

    def command(self, argv):
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv):
        done = subprocess.run(self.command(argv), check=True, capture_output=True, text=True, timeout=60)
        return done.stdout


def ended(remedy, step, *arguments, **parameters):
    done = do(remedy, step, NAMESPACE, *arguments, **parameters)
    assert done.returncode == 0, (step, done.stdout, done.stderr)
    return done.stdout.strip()


@contextlib.contextmanager
def applied(remedy, work, **parameters):
    """Do a remedy for the time of a block, as an experiment would."""
    ended(remedy, "requires", work, **parameters)
    before = ended(remedy, "read", work, **parameters)
    ended(remedy, "apply", work, **parameters)
    ended(remedy, "verify", work, **parameters)
    assert ended(remedy, "read", work, **parameters) != before
    try:
        yield
    finally:
        ended(remedy, "revert", work, before=before, **parameters)
        assert ended(remedy, "read", work, **parameters) == before


@pytest.fixture
def foreign(tmp_path):
    """An XDP program of somebody else's: it lets everything through."""
    source, program = tmp_path / "foreign.c", tmp_path / "foreign.o"
    source.write_text('__attribute__((section("xdp"), used)) int foreign(void *packet) { return 2; }\n')
    subprocess.run(["clang", "-O2", "-target", "bpf", "-c", source, "-o", program], check=True)
    return program


def attach_foreign(host, program, mode="xdp", interface="lab0", *, force=()):
    host.run(
        "unshare",
        "--mount",
        "ip",
        *force,
        "link",
        "set",
        "dev",
        interface,
        mode,
        "object",
        str(program),
        "section",
        "xdp",
    )


@pytest.mark.parametrize("mode", ["native", "generic", "auto"])
def test_every_datagram_to_the_port_is_dropped_and_counted(both, tmp_path, mode, figure):
    receiver, sender = both
    before = shown(receiver)
    given = {"interface": "lab0", "port": SENT_PORT, "mode": mode}
    with applied("xdp-drop-port", tmp_path, **given):
        assert attached(receiver)["mode"] == (GENERIC if mode == "generic" else NATIVE)
        for address, number, others in ((receiver.ipv4, 137, 89), (receiver.ipv6, 211, 53)):
            with counting(receiver, "datagrams", address, str(SENT_PORT), str(OTHER_PORT)) as came:
                send_datagrams(sender, address, {SENT_PORT: number, OTHER_PORT: others})
            assert came == {str(SENT_PORT): 0, str(OTHER_PORT): others}
        counted = counters("xdp-drop-port", NAMESPACE, tmp_path, **given)
    figure(f"{mode}: {counted}")
    assert counted["packets-seen"] >= 137 + 89 + 211 + 53
    assert counted["packets-dropped"] == 137 + 211
    assert counted["bytes-dropped"] == 137 * (14 + 20 + 8 + 100) + 211 * (14 + 40 + 8 + 100)
    assert shown(receiver) == before
    for address in (receiver.ipv4, receiver.ipv6):
        with counting(receiver, "datagrams", address, str(SENT_PORT), str(OTHER_PORT)) as came:
            send_datagrams(sender, address, {SENT_PORT: 31, OTHER_PORT: 17})
        assert came == {str(SENT_PORT): 31, str(OTHER_PORT): 17}


def by_name(counted, sent):
    """Return how many frames of each shape came, by its name; without those of which none came."""
    names = {str(each.frame[11]): each.name for each in sent}
    return {names[number]: times for number, times in counted.items()}


def arrivals(receiver, sender, sent):
    with counting(receiver, "frames", "lab0") as came:
        send_frames(sender, [(each.times, each.frame) for each in sent])
    return by_name(came, sent)


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_frames_of_every_shape(both, tmp_path, mode, figure):
    receiver, sender = both
    sent = shapes(SENT_PORT, OTHER_PORT)
    given = {"interface": "lab0", "port": SENT_PORT, "mode": mode}
    with silent(receiver), silent(sender):
        usual = arrivals(receiver, sender, sent)
        with applied("xdp-drop-port", tmp_path, **given):
            came = arrivals(receiver, sender, sent)
            counted = counters("xdp-drop-port", NAMESPACE, tmp_path, **given)
        assert arrivals(receiver, sender, sent) == usual
    figure(f"{mode}: {counted}")
    assert usual == {each.name: each.times for each in sent if each.name != MALFORMED}
    assert came == {
        each.name: usual[each.name] for each in sent if each.name in usual and each.protocol != UDP
    }
    dropped = [each for each in sent if each.protocol == UDP]
    assert counted == {
        "packets-seen": sum(each.times for each in sent),
        "packets-dropped": sum(each.times for each in dropped),
        "bytes-dropped": sum(each.times * len(each.frame) for each in dropped),
    }


def test_where_the_driver_has_no_native_xdp_it_is_generic_and_says_so(both, tmp_path):
    receiver, sender = both
    receiver.run(*["ip", "link", "add", "macvlan0", "link", "lab0", "type", "macvlan", "mode", "bridge"])
    receiver.run(*["ip", "address", "add", "10.99.0.9/24", "dev", "macvlan0"])
    receiver.run(*["ip", "link", "set", "macvlan0", "up"])
    # Else the host answers for it by lab0.
    address = json.loads(receiver.run("ip", "-j", "link", "show", "macvlan0"))[0]["address"]
    sender.run(*f"ip neighbour add 10.99.0.9 lladdr {address} dev lab0 nud permanent".split())
    given = {"interface": "macvlan0", "port": SENT_PORT}
    native = do("xdp-drop-port", "apply", NAMESPACE, tmp_path, mode="native", **given)
    assert native.returncode != 0
    assert "does not support XDP in native mode" in native.stderr
    assert attached(receiver, "macvlan0") == {}
    with applied("xdp-drop-port", tmp_path, **given):
        assert attached(receiver, "macvlan0")["mode"] == GENERIC
        assert ended("xdp-drop-port", "read", tmp_path, **given).startswith("generic id ")
        with counting(receiver, "datagrams", "10.99.0.9", str(SENT_PORT), str(OTHER_PORT)) as came:
            send_datagrams(sender, "10.99.0.9", {SENT_PORT: 43, OTHER_PORT: 29})
        counted = counters("xdp-drop-port", NAMESPACE, tmp_path, **given)
    assert came == {str(SENT_PORT): 0, str(OTHER_PORT): 29}
    assert counted["packets-dropped"] == 43
    assert attached(receiver, "macvlan0") == {}


def test_apply_says_in_which_mode(both, tmp_path):
    receiver, _ = both
    for words in ("add long0 type veth peer name long1", "set long0 mtu 9000", "set long1 mtu 9000"):
        receiver.run("ip", "link", *words.split())
    for interface, said in (
        ("lab0", "attached: native id "),
        ("lo", "not native: Error: Underlying driver does not support XDP in native mode"),
        ("long0", "not native: Error: veth: Peer MTU is too large"),
    ):
        (work := tmp_path / interface).mkdir()
        given = {"interface": interface, "port": SENT_PORT}
        assert said in ended("xdp-drop-port", "apply", work, **given)
        ended("xdp-drop-port", "revert", work, **given)


def test_a_second_one_is_refused_and_the_first_one_stays(both, tmp_path):
    receiver, _ = both
    (second := tmp_path / "second").mkdir()
    given = {"interface": "lab0", "port": SENT_PORT}
    with applied("xdp-drop-port", tmp_path, **given):
        first = attached(receiver)
        refused = do("xdp-drop-port", "requires", NAMESPACE, second, **given)
        assert refused.returncode != 0
        assert "has an XDP program" in refused.stderr
        # Where both asked before either was attached.
        applying = do("xdp-drop-port", "apply", NAMESPACE, second, **given)
        assert applying.returncode != 0
        assert "XDP program already attached" in applying.stderr
        assert do("xdp-drop-port", "verify", NAMESPACE, second, **given).returncode != 0
        assert do("xdp-drop-port", "revert", NAMESPACE, second, **given).returncode != 0
        assert attached(receiver) == first


@pytest.mark.parametrize("remedy", ["xdp-drop-port", "xdp-redirect"])
@pytest.mark.parametrize("mode", ["xdpdrv", "xdpgeneric"])
def test_a_program_of_others_stays(both, third, tmp_path, foreign, remedy, mode):
    receiver, _ = both
    given = {"interface": "lab0", "port": SENT_PORT}
    if remedy == "xdp-redirect":
        given["target"] = "out0"
    attach_foreign(receiver, foreign, mode)
    theirs = attached(receiver)
    refused = do(remedy, "requires", NAMESPACE, tmp_path, **given)
    assert refused.returncode != 0
    assert "has an XDP program" in refused.stderr
    for step in ("apply", "verify", "counters", "revert"):
        assert do(remedy, step, NAMESPACE, tmp_path, **given).returncode != 0, step
        assert attached(receiver) == theirs


def test_a_program_put_in_the_place_of_ours_stays(both, tmp_path, foreign):
    receiver, _ = both
    given = {"interface": "lab0", "port": SENT_PORT}
    ended("xdp-drop-port", "apply", tmp_path, **given)
    attach_foreign(receiver, foreign, force=("-force",))
    theirs = attached(receiver)
    assert do("xdp-drop-port", "verify", NAMESPACE, tmp_path, **given).returncode != 0
    reverting = do("xdp-drop-port", "revert", NAMESPACE, tmp_path, **given)
    assert reverting.returncode != 0
    assert "left alone" in reverting.stderr
    assert attached(receiver) == theirs


def test_apply_that_was_cut_short_is_reverted(both, tmp_path):
    receiver, _ = both
    given = {"interface": "lab0", "port": SENT_PORT}
    ended("xdp-drop-port", "apply", tmp_path, **given)
    (tmp_path / "attached").unlink()
    ended("xdp-drop-port", "revert", tmp_path, **given)
    assert attached(receiver) == {}


def test_an_interface_that_is_renamed_loses_the_program_too(both, tmp_path):
    host, _ = both
    with switch("xdp-drop-port", NAMESPACE, tmp_path, interface="lab0", port=SENT_PORT) as one:
        one.on()
        host.run("ip", "link", "set", "lab0", "down")
        host.run("ip", "link", "set", "lab0", "name", "renamed")
        one.off()
        assert list(one.became.values()) == ["put-back"]
        assert not attached(host, "renamed")


def test_an_interface_that_is_gone_took_the_program_with_it(both, tmp_path):
    receiver, _ = both
    given = {"interface": "lab0", "port": SENT_PORT}
    ended("xdp-drop-port", "apply", tmp_path, **given)
    receiver.run(*["ip", "link", "delete", "lab0"])
    assert do("xdp-drop-port", "verify", NAMESPACE, tmp_path, **given).returncode != 0
    assert ended("xdp-drop-port", "read", tmp_path, **given) == "none"
    ended("xdp-drop-port", "gone", tmp_path, **given)
    ended("xdp-drop-port", "revert", tmp_path, **given)


def test_what_cannot_be_is_refused_with_the_reason(both, third, tmp_path, monkeypatch):
    receiver, _ = both
    receiver.run(*["ip", "tuntap", "add", "tun0", "mode", "tun"])
    receiver.run(*["ip", "link", "add", "narrow0", "type", "veth", "peer", "name", "narrow1"])
    receiver.run(*["ip", "link", "set", "narrow0", "up", "mtu", "1400"])

    def reason(remedy, **given):
        done = do(remedy, "requires", NAMESPACE, tmp_path, **{"interface": "lab0", "port": SENT_PORT} | given)
        assert done.returncode != 0
        return done.stderr

    assert "no such interface" in reason("xdp-drop-port", interface="lab7")
    assert "no Ethernet frames" in reason("xdp-drop-port", interface="tun0")
    assert "one of auto" in reason("xdp-drop-port", mode="offload")
    assert "no such target" in reason("xdp-redirect", target="lab7")
    assert "interface itself" in reason("xdp-redirect", target="lab0")
    assert "is down" in reason("xdp-redirect", target="narrow1")
    assert "smaller MTU" in reason("xdp-redirect", target="narrow0")
    assert "to-mac" in reason("xdp-redirect", target="out0", to_mac="02:00:00")
    assert "one of native" in reason("xdp-redirect", target="out0", mode="auto")


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("clang", "apt install clang"),
        ("bpftool", "apt install bpftool"),
        ("ip", "apt install iproute2"),
        ("headers", "apt install libbpf-dev"),
    ],
)
def test_what_is_not_installed_is_said_with_the_command(both, tmp_path, monkeypatch, missing, reason):
    """A PATH of everything but one program; an `ip` without libbpf; a compiler that finds no header."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = {}
    for name in ("ip", "sh", "clang", "bpftool", "grep", "sed", "paste", "printf"):
        real[name] = subprocess.run(
            ["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        if name != missing and real[name].startswith("/"):
            (folder / name).symlink_to(real[name])
    if missing == "ip":
        (folder / "ip").write_text(
            f'#!/bin/sh\n[ "$1" = -V ] && echo "ip utility, iproute2-5.10.0" || exec {real["ip"]} "$@"\n'
        )
        (folder / "ip").chmod(0o755)
    if missing == "headers":
        (folder / "clang").unlink()
        (folder / "clang").write_text(f'#!/bin/sh\nexec {real["clang"]} -nostdinc "$@"\n')
        (folder / "clang").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    done = do("xdp-drop-port", "requires", NAMESPACE, tmp_path, interface="lab0", port=SENT_PORT)
    assert done.returncode != 0
    assert reason in done.stderr


@pytest.mark.parametrize(
    ("mode", "how"),
    [("generic", "nothing"), ("native", "program"), ("native", "gro"), ("native", "nothing")],
)
def test_frames_leave_by_the_target_as_they_came(both, third, tmp_path, foreign, mode, how, figure):
    receiver, sender = both
    sent = shapes(SENT_PORT, OTHER_PORT)
    given = {"interface": "lab0", "port": SENT_PORT, "target": "out0", "mode": mode}
    third.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
    # What has the other end of the target receive by NAPI.
    if how == "program":
        attach_foreign(third, foreign, "xdpdrv", "in0")
    elif how == "gro":
        third.run("ethtool", "-K", "in0", "gro", "on")
    with silent(receiver), silent(sender), applied("xdp-redirect", tmp_path, **given):
        with counting(receiver, "frames", "lab0") as stayed, counting(third, "frames", "in0") as left:
            send_frames(sender, [(each.times, each.frame) for each in sent])
        counted = counters("xdp-redirect", NAMESPACE, tmp_path, **given)
    figure(f"{mode}, {how}: {counted}, arrived {sum(left.values())}")
    ours = {each.name: each.times for each in sent if each.protocol == UDP}
    others = {each.name: each.times for each in sent if each.protocol != UDP and each.name != MALFORMED}
    assert by_name(stayed, sent) == others
    assert counted == {
        "packets-seen": sum(each.times for each in sent),
        "packets-redirected": sum(ours.values()),
        "bytes-redirected": sum(each.times * len(each.frame) for each in sent if each.protocol == UDP),
    }
    # A veth whose other end has no NAPI takes none, as `when-not` says.
    assert by_name(left, sent) == ({} if (mode, how) == ("native", "nothing") else ours)


@pytest.mark.parametrize(
    ("mode", "offload", "arrive"), [("generic", "on", True), ("native", "off", True), ("native", "on", False)]
)
def test_datagrams_reach_a_socket_behind_the_target(
    both, third, tmp_path, foreign, mode, offload, arrive, figure
):
    receiver, sender = both
    in0 = third.run("cat", "/sys/class/net/in0/address").strip()
    third.run(*f"ip address add {third.ipv4}/24 dev in0".split())
    third.run(*f"ip address add {third.ipv6}/64 dev in0 nodad".split())
    sender.run("ethtool", "-K", "lab0", "tx", offload)
    attach_foreign(third, foreign, "xdpdrv", "in0")
    before = shown(receiver), shown(receiver, "out0")
    given = {"interface": "lab0", "port": SENT_PORT, "target": "out0", "to_mac": in0.upper(), "mode": mode}
    with applied("xdp-redirect", tmp_path, **given):
        for address, number in ((receiver.ipv4, 97), (receiver.ipv6, 61)):
            count = ("datagrams", address, str(SENT_PORT), str(OTHER_PORT))
            had = kernel_counters(third)
            with counting(receiver, *count) as stayed, counting(third, *count) as left:
                send_datagrams(sender, address, {SENT_PORT: number, OTHER_PORT: 37})
            assert stayed == {str(SENT_PORT): 0, str(OTHER_PORT): 37}
            assert left == {str(SENT_PORT): number if arrive else 0, str(OTHER_PORT): 0}
            grown = counted_since(third, had)
            wrong = grown["UdpInCsumErrors"] + grown["Udp6InCsumErrors"]
            assert wrong == (0 if arrive else number)
        counted = counters("xdp-redirect", NAMESPACE, tmp_path, **given)
    figure(f"{mode}, tx {offload}: {counted}")
    assert counted["packets-redirected"] == 97 + 61
    assert (shown(receiver), shown(receiver, "out0")) == before


def test_packets_pass_again_where_the_target_is_gone(both, third, tmp_path):
    receiver, sender = both
    given = {"interface": "lab0", "port": SENT_PORT, "target": "out0"}
    with applied("xdp-redirect", tmp_path, **given):
        receiver.run(*["ip", "link", "delete", "out0"])
        assert do("xdp-redirect", "verify", NAMESPACE, tmp_path, **given).returncode != 0
        with counting(receiver, "datagrams", receiver.ipv4, str(SENT_PORT)) as came:
            send_datagrams(sender, receiver.ipv4, {SENT_PORT: 23})
        assert came == {str(SENT_PORT): 23}
        assert counters("xdp-redirect", NAMESPACE, tmp_path, **given)["packets-redirected"] == 0


@pytest.mark.parametrize("remedy", ["xdp-drop-port", "xdp-redirect"])
def test_no_mount_and_no_program_is_left_behind(both, third, tmp_path, remedy):
    """Where `ip netns exec` makes no mount namespace for it."""
    receiver, _ = both
    mounts = Path("/proc/self/mounts").read_text()
    given = {"interface": "lab0", "port": SENT_PORT} | (
        {"target": "out0"} if remedy == "xdp-redirect" else {}
    )
    for step in ("requires", "apply", "verify", "counters", "revert"):
        done = do(remedy, step, receiver, tmp_path, **given)
        assert done.returncode == 0, (step, done.stderr)
    assert Path("/proc/self/mounts").read_text() == mounts
    until(lambda: not loaded((tmp_path / "name").read_text().strip()), "the program is unloaded")


def test_an_experiment_switches_it_on_and_off_and_adds_up_what_it_counted(both, tmp_path):
    receiver, sender = both
    before = shown(receiver)
    with switch("xdp-drop-port", NAMESPACE, tmp_path, interface="lab0", port=SENT_PORT) as one:
        for number in (13, 17):
            one.on()
            send_datagrams(sender, receiver.ipv4, {SENT_PORT: number, OTHER_PORT: 5})
            one.off()
            assert one.became == {"XDP program of lab0": "put-back"}
            send_datagrams(sender, receiver.ipv4, {SENT_PORT: 7})
        assert one.counted["packets-dropped"] == 13 + 17
        assert one.counted["packets-seen"] >= 13 + 17 + 2 * 5
    assert shown(receiver) == before


def test_the_command_that_is_shown_puts_it_back(both, tmp_path):
    here, _ = both
    before = shown(here)
    with switch("xdp-drop-port", NAMESPACE, tmp_path, interface="lab0", port=SENT_PORT) as one:
        one.on()
        (entry,) = one.entries
        for command in entry.setting.revert_by_hand(entry.before):
            subprocess.run(["sh", "-c", command], check=True, timeout=60)
        assert shown(here) == before
        one.off()
        assert list(one.became.values()) == ["as-before"]
