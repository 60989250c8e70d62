"""`doctor --matrix` on recorded hosts and edited copies of them: the doctor's answers, and no host is here."""

import json
import re
import time
from pathlib import Path

import pytest
from jsonschema import validate

from runner.doctor.document import doctor_schema
from runner.doctor.examine import examine
from runner.doctor.fleet import Fleet
from runner.doctor.matrix import make_matrix
from runner.doctor.matrix_document import matrix_schema
from runner.host.trials import Trials
from runner.recipe.catalogue import find_recipe, recipe_ids
from runner.report.doctor_matrix import cell_words, format_matrix, markdown_of_matrix
from tests.command import FAKE_BPFTRACE, ebpf_recipe

HOSTS = Path(__file__).parent / "hosts"
RELEASES = ("0.17.0", "0.23.2", "0.27.1")


def doctor_of(release="0.23.2", name=None, **changes):
    """Return a recorded document, as another host's where it is given a name."""
    document = json.loads((HOSTS / f"doctor-{release}.json").read_text())
    facts = document["facts"]
    if name is not None:
        facts["hostname"] = document["host"]["hostname"] = name
        facts["boot_id"] = f"boot of {name}"
    for key, value in changes.items():
        facts[key] = document["host"][key] = value
    return document


def facts_of(recipe="tcp-retrans-0.17.0"):
    return json.loads((HOSTS / f"facts-{recipe}.json").read_text())


def check(document, name):
    return next(each for each in document["checks"] if each["name"] == name)


def matrix_of(*documents, recipes=None):
    fleet = Fleet()
    for place, document in enumerate(documents):
        fleet.add(json.dumps(document).encode(), f"{place}.json")
    matrix = make_matrix(recipe_ids() if recipes is None else recipes, fleet.hosts, fleet.problems)
    validate(json.loads(json.dumps(matrix)), matrix_schema())
    return matrix


def cells(group):
    return {cell["id"]: cell for cell in group["recipes"]}


def words(matrix, recipe):
    (group,) = matrix["groups"]
    return cell_words(cells(group)[recipe])


@pytest.mark.parametrize("release", RELEASES)
def test_a_recorded_host_is_told_as_its_doctor_told_it(release):
    document = doctor_of(release)
    validate(document, doctor_schema())
    (group,) = matrix_of(document, recipes=[each["id"] for each in document["recipes"]])["groups"]
    told = [(each["id"], each["status"], each["variant"], each["reason"]) for each in document["recipes"]]
    assert [(c["id"], c["status"], c["variant"], c["reason"]) for c in group["recipes"]] == told
    lacks = [[lack["lacks"] for lack in each["missing"]] for each in document["recipes"]]
    assert [cell["lacks"] for cell in group["recipes"]] == lacks
    assert (group["bpftrace"], group["hosts"], group["source"]) == (release, ["vm"], "doctor")


@pytest.mark.parametrize("trials", [Trials(0, 0, 0, None), Trials(1, 1, 1, 1)], ids=["let", "refused"])
def test_this_host_is_told_as_its_doctor_tells_it(monkeypatch, trials):
    monkeypatch.setattr(
        "runner.quiet.check_quiet", lambda _: None
    )  # what runs beside this test is of a moment
    document = examine(recipe_ids(), bpftrace=FAKE_BPFTRACE, trials=lambda: trials)
    validate(json.loads(json.dumps(document)), doctor_schema())
    (group,) = matrix_of(document)["groups"]
    for verdict, cell in zip(document["recipes"], group["recipes"], strict=True):
        assert cell["lacks"] == list(dict.fromkeys(lack["lacks"] for lack in verdict["missing"]))
        shared = ("id", "status", "variant", "reason")
        assert [cell[key] for key in shared] == [verdict[key] for key in shared]


def test_a_document_keeps_all_that_guards_ask():
    asked = {
        g.probe for each in recipe_ids() for g in find_recipe(each).recipe.guards() if g.probe is not None
    }
    assert set(doctor_of()["facts"]["probes"]) == asked
    assert {cell["status"] for group in matrix_of(doctor_of())["groups"] for cell in group["recipes"]} == {
        "ok", "missing",
    }  # fmt: skip


def test_what_a_host_lacks_is_named():
    document = doctor_of()
    probes = document["facts"]["probes"]
    probes["tracepoint:tcp:tcp_retransmit_skb"] = None
    matrix = matrix_of(document)
    assert words(matrix, "tcp-retrans") == "lacks tracepoint:tcp:tcp_retransmit_skb"
    assert words(matrix, "vfs-read-latency") == "lacks fentry:vfs_read or kprobe:vfs_read"
    assert words(matrix, "runqlat") == "runs (tracepoint)"
    probes["kprobe:vfs_read"] = []
    assert words(matrix_of(document), "vfs-read-latency") == "runs (kprobe)"


def test_what_is_missing_leads_to_another_variant_or_to_none():
    document = doctor_of()
    probes = document["facts"]["probes"]
    probes["tracepoint:block:block_io_start"] = None
    probes["tracepoint:skb:kfree_skb"].remove("reason")
    matrix = matrix_of(document)
    chosen = cells(matrix["groups"][0])["bitesize"]
    assert chosen["variant"] not in (None, "io-start")
    assert "not io-start: missing here: tracepoint:block:block_io_start" in chosen["reason"]
    assert words(matrix, "packet-drops") == "lacks the field reason of tracepoint:skb:kfree_skb"


@pytest.mark.parametrize("name", ["lockdown", "privilege", "tracefs", "bpf"])
def test_a_check_that_blocks_keeps_all_recipes_from_running(name):
    document = doctor_of()
    check(document, name).update(status="missing", blocks=True)
    (group,) = matrix_of(document)["groups"]
    assert group["run"] == 0
    assert all(name in cell["lacks"] for cell in group["recipes"])


def test_a_host_without_bpftrace_has_a_column():
    document = doctor_of(bpftrace=None)
    document["facts"] = None
    check(document, "bpftrace").update(status="missing", blocks=True)
    matrix = matrix_of(document)
    assert words(matrix, "runqlat") == "lacks bpftrace"
    assert "no bpftrace" in format_matrix(matrix, in_color=False)


def test_a_kernel_without_btf():
    document = doctor_of()
    check(document, "btf")["status"] = "missing"
    document["facts"]["btf"] = False
    assert words(matrix_of(document), "tcp-retrans") == "lacks btf"
    facts = facts_of()
    facts["btf"] = False
    assert words(matrix_of(facts), "tcp-retrans") == "lacks BTF"


def test_facts_alone_leave_other_recipes_and_checks_unknown():
    matrix = matrix_of(facts_of())
    assert words(matrix, "tcp-retrans") == "runs (tracepoint)"
    assert re.fullmatch(r"not known: tracepoint:block:\w+( and \d+ more are| is) not in the facts",
                        words(matrix, "biolatency"))  # fmt: skip
    (group,) = matrix["groups"]
    assert group["not_looked_at"] == ["privilege", "bpf", "perf", "tracefs", "lockdown", "profile"]
    assert "not looked at: privilege, bpf, perf" in format_matrix(matrix, in_color=False)
    # It has guards for nothing, and takes samples: whether the host gives them is not in the facts.
    assert words(matrix, "cpu-profile") == "not known: profile: a facts file does not tell"
    assert group["run"] + group["lack"] + group["not_known"] == len(recipe_ids())


def test_a_host_that_facts_call_too_old():
    facts = facts_of()
    facts["bpftrace"] = "0.14.1"
    assert words(matrix_of(facts), "tcp-retrans") == "lacks bpftrace"


def test_several_facts_files_of_one_host_are_one():
    both = matrix_of(facts_of(), facts_of("cpu-profile-0.17.0"))
    assert both["hosts"] == 1
    other = facts_of("biolatency-0.23.2")
    assert matrix_of(facts_of(), other)["hosts"] == 2  # another release: what would run is another thing
    other["bpftrace"] = "0.17.0"
    joined = matrix_of(facts_of(), other)
    assert joined["hosts"] == 1
    assert words(joined, "biolatency") == "runs (tracepoint)"
    assert words(joined, "tcp-retrans") == "runs (tracepoint)"


def test_facts_beside_a_doctors_document_add_to_it():
    document = doctor_of("0.17.0")
    facts = facts_of()
    facts["boot_id"] = document["facts"]["boot_id"]
    for probe in facts["probes"]:
        del document["facts"]["probes"][probe]
    for order in ((facts, document), (document, facts)):
        matrix = matrix_of(*order)
        assert (matrix["hosts"], matrix["groups"][0]["source"]) == (1, "doctor")
        assert words(matrix, "tcp-retrans") == "runs (tracepoint)"


def test_files_that_contradict_each_other_are_told_and_settle_nothing():
    first, second = facts_of(), facts_of()
    second["probes"]["tracepoint:tcp:tcp_retransmit_skb"] = None
    matrix = matrix_of(first, second, first)
    assert [each["file"] for each in matrix["problems"]] == ["1.json"]
    assert "tracepoint:tcp:tcp_retransmit_skb" in matrix["problems"][0]["message"]
    assert words(matrix, "tcp-retrans") == "not known: tracepoint:tcp:tcp_retransmit_skb is not in the facts"


def test_a_second_doctor_of_a_host_has_to_say_the_same():
    second = doctor_of()
    assert matrix_of(doctor_of(), second)["problems"] == []
    check(second, "privilege").update(status="missing", blocks=True)
    matrix = matrix_of(doctor_of(), second)
    assert [each["file"] for each in matrix["problems"]] == ["1.json"]
    assert words(matrix, "runqlat") == "runs (tracepoint)"


def test_hosts_that_are_alike_are_one_column():
    alike = [doctor_of(name=f"web-{n}", cpus=n) for n in range(1, 4)]
    other = doctor_of(name="db-1", kernel="5.10.0-30-amd64")
    lacking = doctor_of(name="web-4")
    lacking["facts"]["probes"]["tracepoint:tcp:tcp_retransmit_skb"] = None
    matrix = matrix_of(other, *alike, lacking)
    assert [group["hosts"] for group in matrix["groups"]] == [
        ["web-1", "web-2", "web-3"],
        ["db-1"],
        ["web-4"],
    ]
    counted = {each["id"]: each for each in matrix["recipes"]}
    assert counted["tcp-retrans"] == {"id": "tcp-retrans", "run": 4, "lack": 1, "not_known": 0}
    text = format_matrix(matrix, in_color=False)
    assert "web-1 and 2 alike" in text
    assert "3 hosts: web-1, web-2, web-3" in text
    assert re.search(r"^tcp-retrans +4 of 5 ", text, re.MULTILINE)
    assert "works" not in text


def test_a_narrow_terminal_has_blocks_of_hosts():
    matrix = matrix_of(*(doctor_of(name=f"host-{n}", kernel=f"6.{n}.0") for n in range(5)))
    lines = format_matrix(matrix, in_color=False, width=80).splitlines()
    assert max(map(len, lines[: lines.index("")])) <= 80
    # What a pipe searches for is not cut in two.
    assert "lacks fentry:vfs_read or kprobe:vfs_read" in format_matrix(matrix, in_color=False)
    assert sum(line.startswith("runqlat ") for line in lines) == 3
    assert (
        sum(
            line.startswith("runqlat ")
            for line in format_matrix(matrix, in_color=False, width=300).splitlines()
        )
        == 1
    )


def test_names_of_others_are_no_markup():
    text = markdown_of_matrix(matrix_of(doctor_of(name="a|b\n<b>@all", kernel="6|1")))
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("| ")}) == 1
    assert "<b>" not in text
    assert "@all" not in text
    assert "\x1b" not in format_matrix(matrix_of(doctor_of(name="a\x1b[31mb")), in_color=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("checks"), "is damaged: checks: Field required"),
        (lambda d: d["checks"][0].update(status="fine"), "is damaged: checks.0.status"),
        (lambda d: d["facts"].update(hostname="another"), "its facts are of another host"),
        (lambda d: d["facts"]["probes"].update({"kprobe:f": 3}), "holds no facts about a host: probes"),
        (lambda d: d["facts"].update(schema="x"), "its schema is not ebpf-recipe/facts/v1"),
        (lambda d: d["host"].update(bpftrace="new"), "'new': that is no release of bpftrace"),
        (lambda d: d.update(schema="ebpf-recipe/capture/v1"), "neither a doctor's document nor facts"),
        (lambda d: d.update(schema=None), "it has no schema"),
        (lambda d: d.update(facts=[]), "is damaged: facts"),
    ],
)
def test_damaged_and_foreign_files_are_told_by_name_and_the_rest_runs(tmp_path, change, said):
    document = doctor_of()
    change(document)
    (tmp_path / "bad.json").write_text(json.dumps(document))
    (tmp_path / "good.json").write_text(json.dumps(doctor_of("0.17.0")))
    done = ebpf_recipe("doctor", "--matrix", str(tmp_path), "-f", "json")
    assert done.returncode == 6
    assert f"not used: {tmp_path}/bad.json" in done.stderr
    assert said in done.stderr
    matrix = json.loads(done.stdout)
    assert matrix["hosts"] == 1
    assert [each["file"] for each in matrix["problems"]] == [f"{tmp_path}/bad.json"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 5000, b'{"schema": 3}'])
def test_what_is_no_document_is_no_crash(tmp_path, raw):
    (tmp_path / "a.json").write_bytes(raw)
    done = ebpf_recipe("doctor", "--matrix", str(tmp_path / "a.json"))
    assert done.returncode == 6
    assert f"not used: {tmp_path}/a.json" in done.stderr
    assert "no file tells of a host" in done.stderr
    assert done.stdout == ""


def test_the_command_takes_files_and_directories(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.json").write_text(json.dumps(doctor_of(name="in-a-folder")))
    recorded = str(HOSTS / "doctor-0.27.1.json")
    done = ebpf_recipe("doctor", "--matrix", recorded, str(tmp_path / "sub"))
    assert done.returncode == 0, done.stderr
    assert "in-a-folder" in done.stdout
    assert "bpftrace 0.27.1" in done.stdout
    done = ebpf_recipe(
        "doctor", "--matrix", recorded, str(tmp_path / "empty"), "/nowhere.json", "-f", "markdown"
    )
    assert done.returncode == 6
    assert "has no file whose name ends in .json" in done.stderr
    assert "/nowhere.json: No such file or directory" in done.stderr
    assert "| `runqlat` | 1 of 1 | runs (tracepoint) |" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--matrix",), ("-f", "json"), ("runqlat", "biolatency"), ("--matrix", "x.json", "--json", "-f", "table"),
        ("--matrix", "x.json", "--bpftrace", "y"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_a_mistake_of_usage(arguments):
    assert ebpf_recipe("doctor", *arguments).returncode == 2


def test_the_schema_is_printed():
    assert json.loads(ebpf_recipe("schema", "doctor-matrix").stdout)["$id"] == "ebpf-recipe/doctor-matrix/v1"


def test_a_fleet_of_500_hosts_takes_seconds():
    documents = [
        json.dumps(doctor_of(RELEASES[n % 3], name=f"host-{n}", kernel=f"6.{n % 7}.0")).encode()
        for n in range(450)
    ]
    # No two of these have the same probes.
    for n in range(50):
        document = doctor_of(name=f"odd-{n}")
        document["facts"]["probes"][f"kprobe:own_{n}"] = []
        documents.append(json.dumps(document).encode())
    began = time.process_time()
    fleet = Fleet()
    for place, raw in enumerate(documents):
        fleet.add(raw, f"{place}.json")
    matrix = make_matrix(recipe_ids(), fleet.hosts, fleet.problems)
    format_matrix(matrix, in_color=False)
    assert time.process_time() - began < 5
    assert (matrix["hosts"], len(matrix["groups"])) == (500, 7 * 3 + 1)
