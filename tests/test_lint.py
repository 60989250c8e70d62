"""Each rule of lint: one change to a good recipe breaks it, at the place that is named; all of it at once."""

import json
import re
import shutil
from pathlib import Path

import pytest

from runner.recipe.finding import RULES
from runner.recipe.lint.check import lint
from tests.command import ebpf_recipe

HERE = Path(__file__).parent / "lint"
VALID = HERE / "valid"
RECIPE, TEMPLATE, OWN = "recipes/app/seeks.yaml", "templates/app/seeks.bt.j2", "templates/include/own.bt.j2"
HYPOTHESIS = "recipes/hypotheses/many-seeks.yaml"
REMEDY = "recipes/remedies/fewer-seeks.yaml"
BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{below}'] * 9)}]\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)

QUOTED = '"6.18"'
COST = f"{{bpftrace: 0.27.1, kernel: {QUOTED}, event: seek, ns: 512}}"

# Rule, file, what is replaced, by what, what stands at the place that is named (nothing: anywhere), what is said.
CASES = [
    ("unreadable", RECIPE, "", "\0" * 300_000, "", "it is larger than 256 KiB"),
    ("yaml-syntax", RECIPE, "layer: app", "layer: [app", ": detail", "expected"),
    ("yaml-syntax", RECIPE, "2026-11-24", "2026-02-30", "2026-02-30", "day is out of range for month"),
    ("yaml-syntax", RECIPE, "layer: app", "? [layer]\n: app", "[layer]\n", "a key is a text"),
    ("yaml-syntax", RECIPE, "layer: app", "layer: *nowhere", "*nowhere", "undefined alias"),
    ("yaml-syntax", RECIPE, "layer: app", "layer: !!python/object:os.system app", "!!python", "constructor"),
    ("yaml-duplicate-key", RECIPE, "stage: detail", "stage: detail\nlayer: cpu", "layer: cpu", "'layer' stands twice, first in line 5"),
    ("yaml-expansion", RECIPE, "schema: 1\n", f"schema: 1\n{BOMB}", "", "with its aliases followed it has"),
    ("yaml-expansion", RECIPE, "layer: app", "layer: &a [*a]", "&a [*a]", "an alias leads to what it stands in"),
    ("yaml-expansion", RECIPE, "layer: app", f"layer: {'[' * 200_000}", "[", "nested more than 40 levels deep"),
    ("yaml-expansion", RECIPE, "layer: app", f"layer: {'[' * 45}{']' * 45}", "[[[[[[]", "nested more than 40 levels deep"),
    ("yaml-expansion", RECIPE, "layer: app", f"layer:\n{'- ' * 100_000}", "- ", "nested more than 40 levels deep"),
    ("model", RECIPE, "layer: app", "layer: disk", "layer: disk", "layer: Input should be 'cpu'"),
    ("model", RECIPE, "table: seeks,", "table: nothing,", "primary:", "no output is called nothing"),
    ("model", RECIPE, "A map update for each seek.}", f"A map update., measured: [{COST}, {COST}]}}", "overhead:", "measured: 0.27.1 on 6.18 stands twice"),
    ("model", RECIPE, "A map update for each seek.}", f"A map update., measured: [{COST}, {COST.replace('27', '23').replace('seek', 'call')}]}}", "overhead:", "costs of different events"),
    ("model", RECIPE, "A map update for each seek.}", f"A map update., measured: [{COST.replace('512', '0')}]}}", "ns: 0", "ns: Input should be greater than or equal to 1"),
    ("model", RECIPE, "A map update for each seek.}", f"A map update., measured: [{COST.replace('ns: 512', 'ns: 512, slowdown: -0.7')}]}}", "slowdown:", "slowdown: Input should be greater than -0.5"),
    ("model", RECIPE, "A map update for each seek.}", f"A map update., measured: [{COST.replace(QUOTED, '6.18')}]}}", "kernel:", "kernel: Input should be a valid string"),
    ("id-file-name", RECIPE, "id: seeks", "id: seekers", "id: seekers", "id is 'seekers', the file is called 'seeks'"),
    ("layer-folder", RECIPE, "layer: app", "layer: fs", "layer: fs", "the layer is fs, the folder is called app"),
    ("placeholder", RECIPE, "A seek that fails counts too.", "TODO", "TODO", "'TODO' stands where a text belongs"),
    ("placeholder", RECIPE, "A seek that fails counts too.", "None.", "None.", "'None.' says nothing"),
    ("placeholder", RECIPE, "A map update for each seek.", "<why it costs>", "reason: <why", "'<why it costs>' stands"),
    ("placeholder", RECIPE, "https://man7.org/linux", "https://example.com/linux", '"https://example', "'example.com'"),
    ("title-style", RECIPE, "title: Seeks by process, and where to", "title: seeks by process.", "title: seeks", "a title begins with a capital"),
    ("description-verb", RECIPE, "Counts calls", "The calls", "description:", "begins with Counts, Measures, Samples or Traces"),
    ("reference-missing", RECIPE, '["https://man7.org/linux/man-pages/man2/lseek.2.html"]', "[]", "references:", "names no page"),
    ("related-unknown", RECIPE, "id: tcp-retrans", "id: tcp-retrains", "id: tcp-retrains", "there is no recipe 'tcp-retrains'"),
    ("unit-kind", RECIPE, "unit: calls", "unit: us", "unit: us", "a count has no unit us"),
    ("unit-none", RECIPE, "unit: bytes", "unit: none", "unit: none", "offsets has no unit"),
    ("primary-statistic", RECIPE, "statistic: rate", "statistic: mean-log2", "statistic:", "mean-log2 is had of a histogram, seeks is a count"),
    ("above-pair", RECIPE, "direction: lower\n", "direction: lower\n    above_of: {table: offsets, parameter: to-fd}\n", "above_of: {table", "offsets is no histogram of times"),
    ("primary-direction", RECIPE, "better: lower", "better: higher", "better: higher", "of the output seeks it is lower"),
    ("hypothesis-unknown", RECIPE, "hypothesis: many-seeks", "hypothesis: many-seekers", "hypothesis: many-seekers", "there is no hypothesis 'many-seekers': did you mean many-seeks"),
    ("evidence-condition", RECIPE, "seeks.rate >= 1000 calls/s", "seeks.p99 >= 10ms", '"seeks.p99', "seeks is a count and has no p99"),
    ("evidence-condition", RECIPE, "seeks.total = 0", "seeks.total = $sloo", "seeks.total", "it knows $slo, $tail, $tenth and $enough"),
    ("evidence-condition", RECIPE, "seeks.total = 0", "seeks.total", "seeks.total", "here stands a comparison"),
    ("evidence-condition", RECIPE, "seeks.total = 0", "seeks.total not worse by 10%", "seeks.total", "needs two sets of captures"),
    ("model", HYPOTHESIS, "{title: Fewer,", "{title: Fewer, remedy: fewer-seeks,", "{title: Fewer", "it has a remedy, or the title of advice"),
    ("remedy-unknown", HYPOTHESIS, "remedy: fewer-seeks", "remedy: fewer-seek", "remedy: fewer-seek,", "there is no remedy 'fewer-seek': did you mean fewer-seeks"),
    ("remedy-value", HYPOTHESIS, 'most: "7"', 'most: "70"', 'most: "70"', "70 is not from 1 to 9"),
    ("remedy-value", HYPOTHESIS, 'most: "7"', 'more: "7"', 'more: "7"', "fewer-seeks has no parameter 'more': did you mean most?"),
    ("remedy-value", HYPOTHESIS, "device: $device, ", "", "{remedy: fewer", "fewer-seeks needs a value for device"),
    ("model", REMEDY, "value: $MOST", "value: $LEAST", "schema", "there is no parameter for $LEAST"),
    ("model", REMEDY, "value: $MOST", "value: 3", "schema", "nothing uses the parameter most"),
    ("model", REMEDY, 'default: "3"', 'default: "30"', "{name: most", "its default: 30 is not from 1 to 9"),
    ("model", REMEDY, "{file: /sys", "{name: x, file: /sys", "{name: x", "a setting has one of the keys file, sysctl, name"),
    ("model", REMEDY, "measure: [seeks]", "measure: [seeks]\nadvice: Seek less.", "schema", "it has settings, or advice"),
    ("related-unknown", REMEDY, "[seeks]", "[seek]", "seek]", "there is no recipe 'seek': did you mean seeks?"),
    ("id-file-name", REMEDY, "id: fewer-seeks", "id: few-seeks", "id: few-seeks", "the file is called 'fewer-seeks'"),
    ("model", HYPOTHESIS, "$target", "$targets", "schema", "what is filled in is $target, $device, $cgroup"),
    ("model", HYPOTHESIS, "layer: app", "layer: disk", "layer: disk", "layer: Input should be 'cpu'"),
    ("related-unknown", HYPOTHESIS, "[seeks]", "[seek]", "seek]", "there is no recipe 'seek': did you mean seeks?"),
    ("hypothesis-unknown", HYPOTHESIS, "details: [seeks]", "details: [seeks]\nshows_as: [run-queues]", "run-queues]", "did you mean run-queue"),
    ("sign-unknown", HYPOTHESIS, "cpu-pressure", "cpu-pressed", "sign: cpu-pressed", "there is no sign 'cpu-pressed': did you mean cpu-pressure"),
    ("id-file-name", HYPOTHESIS, "id: many-seeks", "id: more-seeks", "id: more-seeks", "the file is called 'many-seeks'"),
    ("feature-unused", TEMPLATE, ' and not has("loops")', "", "loops:", 'no template asks has("loops")'),
    ("template-syntax", TEMPLATE, "}\n{% endif %}\n", "}\n", "", "Unexpected end of template"),
    ("template-syntax", TEMPLATE, "{{ own.note", "{{ own..note", "    {{ own..note", "expected name"),
    ("include-missing", TEMPLATE, "include/own.bt.j2", "include/owned.bt.j2", "include/owned", "there is no template 'include/owned.bt.j2'"),
    ("include-cycle", OWN, "", '{% import "app/seeks.bt.j2" as seeks %}\n', "app/seeks", "in a circle: app/seeks.bt.j2 → include/own.bt.j2 → app/seeks.bt.j2"),
    ("include-cycle", OWN, "", '{% include "include/own.bt.j2" %}\n', "include/own", "in a circle: include/own.bt.j2 → include/own.bt.j2"),
    ("include-dynamic", TEMPLATE, '"include/own.bt.j2"', '"include/" ~ "own.bt.j2"', '{% import "include/"', "named by a text"),
    ("path-outside", TEMPLATE, "include/own.bt.j2", "../templates/include/own.bt.j2", "../templates", "cannot be included"),
    ("path-outside", TEMPLATE, "include/own.bt.j2", "/etc/passwd", "/etc/passwd", "'/etc/passwd' cannot be included"),
    ("undefined-name", TEMPLATE, "params.to_fd", "params.fd", "params.fd", "params.fd: the recipe declares no such parameter"),
    ("undefined-name", TEMPLATE, "params.to_fd", 'params["to-fd"]', "/{{ params", "did you mean to_fd?"),
    ("undefined-name", TEMPLATE, "target.comm", "target.thread", "target.thread", "the recipe refuses --thread"),
    ("undefined-name", TEMPLATE, "target.comm", "target.uid", "target.uid", "there is no such filter"),
    ("undefined-name", TEMPLATE, 'has("whence")', 'has("when")', "when", "declares no when under features: did you mean whence?"),
    ("undefined-name", TEMPLATE, 'record("seeks"', 'record("seek"', 'seek"', "declares no seek as an output: did you mean seeks?"),
    ("undefined-name", TEMPLATE, 'variant == "exit"', 'variant == "exits"', "exits", "no variant 'exits'"),
    ("undefined-name", TEMPLATE, "own.note(", "own.notes(", "own.notes", "own.notes: own has note"),
    ("template-syntax", TEMPLATE, '"$offset")|indent(2)', "$offset)|indnt(4)", '    {{ record("offsets', "unexpected char '$'"),
    ("undefined-name", TEMPLATE, 'note("$offset")', "note(offset)", "offset)", "offset is not defined"),
    ("undefined-name", TEMPLATE, 'comm="$leader")|indent(2)', 'comm="$leader")|indnt(4)', "indnt", "Jinja2 has no filter indnt: did you mean indent?"),
    ("undefined-name", OWN, "{{ expression|code }}", "{{ params.to_fd }}", "params.to_fd", "a template that is imported sees only what it is given"),
    ("hand-written", TEMPLATE, "@last[tid] = $offset", "@last[tid] = max($offset)", "    @last", "max() is not exact"),
    ("hand-written", OWN, 'printf("', 'print(@last); printf("', "print(@last", "print() of a map is the runner's"),
    ("map-undeclared", TEMPLATE, "delete(@last[tid])", "delete(@lost[tid])", "@lost", "@lost is no output and no scratch map"),
    ("map-undeclared", RECIPE, 'scratch_maps: ["@last"]\n', "", "@last", "@last is no output and no scratch map"),
    ("map-unused", RECIPE, '["@last"]', '["@last", "@lost"]', '"@lost', "@lost is a scratch map that no program uses"),
    ("map-unused", TEMPLATE, '    {{ record("offsets", "$offset")|indent(2) }}\n', "", "", "@offsets is an output that nothing is recorded into"),
    ("render", TEMPLATE, 'comm="$leader")|indent', 'name="$leader")|indent', '    {{ record("seeks', "record('seeks'): it has no comm"),
    ("render", TEMPLATE, "{{ own.note", "{{ params.to_fd }} {{ own.note", "    {{ params", "through its matches"),
    ("render", OWN, "{{ expression|code }}", "{{ note(expression) }}", "printf", "a macro calls itself without an end"),
    ("render", TEMPLATE, "{{ own.note", "{{ 'x' * 10**9 }} {{ own.note", "", "a template has no powers"),
    ("render", TEMPLATE, "{{ own.note", "{{ 'x' * 1000000000 }} {{ own.note", "", "multiplies integers, and no texts"),
    ("render", TEMPLATE, "{{ own.note", "{{ 1 / 0 }} {{ own.note", "", "division by zero"),
    ("program-braces", TEMPLATE, "kprobe:ksys_lseek\n{", 'kprobe:ksys_lseek\n{{ "{{"|code }}', "", "the program of variant exit opens"),
    ("probe-unguarded", TEMPLATE, "kprobe:ksys_lseek", "kprobe:ksys_read", "ksys_read", "kprobe:ksys_read is asked for nowhere"),
    ("probe-unguarded", TEMPLATE, 'variant == "exit"', 'variant == "entry"', "ksys_lseek", "variant entry uses kprobe:ksys_lseek on hosts that do not have it"),
    ("probe-wildcard", TEMPLATE, "kprobe:ksys_lseek", "kprobe:k*", "k*", "kprobe:k* matches thousands"),
    ("wildcard-counted", TEMPLATE, "kprobe:ksys_lseek", "kprobe:ksys_*", "ksys_*", "is refused where it is much"),
    ("value-unused", TEMPLATE, '{{ params.to_fd.matches("args->fd") }}', "1", "{name: to-fd", "--to-fd is offered, and the program is the same"),
    ("value-unused", TEMPLATE, '{{ target.comm.matches("$leader_0", "$leader_1") }}', "1", "comm: the name", "--comm is offered"),
    ("variant-unreachable", RECIPE, ', when: [{probe: "kprobe:ksys_lseek"}]', "", "{id: entry", "no host gets the variant entry"),
]  # fmt: skip


@pytest.fixture
def catalogue(tmp_path):
    return Path(shutil.copytree(VALID, tmp_path / "catalogue"))


def change(catalogue, file, old, new):
    path = catalogue / file
    text = path.read_text()
    assert old in text, (file, old)
    path.write_text(new + text if not old else text.replace(old, new, 1))


def findings(*paths):
    """In this process: a start for each case would take most of the time."""
    return lint(map(Path, paths)).findings


def test_the_good_catalogue_has_nothing():
    assert findings(VALID) == ()


@pytest.mark.parametrize(
    ("rule", "file", "old", "new", "place", "text"),
    CASES,
    ids=[f"{each[0]}-{i}" for i, each in enumerate(CASES)],
)
def test_a_change_breaks_a_rule_at_its_place(catalogue, rule, file, old, new, place, text):
    change(catalogue, file, old, new)
    found = findings(catalogue)
    matching = [each for each in found if each.rule == rule and text in each.text]
    assert matching, found
    assert all(each.severity == RULES[each.rule] for each in found)
    shown = [rest_of(each) for each in matching]
    assert any(each.startswith(place) for each in shown), shown


def rest_of(finding):
    """What stands at the place of a finding."""
    line = Path(finding.path).read_text().split("\n")[finding.line - 1]
    return line[finding.column - 1 :] + "\n"


def test_what_is_in_the_wrong_place(catalogue):
    (catalogue / "recipes/stray.yaml").write_text("")
    (catalogue / "recipes/app/other.yml").write_text("")
    (catalogue / "templates/app/orphan.bt.j2").write_text("{% if %}")
    (catalogue / "recipes/app/linked.yaml").symlink_to("/etc/hostname")
    (catalogue / "templates/include/linked.bt.j2").symlink_to("/etc/hostname")
    change(catalogue, TEMPLATE, "include/own.bt.j2", "include/linked.bt.j2")
    (catalogue / "recipes/net").mkdir()
    shutil.copy(catalogue / RECIPE, catalogue / "recipes/net/seeks.yaml")
    found = {(each.rule, Path(each.path).name) for each in findings(catalogue)}
    assert found >= {
        ("layout", "stray.yaml"),
        ("layout", "other.yml"),
        ("template-orphan", "orphan.bt.j2"),
        ("template-syntax", "orphan.bt.j2"),
        ("path-outside", "linked.yaml"),
        ("path-outside", "seeks.bt.j2"),
        ("id-duplicate", "seeks.yaml"),
        ("template-missing", "seeks.yaml"),
    }


def test_an_id_of_ours_is_a_duplicate(catalogue):
    (catalogue / RECIPE).rename(catalogue / "recipes/app/tcp-retrans.yaml")
    (catalogue / TEMPLATE).rename(catalogue / "templates/app/tcp-retrans.bt.j2")
    change(catalogue, "recipes/app/tcp-retrans.yaml", "id: seeks", "id: tcp-retrans")
    (duplicate,) = [each for each in findings(catalogue) if each.rule == "id-duplicate"]
    assert re.search(r"there is another recipe tcp-retrans: .*recipes/net/tcp-retrans\.yaml", duplicate.text)


def test_every_rule_is_broken_by_some_test():
    here = Path(__file__)
    names = (here.name, "test_runbook_lint.py", "test_experiment_file.py")
    source = "".join(here.with_name(name).read_text() for name in names)
    assert [rule for rule in RULES if f'"{rule}"' not in source] == []


def test_every_rule_is_documented_and_nothing_else():
    text = (Path(__file__).parents[1] / "docs" / "lint.md").read_text()
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE))
    warned = {rule for rule, severity in RULES.items() if severity == "warning"}
    assert rows == RULES.keys() - warned
    for rule in warned:
        assert f"`{rule}` (" in text, rule


def test_many_mistakes_come_at_once_in_the_order_of_their_places():
    done = ebpf_recipe("lint", str(HERE / "invalid"))
    assert done.returncode == 1
    assert done.stdout.replace(f"{HERE}/", "") == (HERE / "expected.txt").read_text()


def test_all_names_that_nobody_declared_come_at_once_before_a_run(catalogue):
    change(catalogue, TEMPLATE, "params.to_fd", "params.fd")
    change(catalogue, TEMPLATE, "target.comm", "target.thread")
    change(catalogue, TEMPLATE, 'record("seeks"', 'record("seek"')
    change(catalogue, TEMPLATE, "delete(@last[tid])", "delete(@lost[tid])")
    done = ebpf_recipe("--recipes", str(catalogue), "render", "seeks", "--host", str(facts(catalogue)))
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert [re.search(r"seeks\.bt\.j2:(\d+):\d+: ", line)[1] for line in lines] == ["5", "9", "11", "22"]


def facts(folder):
    path = folder / "facts.json"
    document = {
        "schema": "ebpf-recipe/facts/v1", "hostname": "h", "kernel": "6.1", "arch": "x86_64", "cpus": 2,
        "boot_id": "b", "byteorder": "little", "btf": True, "bpftrace": "0.17.0",
        "probes": {"tracepoint:syscalls:sys_enter_lseek": ["fd"], "kprobe:ksys_lseek": []},
    }  # fmt: skip
    path.write_text(json.dumps(document))
    return path


def test_a_wildcard_that_nobody_can_count_is_refused_before_a_run(catalogue):
    change(catalogue, TEMPLATE, "kprobe:ksys_lseek", "kprobe:ksys_*")
    done = ebpf_recipe("--recipes", str(catalogue), "render", "seeks", "--host", str(facts(catalogue)))
    assert done.returncode == 3
    assert "seeks: kprobe:ksys_*: how many probes it matches is not known beforehand" in done.stderr


def test_annotations_for_github_are_escaped(catalogue):
    awkward = catalogue.rename(catalogue.with_name("50%, a:b"))
    change(awkward, TEMPLATE, "params.to_fd", "params.fd")
    done = ebpf_recipe("lint", str(awkward), "-f", "github")
    line = next(line for line in done.stdout.splitlines() if "undefined-name" in line)
    assert re.fullmatch(
        r"::error file=\S*50%25%2C a%3Ab/templates/app/seeks\.bt\.j2,line=5,col=5,title=undefined-name::params\.fd: .*",
        line,
    )


def test_what_a_file_says_does_not_command_the_terminal(catalogue):
    change(catalogue, RECIPE, "id: seeks", 'id: "\\e[2J\\nx"')
    done = ebpf_recipe("lint", str(catalogue))
    assert "\x1b" not in done.stdout
    assert all(
        re.match(r".*:\d+:\d+: (error|warning): .* \[[a-z-]+\]$", line) for line in done.stdout.splitlines()
    )


@pytest.mark.parametrize("path", [RECIPE, TEMPLATE, "recipes", "templates", "recipes/app", "."])
def test_a_path_may_be_a_file_a_folder_or_a_catalogue(catalogue, monkeypatch, path):
    change(catalogue, TEMPLATE, "params.to_fd", "params.fd")
    monkeypatch.chdir(catalogue)
    named = [each.path for each in findings(path) if each.rule == "undefined-name"]
    assert named == [TEMPLATE]


@pytest.mark.parametrize("path", [OWN, "templates/include"])
def test_an_include_is_checked_by_itself(catalogue, path):
    change(catalogue, OWN, 'printf("', 'print(@last); {% if %} printf("')
    assert {each.rule for each in findings(catalogue / path)} == {"template-syntax", "hand-written"}


def test_without_a_path_all_recipes_are_checked(catalogue):
    change(catalogue, RECIPE, "layer: app", "layer: fs")
    done = ebpf_recipe("lint", "--recipes", str(catalogue))
    assert done.returncode == 1
    assert "[layer-folder]" in done.stdout
    assert ebpf_recipe("lint").returncode == 0


@pytest.mark.parametrize(("path", "message"), [("none", "there is no such file"), (".", "holds no recipes")])
def test_a_path_that_holds_nothing_is_refused(tmp_path, path, message):
    done = ebpf_recipe("lint", str(tmp_path / path))
    assert done.returncode == 3
    assert message in done.stderr


def test_the_formats_say_the_same(catalogue):
    change(catalogue, TEMPLATE, "params.to_fd", "params.fd")
    change(catalogue, RECIPE, "better: lower", "better: higher")
    found = findings(catalogue)
    done = ebpf_recipe("lint", str(catalogue), "-f", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == [
        {
            "path": each.path, "line": each.line, "column": each.column, "severity": each.severity,
            "rule": each.rule, "text": each.text,
        }
        for each in found
    ]  # fmt: skip
    text = ebpf_recipe("lint", str(catalogue)).stdout.splitlines()
    assert text == [
        f"{each.path}:{each.line}:{each.column}: {each.severity}: {each.text} [{each.rule}]" for each in found
    ]


def test_no_findings_are_an_empty_array():
    done = ebpf_recipe("lint", str(VALID), "-f", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_warnings_alone_are_no_failure(catalogue):
    change(catalogue, RECIPE, "better: lower", "better: higher")
    done = ebpf_recipe("lint", str(catalogue))
    assert done.returncode == 0
    assert "warning: higher is better" in done.stdout
    assert "0 errors, 1 warning" in done.stderr


def test_a_hypothesis_that_stands_in_two_catalogues_is_found(catalogue):
    path = catalogue / "recipes/hypotheses/run-queue.yaml"
    path.write_text((catalogue / HYPOTHESIS).read_text().replace("id: many-seeks", "id: run-queue"))
    (found,) = [each for each in lint([catalogue]).findings if each.rule == "id-duplicate"]
    assert (found.path, "there is another hypothesis run-queue: " in found.text) == (str(path), True)
