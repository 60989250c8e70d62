"""`doctor` on hosts that are made of files: a container's, a locked-down kernel's, one without BTF or bpftrace."""

import dataclasses
import errno
import gzip
import json
import os
from pathlib import Path

import pytest
from jsonschema import validate

from runner.cli.doctor import _lines
from runner.doctor.document import doctor_schema
from runner.doctor.examine import examine
from runner.doctor.recipes import _Quiet
from runner.errors import HostRefused
from runner.host.confinement import read_confinement
from runner.host.facts import HostFacts
from runner.host.kernel_config import read_kernel_config
from runner.host.trials import Trials
from runner.recipe.catalogue import find_recipe
from runner.recipe.model import Sampling
from tests.command import FAKE_BPFTRACE, ebpf_recipe

ALL_CAPABILITIES = 0x1FFFFFFFFFF
DOCKER_CAPABILITIES = 0xA80425FB
ALLOWED = Trials(load=0, sample=0, fentry=0, memory=None)
REFUSED = Trials(load=errno.EPERM, sample=errno.EPERM, fentry=errno.EPERM, memory=errno.EPERM)
OPTIONS = (
    "BPF_EVENTS", "TRACEPOINTS", "KPROBES", "KPROBE_EVENTS", "UPROBES", "UPROBE_EVENTS", "PERF_EVENTS",
    "FUNCTION_TRACER", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS", "DEBUG_INFO_BTF",
)  # fmt: skip


class FakeHost:
    """A host's files below a folder; each method takes something away from one that can do all."""

    def __init__(self, root):
        self.root = root
        self.identify(0, ALL_CAPABILITIES)
        for path, text in {
            "proc/self/mounts": "tracefs /sys/kernel/tracing tracefs rw 0 0\n",
            "proc/self/limits": "Max locked memory         unlimited            unlimited            bytes\n",
            "proc/self/uid_map": "         0          0 4294967295\n",
            "proc/filesystems": "nodev\tsysfs\nnodev\ttracefs\n\text4\n",
            "proc/sys/kernel/ftrace_enabled": "1\n",
            "proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
            "proc/sys/kernel/perf_event_paranoid": "2\n",
            "proc/sys/kernel/kptr_restrict": "0\n",
            "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
            "sys/kernel/btf/vmlinux": "",
            "sys/kernel/tracing/events/tcp/tcp_probe/format": "",
            "sys/bus/event_source/devices/uprobe/format/ref_ctr_offset": "",
            "etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        }.items():
            self.write(path, text)
        for source in ("tracepoint", "kprobe", "software"):
            (root / "sys/bus/event_source/devices" / source).mkdir()
        (root / "proc/self/ns").mkdir()
        (root / "proc/self/ns/pid").symlink_to("pid:[4026531836]")
        self.configure(*OPTIONS)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def identify(self, uid, capabilities, seccomp=0):
        self.write(
            "proc/self/status",
            f"Name:\tpython\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{capabilities:016x}\nSeccomp:\t{seccomp}\n",
        )

    def configure(self, *options):
        text = "".join(f"CONFIG_{option}=y\n" for option in options)
        (self.root / "proc/config.gz").write_bytes(gzip.compress(text.encode()))

    def unmount_tracefs(self):
        self.write("proc/self/mounts", "sysfs /sys sysfs rw 0 0\n")
        (self.root / "sys/kernel/tracing").rename(self.root / "unmounted")

    def contain(self):
        self.write(".dockerenv", "")
        self.identify(0, DOCKER_CAPABILITIES, seccomp=2)
        self.write("proc/self/attr/apparmor/current", "docker-default (enforce)\n")
        (self.root / "proc/self/ns/pid").unlink()
        (self.root / "proc/self/ns/pid").symlink_to("pid:[4026532201]")

    def examine(self, trials=ALLOWED, probes=(), bpftrace=FAKE_BPFTRACE, ids=("tcp-retrans",)):
        def facts_of(recipe, found):
            asked = {guard.probe for guard in recipe.guards() if guard.probe is not None}
            return HostFacts(
                "h", "6.1", "x86_64", 2, "b", "little", btf=(self.root / "sys/kernel/btf/vmlinux").exists(),
                probes={probe: () if probe in probes else None for probe in asked},
                bpftrace=str(found), bpftrace_features=found.features,
            )  # fmt: skip

        document = examine(ids, bpftrace=bpftrace, root=self.root, trials=lambda: trials, facts_of=facts_of)
        validate(json.loads(json.dumps(document)), doctor_schema())
        return document


TCP_PROBES = (
    "tracepoint:tcp:tcp_retransmit_skb", "tracepoint:tcp:tcp_retransmit_synack",
    "tracepoint:tcp:tcp_rcv_space_adjust", "tracepoint:sock:inet_sock_set_state",
)  # fmt: skip


@pytest.fixture
def host(tmp_path):
    return FakeHost(tmp_path)


def checks(document):
    return {check["name"]: check for check in document["checks"]}


def not_ok(document):
    return {name for name, check in checks(document).items() if check["status"] != "ok"}


def verdict(document):
    (only,) = document["recipes"]
    return only


def test_a_host_that_lacks_nothing(host):
    document = host.examine(probes=(*TCP_PROBES, "kprobe:tcp_sendmsg"))
    assert not_ok(document) == set()
    assert all(check["cure"] is None and check["command"] is None for check in document["checks"])
    assert verdict(document)["status"] == "ok"
    assert verdict(document)["variant"] == "kprobe"


def test_the_document_keeps_what_all_recipes_asked(host):
    ids = ("tcp-retrans", "runqlat")
    document = host.examine(probes=TCP_PROBES, ids=ids)
    asked = {g.probe for each in ids for g in find_recipe(each).recipe.guards() if g.probe is not None}
    assert set(document["facts"]["probes"]) == asked
    assert document["facts"]["probes"]["kprobe:tcp_sendmsg"] is None
    host.unmount_tracefs()
    assert host.examine(ids=ids)["facts"] is None


def test_the_text_has_a_line_for_each_check_and_recipe(host):
    document = host.examine(probes=TCP_PROBES)
    lines = list(_lines(document))
    assert len(lines) == 1 + len(document["checks"]) + 1
    assert lines[0].startswith("Linux ")
    assert "Debian GNU/Linux 12 (bookworm)" in lines[0]
    assert lines[-1].startswith("ok       run tcp-retrans")
    assert "tracepoint: it needs nothing special; not kprobe: missing here" in lines[-1]


def test_tracefs_that_is_not_mounted_is_mounted_by_a_command(host):
    host.unmount_tracefs()
    document = host.examine(probes=TCP_PROBES)
    assert not_ok(document) == {"tracefs"}
    mount = "mount -t tracefs tracefs /sys/kernel/tracing"
    assert checks(document)["tracefs"]["command"] == mount
    (lack,) = verdict(document)["missing"]
    assert lack == {
        "detail": "tracefs: not mounted", "cure": "mount it", "command": mount, "lacks": "tracefs",
    }  # fmt: skip
    assert any(line.endswith(f"→ {mount}") for line in _lines(document))
    host.write("proc/filesystems", "\text4\n")
    assert "CONFIG_FTRACE" in checks(host.examine())["tracefs"]["cure"]


def test_without_root_it_says_what_could_not_be_looked_at(host):
    host.identify(1000, 0)
    (host.root / "sys/kernel/tracing/events").rename(host.root / "unreadable")
    document = host.examine(REFUSED, probes=TCP_PROBES)
    found = checks(document)
    assert {name for name in not_ok(document) if found[name]["status"] == "unknown"} == {
        "bpf", "perf", "tracefs", "profile", "fentry",
    }  # fmt: skip
    assert all(found[name]["command"] == "sudo ebpf-recipe doctor" for name in ("bpf", "tracefs", "fentry"))
    assert found["privilege"]["status"] == "missing"
    assert "tracing needs root; bpftrace 0.23.2 lacks root" in found["privilege"]["detail"]
    # What the type information tells, it tells: the variant is known.
    assert verdict(document)["variant"] == "tracepoint"
    (lack,) = verdict(document)["missing"]
    assert "ebpf-recipe run tcp-retrans" in lack["command"]


def test_capabilities_without_root_suffice_bpftrace_alone_since_0_25(host, tmp_path):
    host.identify(1000, sum(1 << bit for bit in (1, 2, 38, 39)))
    newer = tmp_path / "bpftrace"
    newer.write_text("#!/bin/sh\necho bpftrace v0.27.1\n")
    newer.chmod(0o755)
    assert "lacks" not in checks(host.examine(bpftrace=str(newer)))["privilege"]["detail"]
    host.identify(1000, sum(1 << bit for bit in (2, 38, 39)))
    assert "0.27.1 lacks CAP_DAC_OVERRIDE" in checks(host.examine(bpftrace=str(newer)))["privilege"]["detail"]


def test_a_container_is_told_how_to_be_started(host):
    host.contain()
    host.unmount_tracefs()
    document = host.examine(REFUSED)
    found = checks(document)
    assert "missing: CAP_BPF, CAP_PERFMON" in found["privilege"]["detail"]
    command = found["privilege"]["command"]
    assert command.startswith("docker run --cap-add BPF --cap-add PERFMON --cap-add DAC_READ_SEARCH ")
    assert "DAC_OVERRIDE" not in command  # docker leaves that one
    for flag in ("seccomp=unconfined", "apparmor=unconfined", "--pid=host", "/sys/kernel/tracing"):
        assert flag in command
    assert found["bpf"]["status"] == "missing"
    assert {name for name in ("seccomp", "apparmor", "namespaces") if found[name]["status"] == "warning"} == {
        "seccomp", "apparmor", "namespaces",
    }  # fmt: skip
    assert "may not mount it" in found["tracefs"]["detail"]
    assert verdict(document)["status"] == "missing"


def test_a_pod_is_told_its_security_context(host):
    host.contain()
    host.write("run/secrets/kubernetes.io/serviceaccount/token", "")
    privilege = checks(host.examine(REFUSED))["privilege"]
    assert privilege["command"] is None
    assert "capabilities: {add: [BPF, PERFMON, DAC_READ_SEARCH" in privilege["cure"]


def test_a_container_with_all_it_needs_is_let_through(host):
    host.contain()
    host.identify(0, ALL_CAPABILITIES, seccomp=2)
    document = host.examine(probes=TCP_PROBES)
    assert not_ok(document) == {"namespaces"}
    assert "BPF is let through" in checks(document)["seccomp"]["detail"]
    assert verdict(document)["status"] == "ok"


def test_root_of_a_user_namespace_is_not_the_hosts(host):
    host.write("proc/self/uid_map", "         0       1000          1\n")
    host.unmount_tracefs()
    document = host.examine(REFUSED)
    found = checks(document)
    assert "hold in this user namespace alone" in found["privilege"]["detail"]
    assert found["privilege"]["cure"] == "start it as the host's root, outside of this user namespace"
    # Nothing that is typed here helps: tracefs is not for a user namespace to mount.
    assert all(found[name]["command"] is None for name in ("privilege", "bpf", "tracefs", "namespaces"))
    assert found["fentry"] | {"detail": ""} == found["profile"] | {"name": "fentry", "detail": ""}
    assert found["fentry"]["cure"] == "first mend what refuses BPF"
    host.contain()
    assert "--userns=host" in checks(host.examine(REFUSED))["privilege"]["command"]


def test_a_kernel_that_is_locked_down(host):
    host.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
    document = host.examine(probes=TCP_PROBES)
    assert not_ok(document) == {"lockdown"}
    assert "lockdown=integrity" in checks(document)["lockdown"]["cure"]
    assert verdict(document)["status"] == "missing"
    host.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    assert verdict(host.examine(probes=TCP_PROBES))["status"] == "ok"


def test_lockdown_that_cannot_be_seen_is_unknown(host):
    (host.root / "sys/kernel/security/lockdown").unlink()
    found = checks(host.examine())["lockdown"]
    assert found["status"] == "unknown"
    assert found["command"] == "mount -t securityfs securityfs /sys/kernel/security"


def test_a_kernel_without_btf(host):
    (host.root / "sys/kernel/btf/vmlinux").unlink()
    document = host.examine(probes=TCP_PROBES)
    assert not_ok(document) == {"btf", "fentry"}
    assert "mount -t sysfs" in checks(document)["btf"]["command"]
    (lack,) = verdict(document)["missing"]
    assert lack["detail"].startswith("btf: ")
    host.configure(*(option for option in OPTIONS if option != "DEBUG_INFO_BTF"))
    found = checks(host.examine())
    assert found["btf"]["command"] is None
    assert "CONFIG_DEBUG_INFO_BTF" in found["btf"]["cure"]


@pytest.mark.parametrize(
    ("ids", "command"),
    [
        ("ID=debian", "apt-get install bpftrace"),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'", "apt-get install bpftrace"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "dnf install bpftrace"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "zypper install bpftrace"),
        ("ID=alpine", "apk add bpftrace"),
        ("ID=somethingelse", None),
    ],
)
def test_without_bpftrace_it_is_installed_by_the_distributions_own_manager(host, monkeypatch, ids, command):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    host.write("etc/os-release", f"{ids}\n")
    document = host.examine(bpftrace=None)
    found = checks(document)["bpftrace"]
    assert (found["status"], found["detail"]) == ("missing", "bpftrace is not installed")
    assert found["command"] == command
    assert document["host"]["bpftrace"] is None
    assert verdict(document)["variant"] is None
    host.identify(1000, 0)
    if command is not None:
        assert checks(host.examine(bpftrace=None))["bpftrace"]["command"] == f"sudo {command}"


def test_a_bpftrace_that_is_too_old(host, tmp_path):
    old = tmp_path / "bpftrace"
    old.write_text("#!/bin/sh\necho bpftrace v0.11.3\n")
    old.chmod(0o755)
    found = checks(host.examine(bpftrace=str(old)))["bpftrace"]
    assert "0.17 is the oldest supported" in found["detail"]
    assert found["cure"]


def test_families_are_told_by_features_not_by_versions(host):
    (host.root / "sys/bus/event_source/devices/kprobe").rmdir()
    host.configure(*(option for option in OPTIONS if not option.startswith("KPROBE")))
    document = host.examine(probes=TCP_PROBES)
    assert not_ok(document) == {"kprobe"}
    found = checks(document)["kprobe"]
    assert "/sys/bus/event_source/devices/kprobe is missing" in found["detail"]
    assert "config.gz has no CONFIG_KPROBES, CONFIG_KPROBE_EVENTS" in found["detail"]
    assert found["command"] is None
    host.write("proc/sys/kernel/ftrace_enabled", "0\n")
    switched = dataclasses.replace(ALLOWED, fentry=errno.ENODEV)
    assert checks(host.examine(switched))["fentry"]["command"] == "sysctl -w kernel.ftrace_enabled=1"


def test_what_the_kernel_answers_on_trial_counts_more_than_how_it_was_built(host):
    found = checks(host.examine(dataclasses.replace(ALLOWED, fentry=errno.EPERM)))["fentry"]
    assert found["status"] == "missing"
    assert "on trial: Operation not permitted" in found["detail"]


def test_a_kernel_that_counts_maps_as_locked_memory(host):
    host.identify(0, ALL_CAPABILITIES & ~(1 << 24))
    host.write(
        "proc/self/limits", "Max locked memory         65536                65536                bytes\n"
    )
    found = checks(host.examine(dataclasses.replace(ALLOWED, memory=errno.EPERM)))["memlock"]
    assert (found["status"], found["command"]) == ("warning", "ulimit -l unlimited")
    assert checks(host.examine(dataclasses.replace(ALLOWED, memory=0)))["memlock"]["status"] == "ok"


def test_hidden_symbols_are_a_warning(host):
    host.write("proc/sys/kernel/kptr_restrict", "2\n")
    document = host.examine(probes=TCP_PROBES)
    assert not_ok(document) == {"kptr-restrict"}
    assert checks(document)["kptr-restrict"]["command"] == "sysctl -w kernel.kptr_restrict=1"
    assert verdict(document)["status"] == "ok"


def test_a_probe_that_is_missing_is_named_with_what_would_bring_it(host):
    document = host.examine(probes=TCP_PROBES[1:])
    assert not_ok(document) == set()
    (lack,) = verdict(document)["missing"]
    assert "the kernel has no tracepoint:tcp:tcp_retransmit_skb" in lack["detail"]
    assert "ebpf-recipe show tcp-retrans" in lack["cure"]


def test_other_busy_programs_are_looked_for_once_for_all_recipes_that_take_samples(monkeypatch):
    asked = []
    monkeypatch.setattr("runner.quiet.others_cpu_ratio", lambda: asked.append(None) or 0.0)
    recipe = find_recipe("tcp-retrans").recipe
    sampling = recipe.model_copy(update={"sampling": Sampling(table="retransmits_total", hertz=49)})
    quiet = _Quiet()
    for each in (recipe, sampling, sampling):
        quiet(each)
    assert len(asked) == 1
    monkeypatch.setattr("runner.quiet.others_cpu_ratio", lambda: 1e9)
    with pytest.raises(HostRefused, match="other BPF programs are busy"):
        _Quiet()(sampling)


def test_a_host_of_which_nothing_is_told_is_no_crash(tmp_path):
    read_confinement(tmp_path)
    assert read_kernel_config(tmp_path, "6.1") is None
    document = examine([], bpftrace=FAKE_BPFTRACE, root=tmp_path, trials=lambda: REFUSED)
    assert {check["status"] for check in document["checks"]} >= {"missing", "unknown"}


def test_the_command_refuses_with_the_reason_and_what_to_type():
    done = ebpf_recipe("doctor", "tcp-retrans", "--bpftrace", "/nowhere/bpftrace")
    assert done.returncode == 4
    assert "tcp-retrans cannot run here: bpftrace: there is no bpftrace at '/nowhere/bpftrace'" in done.stderr
    assert "missing  bpftrace" in done.stdout
    document = json.loads(ebpf_recipe("doctor", "--json", "--bpftrace", "/nowhere/bpftrace").stdout)
    assert document["schema"] == "ebpf-recipe/doctor/v1"
    assert document["host"]["kernel"] == os.uname().release


def test_a_recipe_that_is_not_there_is_a_wrong_value():
    done = ebpf_recipe("doctor", "tcp-retrnas")
    assert done.returncode == 3
    assert "did you mean tcp-retrans" in done.stderr
    assert done.stdout == ""


def test_the_page_of_failures_names_no_command_that_is_not_there():
    page = (Path(__file__).parents[1] / "docs" / "troubleshooting.md").read_text()
    listed = ebpf_recipe("--help").stdout
    for line in page.splitlines():
        for piece in line.split("`ebpf-recipe ")[1:]:
            assert f"  {piece.split()[0].strip('`')} " in listed, piece
