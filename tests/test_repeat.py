"""Repeated runs: what the command line takes, and what becomes of the runs that are done when one is not."""

import dataclasses

import pytest
import typer

from runner.cli import output
from runner.cli.password import Remembered, from_descriptor
from runner.cli.run_repeatedly import Repeats, run_repeatedly
from runner.errors import HostRefused, Interrupted, Terminated, TraceFailed, WorkloadFailed
from runner.interrupts import Interrupts
from runner.recipe.catalogue import find_recipe
from tests.captures import capture, latency
from tests.command import ebpf_recipe

RECIPE = find_recipe("runqlat").recipe
FAILED = {"ended_by": "workload", "workload": {"argv": ["load"], "exit_code": 3}}


@dataclasses.dataclass
class Kept:
    taken: list
    written: int = 0

    def take(self, captures):
        self.taken += captures

    def close(self):
        self.written = len(self.taken)


@pytest.fixture
def run(monkeypatch):
    """Runs that say, one after the other, what is given: the window of a capture, or an error."""
    said = []
    monkeypatch.setattr(output, "say", said.append)

    def run(*results, times=3, gates=(), seconds=None):
        kept, interrupts, left = Kept([]), Interrupts(), list(results)

        def once():
            result = left.pop(0)
            if isinstance(result, BaseException):
                raise result
            if "signal" in result:
                interrupts.first = result["signal"]
            window = {key: value for key, value in result.items() if key != "signal"}
            made = capture(latency([1]), window=window)
            if gates:
                made["gates"] = [gates[len(kept.taken)]]
            kept.take([made])
            return made

        error = None
        try:
            run_repeatedly(Repeats(times, seconds, kept, is_spaced=False), once, RECIPE, interrupts)
        except (Interrupted, Terminated, TraceFailed, WorkloadFailed, typer.Exit) as raised:
            error = raised
        return kept, error, said, left

    return run


def test_each_is_run_and_counted(run):
    kept, error, said, left = run({}, {}, {}, seconds=2.0)
    assert (kept.written, error, left) == (3, None, [])
    assert said[0].startswith("3 runs of 2 s: 6 s")
    assert said[1:] == [f"run {number} of 3" for number in (1, 2, 3)]


def test_a_run_whose_command_fails_is_the_last_and_is_kept(run):
    kept, error, _, left = run({}, FAILED, {})
    assert isinstance(error, WorkloadFailed)
    assert error.message == "run 2 of 3: the command 'load' failed: exit 3"
    assert (kept.written, len(left)) == (2, 1)


def test_a_void_run_is_the_last_and_is_kept(run):
    kept, error, _, left = run({}, {"ended_by": "crash"}, {})
    assert isinstance(error, TraceFailed)
    assert (kept.written, len(left)) == (2, 1)


def test_one_that_does_not_begin_leaves_those_before_it(run):
    kept, error, _, _ = run({}, TraceFailed("no"), {})
    assert isinstance(error, TraceFailed)
    assert kept.written == 1


@pytest.mark.parametrize(("signal", "kind"), [("SIGINT", Interrupted), ("SIGTERM", Terminated)])
def test_a_signal_before_a_run_was_complete(run, signal, kind):
    kept, error, _, left = run({"signal": signal, "ended_by": "interrupt"}, {}, {})
    assert isinstance(error, kind)
    assert (kept.written, len(left)) == (1, 2)
    kept, error, _, _ = run(kind("before the probes were attached"), {}, {})
    assert isinstance(error, kind)
    assert kept.written == 0


def test_a_signal_later_keeps_what_is_complete(run):
    for result in ({"signal": "SIGINT", "ended_by": "interrupt"}, Interrupted("before")):
        kept, error, said, left = run({}, result, {})
        assert error is None
        assert kept.written == 1 + isinstance(result, dict)
        assert len(left) == 1
        assert any("1 of 3" in line and "complete" in line for line in said[-1:])


def test_a_signal_when_a_run_was_over_already_is_no_interrupted_run(run):
    kept, error, _, left = run({"signal": "SIGINT"}, {}, {})
    assert (error, kept.written, len(left)) == (None, 1, 2)


def test_one_gate_that_fails_is_enough_and_ends_nothing(run):
    results = [
        {"gate": "x", "verdict": verdict, "counts_as": verdict, "measured": None, "reason": None}
        for verdict in ("pass", "fail", "pass")
    ]
    kept, error, _, _ = run({}, {}, {}, gates=results)
    assert isinstance(error, typer.Exit)
    assert error.exit_code == 1
    assert kept.written == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--repeat", "3"), 2, "when a run ends"),
        (("--repeat", "0", "-d", "1s"), 3, "--repeat"),
        (("--repeat", "1001", "-d", "1s"), 3, "outside 1 to 1000"),
        (("--repeat", "x", "-d", "1s"), 3, "not a whole number"),
        (("--repeat", "3", "-d", "1s", "--record", "x"), 2, "do not go together"),
        (("--repeat", "3", "-d", "1s", "--replay", "x"), 2, "do not go together"),
        (("--repeat", "3", "-d", "1s", "-o", "x.json"), 3, "-o x"),
        (("--repeat", "3", "-d", "1s", "-o", "x", "-f", "jsonl"), 2, "do not go together"),
        (("--repeat", "3", "--windows", "2", "--", "true"), 2, "--interval 1s"),
        (("--repeat", "3", "--", "no-such-command-at-all"), 7, "no command"),
    ],
)
def test_mistakes_are_named(arguments, code, said):
    done = ebpf_recipe("run", "runqlat", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


def test_sudo_is_answered_again_in_each_run(tmp_path):
    path = tmp_path / "password"
    path.write_text("secret\n")
    with path.open() as file:
        remembered = Remembered(from_descriptor(file.fileno()))
    for _ in range(3):
        ask = remembered.for_one_run()
        assert ask() == "secret"
    with pytest.raises(HostRefused, match="did not accept"):
        ask()


def test_interrupts_are_kept_between_runs():
    with Interrupts() as interrupts:
        interrupts.raise_from_now_on()
        interrupts.keep_from_now_on()
        interrupts._catch(2, None)
        got = []
        interrupts.wake_up(got.append)
    assert got == ["SIGINT"]
    assert interrupts.first == "SIGINT"
