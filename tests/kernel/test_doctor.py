"""`doctor` and `probes` on this host: what they say is what happens."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.bpftrace.version import find_bpftrace
from runner.doctor.checks import all_checks
from runner.doctor.recipes import judge_recipe
from runner.doctor.state import read_state
from runner.recipe.catalogue import find_recipe, recipe_ids
from runner.recipe.load import load_recipe
from tests.command import AS_NOBODY, EBPF_RECIPE, ebpf_recipe
from tests.laboratory.machine import has_kprobes

pytestmark = pytest.mark.kernel

UNMOUNTED = "umount -l /sys/kernel/tracing /sys/kernel/debug 2>/dev/null; "
PLAIN_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
"""Without the capability that AS_NOBODY has, which opens tracefs too."""
PROGRAM = """
struct pair { int a; };
int add_two(int a, const char *b, struct pair *p) { return a + (b != 0) + p->a; }
int main(int argc, char **argv) { struct pair p = {argc}; return add_two(argc, argv[0], &p) == 0; }
"""

USDT = r"""
int main(int argc, char **argv) {
  asm volatile("990: nop\n"
    ".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n.4byte 992f-991f, 994f-993f, 3\n"
    "991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte 0\n"
    ".asciz \"shop\"\n.asciz \"checkout\"\n.asciz \"-4@%0\"\n994: .balign 4\n.popsection\n"
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n.weak _.stapsdt.base\n"
    ".hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n" :: "nor"(argc));
  return 0;
}
"""


def without_tracefs(command):
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", UNMOUNTED + command],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def as_nobody():
    """Run the command as somebody who may read this checkout and nothing of the kernel's."""

    def run(*arguments):
        return subprocess.run(
            [*PLAIN_NOBODY, EBPF_RECIPE, *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    if run("--version").returncode != 0:
        pytest.skip("nobody may not read this checkout")
    return run


def test_every_recipe_can_run(bpftrace):
    done = ebpf_recipe("doctor", "--json", "--bpftrace", bpftrace)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [recipe["id"] for recipe in document["recipes"]] == recipe_ids()
    absent = set() if has_kprobes() else {"vfs-read-latency"}
    runnable = {each["id"] for each in document["recipes"] if each["status"] == "ok" and each["variant"]}
    assert runnable == set(recipe_ids()) - absent
    assert document["host"]["bpftrace"] == str(find_bpftrace(bpftrace))
    assert ebpf_recipe("doctor", "--bpftrace", bpftrace).returncode == 0


def test_the_matrix_of_this_hosts_document_says_what_doctor_says_here(bpftrace, tmp_path):
    document = json.loads(ebpf_recipe("doctor", "--json", "--bpftrace", bpftrace).stdout)
    (tmp_path / "host.json").write_text(json.dumps(document))
    done = ebpf_recipe("doctor", "--matrix", str(tmp_path / "host.json"), "-f", "json")
    assert done.returncode == 0, done.stderr
    (group,) = json.loads(done.stdout)["groups"]
    told = [(each["id"], each["status"], each["variant"], each["reason"]) for each in document["recipes"]]
    assert [(c["id"], c["status"], c["variant"], c["reason"]) for c in group["recipes"]] == told
    assert group["run"] > 0


@pytest.mark.skipif(has_kprobes(), reason="this kernel has kprobes")
def test_what_needs_kprobes_names_what_measures_the_like(bpftrace):
    told = "`ebpf-recipe run syscall-latency --syscall read` measures the same reads"
    for arguments in (("run", "vfs-read-latency", "-d", "1s"), ("doctor", "vfs-read-latency")):
        done = ebpf_recipe(*arguments, "--bpftrace", bpftrace)
        assert done.returncode == 4
        assert "not kprobe: missing here: kprobe:vfs_read" in done.stderr
        assert told in done.stderr
    assert told in ebpf_recipe("doctor", "--bpftrace", bpftrace).stdout


def test_families_are_there_where_bpftrace_attaches_them(bpftrace):
    document = json.loads(ebpf_recipe("doctor", "--json", "--bpftrace", bpftrace).stdout)
    status = {check["name"]: check["status"] for check in document["checks"]}
    libc = json.loads(ebpf_recipe("probes", "uprobe:libc:malloc", "--json", "--bpftrace", bpftrace).stdout)
    for family, probe in {
        "tracepoint": "tracepoint:tcp:tcp_probe",
        "kprobe": "kprobe:vfs_read",
        "fentry": "kfunc:vfs_read",
        "uprobe": libc[0]["probe"],
        "profile": "profile:hz:9",
    }.items():
        # The program ends by itself; bpftrace 0.17 goes on without probes, so that it must say what it attached.
        done = subprocess.run(
            [bpftrace, "-e", f"{probe} {{ @ = count(); }} interval:ms:100 {{ exit(); }}"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        attaches = done.returncode == 0 and "Error attaching" not in done.stderr
        assert attaches == (status[family] == "ok"), (family, done.stderr)


def test_the_command_that_it_shows_mends_what_is_missing(bpftrace):
    doctor = f"{EBPF_RECIPE} doctor tcp-retrans --bpftrace {bpftrace}"
    done = without_tracefs(f"{doctor} --json")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    (lack,) = document["recipes"][0]["missing"]
    assert lack["command"] == "mount -t tracefs tracefs /sys/kernel/tracing"
    assert lack["command"] in done.stderr
    mended = without_tracefs(
        f"{lack['command']} && {doctor} && {EBPF_RECIPE} run tcp-retrans -d 300ms --bpftrace {bpftrace} -f json"
    )
    assert mended.returncode == 0, mended.stderr
    assert '"grade"' in mended.stdout


def test_nobody_is_told_what_could_not_be_looked_at_and_what_to_type(bpftrace, as_nobody):
    done = as_nobody("doctor", "tcp-retrans", "--bpftrace", bpftrace)
    assert done.returncode == 4
    assert "tracing needs root" in done.stderr
    expected = "ebpf-recipe run tcp-retrans --sudo" if shutil.which("sudo") else "su -c"
    assert expected in done.stderr
    assert "unknown  tracefs" in done.stdout
    assert "unknown  bpf" in done.stdout
    # It knows the variant all the same.
    assert "tracepoint: it needs nothing special" in done.stdout


def test_root_without_capabilities_is_told_which(bpftrace):
    done = subprocess.run(
        ["setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin", EBPF_RECIPE, "doctor", "--json", "--bpftrace", bpftrace],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert "missing: CAP_BPF, CAP_PERFMON" in found["privilege"]["detail"]
    assert found["bpf"]["status"] == "missing"


def test_a_recipe_whose_only_probe_is_missing_cannot_run(bpftrace, tmp_path):
    loaded = find_recipe("tcp-retrans")
    text = loaded.path.read_text().replace(
        "tracepoint:tcp:tcp_retransmit_skb", "tracepoint:tcp:tcp_no_such_event"
    )
    recipe = tmp_path / "net" / loaded.path.name
    recipe.parent.mkdir()
    recipe.write_text(text)
    found = find_bpftrace(bpftrace)
    verdict = judge_recipe(load_recipe(recipe, loaded.template_path), all_checks(read_state(), found), found)
    assert verdict["status"] == "missing"
    (lack,) = verdict["missing"]
    assert "the kernel has no tracepoint:tcp:tcp_no_such_event" in lack["detail"]
    assert lack["cure"]


def test_a_recipe_that_is_missing_a_probe_exits_with_4(bpftrace, tmp_path, monkeypatch):
    loaded = find_recipe("tcp-retrans")
    folder = tmp_path / "net"
    folder.mkdir()
    text = loaded.path.read_text().replace(
        "tracepoint:tcp:tcp_retransmit_skb", "tracepoint:tcp:tcp_no_such_event"
    )
    (folder / "tcp-retrans.yaml").write_text(text)
    (folder / "tcp-retrans.bt.j2").write_bytes(loaded.template_path.read_bytes())
    monkeypatch.setattr("runner.recipe.catalogue.data_dir", lambda _: tmp_path)
    done = ebpf_recipe("doctor", "tcp-retrans", "--bpftrace", bpftrace)
    assert done.returncode == 4
    assert "the kernel has no tracepoint:tcp:tcp_no_such_event" in done.stderr
    assert "ebpf-recipe show tcp-retrans" in done.stderr


def test_probes_are_those_that_bpftrace_lists(bpftrace):
    for pattern in ("tracepoint:tcp:*", "tracepoint:syscalls:sys_enter_open*"):
        ours = [p["probe"] for p in json.loads(ebpf_recipe("probes", pattern, "--json").stdout)]
        theirs = subprocess.run([bpftrace, "-l", pattern], capture_output=True, text=True, check=True).stdout
        assert ours == sorted(line for line in theirs.splitlines() if line.startswith("tracepoint:"))


def test_fields_are_those_that_bpftrace_shows(bpftrace):
    done = subprocess.run(
        [bpftrace, "-lv", "tracepoint:sched:sched_switch"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.partition("tracepoint:sched:sched_switch\n")[2].splitlines()
    theirs = [line.split()[-1].partition("[")[0] for line in lines if line.startswith("    ")]
    (probe,) = json.loads(ebpf_recipe("probes", "tracepoint:sched:sched_switch", "--json").stdout)
    assert [argument["name"] for argument in probe["arguments"]] == theirs
    assert {"name": "prev_comm", "type": "char[16]"} in probe["arguments"]


def test_functions_of_a_program_with_their_arguments(bpftrace, tmp_path):
    source = tmp_path / "program.c"
    source.write_text(PROGRAM)
    program = tmp_path / "program"
    subprocess.run(["gcc", "-g", "-O0", "-o", str(program), str(source)], check=True)
    asked = ("probes", f"uprobe:{program}:add_*", "--json", "--bpftrace", bpftrace)
    (probe,) = json.loads(ebpf_recipe(*asked).stdout)
    assert probe["probe"] == f"uprobe:{program}:add_two"
    described = subprocess.run(
        [bpftrace, "-lv", f"uprobe:{program}:add_two"], capture_output=True, text=True, check=True
    )
    if "No DWARF found" in described.stderr:
        assert probe["arguments"] is None
    else:
        assert [a["name"] for a in probe["arguments"]] == ["a", "b", "p"]
        assert probe["arguments"][0]["type"] == "int"
    done = ebpf_recipe("probes", f"uprobe:{program}:ad_two", "--bpftrace", bpftrace)
    assert done.returncode == 4
    assert f"near: uprobe:{program}:add_two" in done.stderr


def test_usdt_probes_of_a_program(bpftrace, tmp_path):
    source = tmp_path / "program.c"
    source.write_text(USDT)
    program = tmp_path / "program"
    subprocess.run(["gcc", "-o", str(program), str(source)], check=True)
    done = ebpf_recipe("probes", f"usdt:{program}:*", "--json", "--bpftrace", bpftrace)
    assert [probe["probe"] for probe in json.loads(done.stdout)] == [f"usdt:{program}:shop:checkout"]
    done = ebpf_recipe("probes", f"usdt:{program}:shop:chekout", "--bpftrace", bpftrace)
    assert done.returncode == 4
    assert f"near: usdt:{program}:shop:checkout" in done.stderr


def test_a_library_is_named_without_its_path(bpftrace):
    probes = json.loads(ebpf_recipe("probes", "uprobe:libc:malloc*", "--json", "--bpftrace", bpftrace).stdout)
    paths = {probe["probe"].split(":")[1] for probe in probes}
    assert len(paths) == 1
    assert Path(paths.pop()).is_file()
    assert any(probe["probe"].endswith(":malloc") for probe in probes)


def test_nobody_finds_tracepoints_too(as_nobody):
    done = as_nobody("probes", "tracepoint:tcp:tcp_retransmit_skb", "--json")
    assert done.returncode == 0, done.stderr
    (theirs,) = json.loads(done.stdout)
    (ours,) = json.loads(ebpf_recipe("probes", "tracepoint:tcp:tcp_retransmit_skb", "--json").stdout)
    assert theirs["probe"] == "tracepoint:*:tcp_retransmit_skb"
    assert theirs["arguments"] == ours["arguments"]
    assert "categories, system calls and some fields are not known" in done.stderr


def test_a_capability_that_opens_tracefs_shows_it_to_nobody():
    done = subprocess.run(
        [*AS_NOBODY, EBPF_RECIPE, "doctor", "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 4
    found = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert (found["tracefs"], found["privilege"]) == ("ok", "missing")
