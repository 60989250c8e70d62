"""What people read of an experiment: the verdict first, how the host was left, what to type."""

import pytest

from runner.report.experiment import experiment_as_markdown, experiment_as_text
from runner.workflow.experiment.folder import encode_experiment
from tests.command import ebpf_recipe

SETTING = {
    "name": "/sys/block/sda/queue/read_ahead_kb", "before": "128", "after": "1024",
    "change": ["echo 1024 > /sys/block/sda/queue/read_ahead_kb"],
    "revert": ["echo 128 > /sys/block/sda/queue/read_ahead_kb"], "became": "put-back",
}  # fmt: skip
ROW = {
    "name": "latency", "key": {}, "statistic": "above", "threshold": "10ms", "unit": "ratio", "primary": True,
    "better": "lower", "verdict": "better", "before": 0.05, "after": 0.0, "shift": -0.05, "p_value": 0.0093,
    "margin": {"measure": "share", "lower": -0.005, "upper": 0.005},
    "shown": {"before": "5%", "after": "0%", "shift": "-5 percentage points", "interval": "-6 to -4 percentage points"},
}  # fmt: skip


def document(**more):
    comparison = {
        "recipe": "fileslower", "words": ["fileslower", "--comm=reader"], "verdict": "better",
        "reason": "beyond the margin", "anew": None, "outcomes": [ROW], "load": None, "gates": [],
        "problems": ["nothing says whether both sides did the same work"], "file": "comparisons/fileslower.json",
    }  # fmt: skip
    return {
        "schema": "ebpf-recipe/experiment/v1", "id": "reads", "title": "Read further ahead", "program": "0",
        "host": {}, "directory": "/there", "case": None, "hypothesis": None, "started": "2026-11-28T22:00:00.000Z",
        "ended": None, "seconds": 78.0,
        "change": {"title": "T", "remedy": "readahead", "parameters": {}, "netns": None, "settings": [SETTING],
                   "counters": {"packets dropped": 1234}},
        "design": {"order": "ABBA BAAB ABBA", "runs": 12, "warm_up": 1, "seconds_predicted": 73.0,
                   "load": ["./load.sh", "a b"], "duration": None, "prepare": [], "settle_seconds": 1.0},
        "runs": [{"number": each, "side": "before", "started": "", "seconds": 1.0, "captures": []} for each in range(13)],
        "comparisons": [comparison], "verdict": "better", "reason": "all of it is beyond the margin",
        "ending": "finished", "state": "as-before", "exit_code": 0, "next": "ebpf-recipe experiment x --keep", **more,
    }  # fmt: skip


TEXT = """\
Read further ahead: better
All of it is beyond the margin.

fileslower --comm=reader: better
  latency.above(10ms): 5% without it, 0% with it: -5 percentage points (99% interval -6 to -4
  percentage points, p 0.0093): better
  note: nothing says whether both sides did the same work

What was changed:
  /sys/block/sda/queue/read_ahead_kb: 128 → 1024
  it counted while it was on: packets dropped 1,234

The host is as it was before.
12 runs in the order ABBA BAAB ABBA, A without the change and B with it, after 1 to warm up; 78 s in
all (foretold: 73 s).
Load: ./load.sh 'a b'
To have it for good, change it where the host's settings are kept; until the next start:
      echo 1024 > /sys/block/sda/queue/read_ahead_kb

Next:
      ebpf-recipe experiment x --keep

kept in /there
"""


def test_the_verdict_comes_first_and_the_host_is_not_forgotten(tmp_path):
    assert experiment_as_text(document()) == TEXT
    (tmp_path / "experiment.json").write_bytes(encode_experiment(document()))
    assert ebpf_recipe("report", str(tmp_path)).stdout == TEXT


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"state": "kept"}, "The change stays.\nThe way back:\n      echo 128 >"),
        (
            {"state": "not-as-before", "ending": "failed", "verdict": None, "reason": "x"},
            "NOT AS IT WAS BEFORE",
        ),
        (
            {"ending": "interrupted", "verdict": None, "reason": "SIGINT"},
            "No verdict: it was interrupted. SIGINT",
        ),
        ({"ending": "running", "verdict": None, "state": "changed"}, "It is under way, or was killed."),
    ],
)
def test_how_it_ended_and_how_the_host_is(more, said):
    assert said in experiment_as_text(document(**more))


def test_what_was_not_run_is_not_claimed():
    runs = document()["runs"][:5]
    assert "4 of 12 runs in the order" in experiment_as_text(
        document(ending="failed", verdict=None, runs=runs)
    )


def test_a_command_of_several_lines_is_typed_as_it_is():
    setting = {**SETTING, "change": ["sh -ec 'a\nb'"], "revert": ["sh -ec 'c\nd'"]}
    change = {**document()["change"], "settings": [setting]}
    assert "      sh -ec 'c\n      d'" in experiment_as_text(document(change=change, state="kept"))
    # What it was made of is gone with the experiment.
    assert "To have it for good" not in experiment_as_text(document(change=change))


def test_nothing_in_it_is_obeyed_by_a_terminal_or_markdown():
    text = document(title="a\x1b[2Jb", reason="*x* <script>")
    assert "\x1b" not in experiment_as_text(text)
    assert r"\*x\* &lt;script>" in experiment_as_markdown(text)
