"""Every remedy of the catalogue: applied, seen by other means than its own, put back, or refused with the reason."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.errors import HostRefused, ValueRefused
from runner.recipe.remedies import find_remedy, remedy_paths
from runner.workflow.experiment.setting_command import SettingFailed
from runner.workflow.experiment.switch import Switch
from tests.laboratory.cgroups import inside as inside_cgroup
from tests.laboratory.children import child
from tests.laboratory.disk import MIB, counters, disk
from tests.laboratory.limits import cpu_group, cpu_periods
from tests.laboratory.namespace import inside, named_namespace, run_inside
from tests.laboratory.remedy import change, kept, tried
from tests.laboratory.until import until

pytestmark = pytest.mark.kernel

ELSEWHERE = ("xdp-", "tc-")
"""What these begin with has a file of its own."""
TCP_INFO_CWND = 80
"""struct tcp_info of linux/tcp.h: tcpi_snd_cwnd; in the byte 6 the upper half is tcpi_rcv_wscale."""

ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"

SPIN = [sys.executable, "-c", "while True: pass"]
# Thread 1 keeps itself on processor 1; each line that comes starts another one. Prints the ids.
THREADS = """
import os, sys, threading, time
def work(own):
    if own: os.sched_setaffinity(0, own)
    print(threading.get_native_id(), flush=True)
    time.sleep(1000)
def start(own=None): threading.Thread(target=work, args=(own,), daemon=True).start()
start({1}); start()
for line in sys.stdin: start()
"""
SENDER = """
import socket, sys, time
to, source = (sys.argv[1], 9000), ("", 9001)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(source)
for _ in range(200):
    s.sendto(b"x", to)
    time.sleep(0.001)
"""


@pytest.fixture(autouse=True)
def _state_of_our_own(monkeypatch, tmp_path):
    monkeypatch.setenv("EBPF_RECIPE_STATE", str(tmp_path / "state"))


@pytest.fixture
def netns():
    with named_namespace() as name:
        yield name


def refused(reason, name, netns=None, **given):
    """Hold that the host refuses a change, and says why; nothing was done."""
    made = change(name, netns, **given)
    with pytest.raises(HostRefused, match=reason):
        Switch(made, Path("/nowhere"), None)


def did_not_take(why, name, **given):
    """Hold that a change is seen not to take, and is put back."""
    with pytest.raises(SettingFailed, match=why), tried(name, **given):
        pass


@pytest.mark.parametrize("name", [each for each in remedy_paths() if not each.startswith(ELSEWHERE)])
def test_every_remedy_is_tried_here(name):
    if find_remedy(name).remedy.advice is None:
        assert f"test_{name.replace('-', '_')}" in globals()
    else:
        with pytest.raises(ValueRefused, match="is advice: the application is changed, not the host"):
            change(name)


# Disks.


def test_readahead(tmp_path):
    with disk(tmp_path) as one:

        def sectors():
            return int(_said("blockdev", "--getra", one.path))

        before = sectors()
        with tried("readahead", device=one.name, kib=1024):
            assert sectors() == 2048
        assert sectors() == before != 2048
        refused("33 KiB are no whole pages of memory", "readahead", device=one.name, kib=33)
        refused("there is no disk nosuch below /sys/block", "readahead", device="nosuch")
        with (
            pytest.raises(ValueRefused, match="there is nothing to try"),
            tried("readahead", device=one.name, kib=before // 2),
        ):
            pass


def test_io_scheduler(tmp_path):
    with disk(tmp_path) as one:
        one.setting("scheduler", "none")
        own = Path(f"/sys/block/{one.name}/queue/iosched/fifo_batch")
        assert not own.exists()
        with tried("io-scheduler", device=one.name):
            assert own.exists()
        assert not own.exists()
        one.setting("scheduler", "mq-deadline")
        one.setting("nr_requests", "77")
        own.write_text("5")
        with tried("io-scheduler", device=one.name, scheduler="kyber"):
            assert not own.exists()
        # What its own settings were, they are.
        assert own.read_text() == "5\n"
        assert Path(f"/sys/block/{one.name}/queue/nr_requests").read_text() == "77\n"
        with (
            pytest.raises(ValueRefused, match="there is nothing to try"),
            tried("io-scheduler", device=one.name),
        ):
            pass
        # A part of a name is none.
        refused(
            "this kernel has no scheduler deadline for", "io-scheduler", device=one.name, scheduler="deadline"
        )
        refused("there is no disk nosuch", "io-scheduler", device="nosuch")


def test_scheduler_batch(tmp_path):
    with disk(tmp_path) as one:
        one.setting("scheduler", "none")
        refused("its scheduler is not mq-deadline", "scheduler-batch", device=one.name)
        one.setting("scheduler", "mq-deadline")
        own = Path(f"/sys/block/{one.name}/queue/iosched/fifo_batch")
        assert own.read_text() == "16\n"
        with tried("scheduler-batch", device=one.name, requests=2):
            assert own.read_text() == "2\n"
        assert own.read_text() == "16\n"


def test_queue_depth(tmp_path):
    with disk(tmp_path) as one:
        folder = Path(f"/sys/block/{one.name}")
        room = int((folder / "mq/0/nr_tags").read_text())
        one.setting("scheduler", "none")
        refused("without a scheduler .* choose one first", "queue-depth", device=one.name, requests=room + 1)
        with tried("queue-depth", device=one.name, requests=room // 2):
            assert (folder / "queue/nr_requests").read_text() == f"{room // 2}\n"
        one.setting("scheduler", "mq-deadline")
        before = (folder / "queue/nr_requests").read_text()
        with tried("queue-depth", device=one.name, requests=1024):
            assert (folder / "queue/nr_requests").read_text() == "1024\n"
        assert (folder / "queue/nr_requests").read_text() == before
        # The device keeps its own.
        assert int((folder / "mq/0/nr_tags").read_text()) == room


def test_request_size(tmp_path):
    with disk(tmp_path) as one:

        def requests():
            """Return how many requests a read of 1 MiB is."""
            before = counters(one.name)
            _said("dd", f"if={one.path}", "of=/dev/null", "bs=1M", "count=1", "iflag=direct")
            return counters(one.name).since(before).reads

        before = requests()
        with tried("request-size", device=one.name, kib=64):
            assert requests() == MIB // (64 * 1024)
        assert requests() == before < MIB // (64 * 1024)
        refused("takes no requests of 1048576 KiB", "request-size", device=one.name, kib=1048576)


# Processors.


def test_cpu_quota():
    name = "cpu.max" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "cpu.cfs_quota_us"
    with cpu_group() as group, child(inside_cgroup(group, SPIN)) as spinner:
        until(lambda: str(spinner.pid) in (group / "cgroup.procs").read_text(), "in its group")

        def throttled():
            before = cpu_periods(group)["nr_throttled"]
            time.sleep(0.5)
            return cpu_periods(group)["nr_throttled"] - before

        assert throttled() == 0
        with tried("cpu-quota", file=group / name, limit=20000):
            assert throttled() >= 2
        assert throttled() == 0
    refused("there is no limit", "cpu-quota", file=group / name, limit="max")


def test_cpu_quota_writes_no_other_file(tmp_path):
    other = tmp_path / "cpu.max"
    other.write_text("precious\n")
    refused("is no file of a control group", "cpu-quota", file=other, limit="max")
    refused("is neither a cpu.max nor", "cpu-quota", file="/proc/sys/kernel/hostname", limit="max")
    assert other.read_text() == "precious\n"


def test_cpu_weight():
    if not Path("/run/systemd/system").is_dir():
        refused("the host does not run systemd", "cpu-weight", service="nginx.service")
        return
    service = f"ebpf-recipe-{os.getpid()}.service"
    refused(f"systemd runs no unit {service}", "cpu-weight", service=service)
    _said("systemd-run", "--collect", f"--unit={service}", "sleep", "infinity")
    try:
        group = _said("systemctl", "show", "--value", "-p", "ControlGroup", service).strip()
        weight = Path(f"/sys/fs/cgroup{group}/cpu.weight")
        with tried("cpu-weight", service=service, weight=500):
            assert weight.read_text() == "500\n"
        assert not weight.exists() or weight.read_text() == "100\n"
    finally:
        _said("systemctl", "stop", service)


def test_irq_affinity(tmp_path):
    refused("there is no interrupt 1048575", "irq-affinity", irq=1048575, cpus=0)
    numbers = sorted(int(each.name) for each in Path("/proc/irq").iterdir() if each.name.isdecimal())
    made = {number: change("irq-affinity", irq=number, cpus=0) for number in numbers}
    reasons = {number: _reason(each) for number, each in made.items()}
    # Newer kernels show by the file's mode what they manage; ours is told by what the kernel answers.
    for number in numbers:
        mode = Path(f"/proc/irq/{number}/smp_affinity_list").stat().st_mode & 0o777
        if mode == 0o444:
            assert f"the kernel manages interrupt {number} itself" in reasons[number]
    movable = [number for number in numbers if not reasons[number]]
    if not movable:
        pytest.skip("this kernel manages all of its interrupts itself")
    number = movable[0]
    mask = Path(f"/proc/irq/{number}/smp_affinity")
    before = mask.read_text()
    cpu = 1 if int(before.replace(",", ""), 16) == 1 else 0
    with tried("irq-affinity", irq=number, cpus=f"{cpu}-{cpu}"):
        assert int(mask.read_text().replace(",", ""), 16) == 1 << cpu
    assert mask.read_text() == before
    balancer = tmp_path / "irqbalance"
    shutil.copy("/bin/sleep", balancer)
    with child([balancer, "60"]) as process:
        until(lambda: _comm(process.pid) == "irqbalance", "its name")
        refused(f"irqbalance runs .*--banirq={number}", "irq-affinity", irq=number, cpus=0)


def test_process_affinity():
    with child([sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def next_thread():
            return int(process.stdout.readline())

        def start_thread():
            process.stdin.write(b"\n")
            process.stdin.flush()
            return next_thread()

        both, pid = os.sched_getaffinity(0), process.pid
        threads = [next_thread(), next_thread()]
        kept_to_1 = next(each for each in threads if os.sched_getaffinity(each) == {1})
        (free,) = set(threads) - {kept_to_1}
        allowed = os.sched_getaffinity
        assert (allowed(pid), allowed(free)) == (both, both)
        with tried("process-affinity", pid=pid, cpus="0,0-0"):
            # One that was started meanwhile changes nothing.
            begun = start_thread()
            assert [allowed(each) for each in (pid, free, kept_to_1, begun)] == [{0}] * 4
        assert [allowed(each) for each in (pid, free, begun)] == [both] * 3
        assert allowed(kept_to_1) == {1}
        # More than there are, or than it may have: the kernel takes what is left of them.
        did_not_take("may run on", "process-affinity", pid=pid, cpus=f"0,{os.cpu_count() + 7}")
        (setting,) = change("process-affinity", pid=pid, cpus=0).settings
        before = setting.read()
        assert not setting.is_gone(before)
        # The same number, another process.
        assert setting.is_gone("17 " + before.partition(" ")[2])
        with pytest.raises(SettingFailed):
            setting.put_back("17 0")
        assert setting.read() == before
    assert setting.is_gone(before)
    refused(f"there is no process {pid}", "process-affinity", pid=pid, cpus=0)


def test_a_process_that_ended_meanwhile_is_gone(tmp_path):
    with child(["sleep", "1000"]) as process:
        made = change("process-affinity", pid=process.pid, cpus=0)
        (tmp_path / "state").mkdir()
        switch = Switch(made, tmp_path, None)
        switch.on()
        assert os.sched_getaffinity(process.pid) == {0}
        process.kill()
        process.wait()
        switch.off()
        switch.close()
        assert list(switch.became.values()) == ["gone"]


# Packets.


def test_rps(netns):
    with named_namespace() as other:
        run_inside(other, *f"ip link add lab0 type veth peer name lab0 netns {netns}".split())
        for name, address in ((netns, "10.97.0.1"), (other, "10.97.0.2")):
            run_inside(name, *f"ip address add {address}/30 dev lab0".split())
            run_inside(name, *["ip", "link", "set", "lab0", "up"])

        def handed_to_0():
            """Return how often processor 1, which sends, handed packets on to processor 0."""
            before = _received_rps(0)
            run_inside(other, "taskset", "-c", "1", sys.executable, "-c", SENDER, "10.97.0.1")
            return _received_rps(0) - before

        assert handed_to_0() == 0
        with tried("rps", netns, interface="lab0", mask="00000001"):
            assert handed_to_0() >= 50
        assert handed_to_0() == 0
        refused("lab0 has no receive queue 7", "rps", netns, interface="lab0", queue=7, mask="1")


def test_rfs(netns):
    ours = f"rfs{os.getpid()}"
    try:
        _said(*f"ip link add {ours} type veth peer name lab0 netns {netns}".split())
        _said(*f"ip address add 10.97.1.1/30 dev {ours}".split())
        _said(*f"ip link set {ours} up".split())
        run_inside(netns, *["ip", "address", "add", "10.97.1.2/30", "dev", "lab0"])
        run_inside(netns, *["ip", "link", "set", "lab0", "up"])

        def handed_to_0():
            """Return how often processor 1, which sends, handed packets on to processor 0, which reads."""
            command = ["taskset", "-c", "1", sys.executable, "-c", SENDER, "10.97.1.1"]
            before = _received_rps(0)
            with _on_cpu(0), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader:
                reader.bind(("10.97.1.1", 9000))
                reader.connect(("10.97.1.2", 9001))
                reader.settimeout(10)
                with child(["ip", "netns", "exec", netns, *command]):
                    for _ in range(200):
                        reader.recv(10)
            return _received_rps(0) - before

        with kept("/proc/sys/net/core/rps_sock_flow_entries"):
            assert handed_to_0() == 0
            with tried("rfs", interface=ours, entries=1024, flows=1024):
                assert handed_to_0() >= 50
            assert handed_to_0() == 0
        refused("are powers of two", "rfs", interface=ours, entries=1000)
        refused("another network namespace than the host's", "rfs", netns, interface="lab0")
    finally:
        subprocess.run(["ip", "link", "delete", ours], capture_output=True, check=False)


def test_netdev_backlog(netns):
    with kept("/proc/sys/net/core/netdev_max_backlog") as file, tried("netdev-backlog", packets=4321):
        assert file.read_text() == "4321\n"
    refused("cannot be set in this network namespace", "netdev-backlog", netns)


# Sockets.


def test_socket_buffers(netns):
    def largest():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 29)
            return one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # socket(7): it is doubled

    with kept("/proc/sys/net/core/rmem_max") as file:
        assert largest() == int(file.read_text())
        with tried("socket-buffers", bytes=123456789):
            assert largest() == 123456789
        assert largest() == int(file.read_text())
    with contextlib.suppress(FileNotFoundError):
        refused("cannot be set in this network namespace", "socket-buffers", netns)


def test_udp_buffers(netns):
    def first():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            return one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    with kept("/proc/sys/net/core/rmem_default") as file:
        assert first() == int(file.read_text())
        with tried("udp-buffers", bytes=7654321):
            assert first() == 7654321
        assert first() == int(file.read_text())
    refused("cannot be set in this network namespace", "udp-buffers", netns)


def test_tcp_buffers(netns):
    def scale():
        """Return how the connections of now scale their receive window: by its largest size (tcp(7))."""
        with _connection(netns) as (client, _):
            return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[6] >> 4

    def values(name):
        return [int(word) for word in run_inside(netns, "sysctl", "-n", f"net.ipv4.{name}").split()]

    before = values("tcp_rmem"), values("tcp_wmem")
    at_first = scale()
    with tried("tcp-buffers", netns, bytes=1 << 28):
        assert (values("tcp_rmem")[2], values("tcp_wmem")[2]) == (1 << 28, 1 << 28)
        assert (values("tcp_rmem")[:2], values("tcp_wmem")[:2]) == (before[0][:2], before[1][:2])
        assert scale() == 28 - 15
    assert (values("tcp_rmem"), values("tcp_wmem")) == before
    assert scale() == at_first < 28 - 15


def test_listen_backlog(netns):
    def room():
        with inside(netns), socket.socket() as one:
            one.bind(("127.0.0.1", 9100))
            one.listen(1 << 20)
            return int(run_inside(netns, "ss", "-Hltn").split()[2])

    before = room()
    with tried("listen-backlog", netns, connections=12345):
        assert room() == 12345
    assert room() == before


def test_syn_backlog(netns):
    refused("the kernel does not look at tcp_max_syn_backlog", "syn-backlog", netns)
    _set(netns, "net.ipv4.tcp_syncookies", 0)
    _set(netns, "net.ipv4.tcp_max_syn_backlog", 16)
    # No answer arrives: connections stay half open.
    drop = "iptables-legacy -A INPUT -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP"
    run_inside(netns, *drop.split())

    def half_open():
        with inside(netns), contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.socket())
            server.bind(("127.0.0.1", 0))
            server.listen(1000)
            for _ in range(100):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.connect(server.getsockname())
            port = f":{server.getsockname()[1]}"
            return len(
                run_inside(netns, *["ss", "-Htn", "state", "syn-recv", "sport", "="], port).splitlines()
            )

    assert 12 <= half_open() <= 13
    with tried("syn-backlog", netns, connections=1000):
        assert half_open() == 100
    assert 12 <= half_open() <= 13


def test_tcp_congestion_control(netns):
    def algorithm():
        with socket.socket() as one:
            return one.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()

    allowed = _words(ALLOWED)
    _set(netns, "net.ipv4.tcp_congestion_control", "reno")
    other = next(each for each in allowed if each != "reno")
    with inside(netns):
        assert algorithm() == "reno"
        with tried("tcp-congestion-control", netns, algorithm=other):
            assert algorithm() == other
        assert algorithm() == "reno"
    refused("no congestion control ren ", "tcp-congestion-control", netns, algorithm="ren")
    known = _words("/proc/sys/net/ipv4/tcp_available_congestion_control")
    for each in set(known) - set(allowed):
        refused("only those that the host allows", "tcp-congestion-control", netns, algorithm=each)
        before = algorithm()
        with kept("/proc/sys/net/ipv4/tcp_congestion_control"), kept(ALLOWED):
            with tried("tcp-congestion-control", algorithm=each):
                assert algorithm() == each
                assert each in _words(ALLOWED)
            assert algorithm() == before


def test_tcp_slow_start_after_idle(netns):
    if "bbr" in _words(ALLOWED):
        _set(netns, "net.ipv4.tcp_congestion_control", "bbr")
        refused("with BBR .* the kernel does not look at it", "tcp-slow-start-after-idle", netns)
    _set(netns, "net.ipv4.tcp_congestion_control", "reno")
    run_inside(netns, *["ip", "link", "set", "lo", "mtu", "1500"])

    def window():
        """Return the send window, in segments, of a connection that sends again after a pause."""
        with _connection(netns) as (client, server):

            def send(size):
                client.sendall(bytes(size))
                while size:
                    size -= len(server.recv(size))
                (segments,) = struct.unpack_from("@I", _tcp_info(client), TCP_INFO_CWND)
                return segments

            for _ in range(40):
                grown = send(1 << 17)
            assert grown > 20
            time.sleep(1.5)
            return send(1), grown

    later, grown = window()
    assert later <= 12
    with tried("tcp-slow-start-after-idle", netns):
        later, grown = window()
        assert later >= grown
    later, grown = window()
    assert later <= 12


def test_ephemeral_ports(netns):
    def ports():
        with contextlib.ExitStack() as stack, inside(netns):
            server = stack.enter_context(socket.socket())
            server.bind(("127.0.0.1", 9100))
            server.listen()
            found = set()
            for _ in range(3):
                client = stack.enter_context(socket.socket())
                try:
                    client.connect(server.getsockname())
                except OSError as error:
                    found.add(error.strerror)
                else:
                    # A reset: nothing is left in TIME_WAIT.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    found.add(client.getsockname()[1])
            return found

    assert all(each >= 32768 for each in ports())
    with tried("ephemeral-ports", netns, first=20000, last=20001):
        assert ports() == {20000, 20001, "Cannot assign requested address"}
    assert all(each >= 32768 for each in ports())
    refused("the first port, 20002, is not below", "ephemeral-ports", netns, first=20002, last=20001)
    refused("ports from 1000 on are only root's", "ephemeral-ports", netns, first=1000, last=20001)
    refused("one is even and one odd", "ephemeral-ports", netns, first=20000, last=30000)


def test_conntrack_max(netns):
    refused("another network namespace than the host's", "conntrack-max", netns)
    if not Path("/proc/sys/net/netfilter/nf_conntrack_max").exists():
        refused("nf_conntrack is not loaded", "conntrack-max")
        return
    with kept("/proc/sys/net/netfilter/nf_conntrack_max"), tried("conntrack-max", entries=345678):
        assert _said("sysctl", "-n", "net.nf_conntrack_max") == "345678\n"


def _said(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def _words(path):
    return Path(path).read_text().split()


def _set(netns, name, value):
    run_inside(netns, "sysctl", "-q", "-w", f"{name}={value}")


def _reason(made):
    try:
        made.check_host()
    except HostRefused as error:
        return error.message
    return ""


def _comm(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _received_rps(cpu):
    """Return how often a processor was woken for packets of another one: /proc/net/softnet_stat."""
    line = Path("/proc/net/softnet_stat").read_text().splitlines()[cpu]
    return int(line.split()[9], 16)


@contextlib.contextmanager
def _on_cpu(cpu):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _connection(netns):
    """Yield both ends of a connection in a namespace."""
    with inside(netns), socket.socket() as listening, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        client.connect(listening.getsockname())
        with listening.accept()[0] as server:
            yield client, server


def _tcp_info(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
