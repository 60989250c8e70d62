"""Conducts an experiment: warm-up, runs without and with the change in turns, verdict, all put back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.compare.comparing import why_undecidable
from runner.compare.loading import read_side
from runner.errors import (
    EbpfRecipeError,
    ExitCode,
    HostRefused,
    Interrupted,
    NotWritten,
    Terminated,
    ValueRefused,
)
from runner.workflow.clock import now
from runner.workflow.experiment.begun import begun
from runner.workflow.experiment.folder import ExperimentFolder
from runner.workflow.experiment.following import next_command
from runner.workflow.experiment.journal import read_journal
from runner.workflow.experiment.judge import judge
from runner.workflow.experiment.measuring import RunFailed, check_signals, record, wait
from runner.workflow.experiment.restore import HostChanged
from runner.workflow.experiment.schedule import order_in_words
from runner.workflow.experiment.state import clear_work, host_lock, journal_path, make_work, work_directory
from runner.workflow.experiment.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.interrupts import Interrupts
    from runner.workflow.experiment.document import ExperimentResult, HostState
    from runner.workflow.experiment.prepare import Prepared
    from runner.workflow.experiment.schedule import Run

SHORTEST_SECONDS = 0.5
"""A load that is over sooner is measured by nothing: to attach and to end takes some hundredths of it."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an experiment is conducted under.

    :param tell: Is told what is done now.
    :param ask: Whether to put back what somebody else changed; None where there is nobody to ask.
    :param keep: The change is to stay where it is better.
    :param typed: The words that asked for it, to say what to type next.
    """

    signals: Interrupts
    tell: Callable[[str], None]
    ask: Callable[[str], bool] | None
    keep: bool
    typed: Sequence[str]


def conduct(prepared: Prepared, path: Path, conditions: Conditions) -> ExperimentResult:
    """Conduct it; whatever ends it, what was changed is put back before this returns or raises.

    :param path: The directory for its results, which is made.
    :raises HostRefused: Another experiment is under way or was left, or this host cannot take the change.
    :raises ValueRefused: There is nothing to change, or the directory holds something.
    :raises NotWritten: There is no room for the journal or the results.
    """
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        raise ValueRefused(
            "the directory for the results has a name that is no UTF-8", hint="--dir DIR"
        ) from error
    with host_lock():
        refuse_where_one_was_left()
        if prepared.change.environment.get("WORK") != str(work_directory()):
            raise HostRefused("another experiment kept its change just now", hint="try again")
        clear_work()
        make_work()
        try:
            switch = Switch(prepared.change, path.absolute(), conditions.ask)
            folder = ExperimentFolder(path)
        except BaseException:
            clear_work()
            raise
        return _Conduct(prepared, folder, conditions, switch).run()


def refuse_where_one_was_left() -> None:
    """Refuse to begin on a host that may not be as it was.

    :raises HostRefused: A journal is there.
    """
    left = read_journal(journal_path())
    if left is not None:
        raise HostRefused(
            f"an experiment was left, or is under way: {left.title} ({left.started})",
            hint="ebpf-recipe experiment recover",
        )


class _Conduct:
    """An experiment under way."""

    def __init__(
        self, prepared: Prepared, folder: ExperimentFolder, conditions: Conditions, switch: Switch
    ) -> None:
        self._prepared = prepared
        self._folder = folder
        self._conditions = conditions
        self._switch = switch
        self._began = time.monotonic()
        self._result = begun(prepared, folder, switch)

    def run(self) -> ExperimentResult:
        """Return what became of it."""
        result = self._result
        try:
            self._folder.save(result)
            self._warm_up()
            for run in self._prepared.runs:
                self._run(run)
            self._judge()
        except (Interrupted, Terminated) as error:
            self._end("interrupted", error.message, error.exit_code)
        except EbpfRecipeError as error:
            hint = f"; {error.hint}" if error.hint else ""
            self._end("failed", f"{error.message}{hint}", error.exit_code)
        except BaseException:
            self._end("failed", "it ended unexpectedly", ExitCode.BUG)
            self._put_back()
            self._conditions.tell(result["reason"])
            raise
        self._put_back()
        result["next"] = next_command(result, self._conditions.typed)
        result["ended"] = now()
        result["seconds"] = round(time.monotonic() - self._began, 1)
        try:
            self._folder.save(result)
        except NotWritten as error:
            if result["state"] == "as-before":
                raise
            # How the host was left is printed all the same.
            self._conditions.tell(error.message)
            result["exit_code"] = result["exit_code"] or int(error.exit_code)
        return result

    def _warm_up(self) -> None:
        prepared = self._prepared
        order = order_in_words(prepared.runs)
        self._conditions.tell(
            f"{prepared.change.title}: {len(prepared.runs)} runs ({order}, A without and B with it) "
            f"after {prepared.warm_up} to warm up"
        )
        for number in range(1, prepared.warm_up + 1):
            seconds = self._record(None, number)
            if number == 1:
                self._check_warm_up()
                switches = sum(
                    one.side != other.side
                    for one, other in zip(prepared.runs, prepared.runs[1:], strict=False)
                )
                whole = seconds * len(prepared.runs) + switches * prepared.settle_seconds
                whole += seconds * (prepared.warm_up - 1)
                self._result["design"]["seconds_predicted"] = round(whole, 1)
                self._conditions.tell(
                    f"a run takes {seconds:.1f} s: it will be over in about {_in_words(whole)}"
                )

    def _check_warm_up(self) -> None:
        """Refuse what would come to no verdict, before anything is changed."""
        for place, (measure, wanted) in enumerate(self._prepared.measures):
            path = self._folder.path / self._result["runs"][0]["captures"][place]
            read = read_side([str(path)], "before")
            seconds = [capture["window"]["duration_seconds"] or 0.0 for _, capture in read.captures]
            if seconds and max(seconds) < SHORTEST_SECONDS:
                raise RunFailed(
                    f"the load is over after {max(seconds):.2f} s: a run shorter than {SHORTEST_SECONDS} s "
                    "measures little of it",
                    ExitCode.WORKLOAD,
                )
            why = why_undecidable(read, wanted)
            if why is not None:
                raise HostRefused(f"{measure.recipe} says nothing of this load: {why}")

    def _run(self, run: Run) -> None:
        is_after = run.side == "after"
        if is_after != self._switch.is_on:
            if is_after:
                self._switch.on()
            else:
                self._switch.off()
            self._result["state"] = "changed" if is_after else "as-before"
            self._note_settings()
            self._folder.save(self._result)
            wait(self._prepared.settle_seconds, self._conditions.signals)
        check_signals(self._conditions.signals)
        side = "with the change" if is_after else "without it"
        self._conditions.tell(f"run {run.number} of {len(self._prepared.runs)}, {side}")
        self._record(run, 0)
        self._switch.check()

    def _record(self, run: Run | None, warm_up: int) -> float:
        recipes = [measure.recipe for measure, _ in self._prepared.measures]
        paths = [self._folder.capture_path(run, recipe, warm_up) for recipe in recipes]
        started = now()
        measures = [measure for measure, _ in self._prepared.measures]
        try:
            seconds = record(measures, self._prepared.load, paths, self._conditions.signals)
        except RunFailed as error:
            which = "the run to warm up" if run is None else f"run {run.number} of {len(self._prepared.runs)}"
            side = ", without the change" if run is None or run.side == "before" else ", WITH the change"
            error.message = f"{which}{side}: {error.message}"
            raise
        self._result["runs"].append(
            {
                "number": 0 if run is None else run.number,
                "side": "before" if run is None else run.side,
                "started": started,
                "seconds": round(seconds, 2),
                "captures": [self._folder.shown(path) for path in paths],
            }
        )
        self._folder.save(self._result)
        return seconds

    def _judge(self) -> None:
        """Come to a verdict, and keep the change where it is better and was to be kept."""
        result = self._result
        result["comparisons"] = judge(self._prepared, self._folder, result)
        first, others = result["comparisons"][0], result["comparisons"][1:]
        failed = [
            gate["gate"]
            for each in result["comparisons"]
            for gate in each["gates"]
            if gate["counts_as"] == "fail"
        ]
        worse = [each["recipe"] for each in others if each["verdict"] == "worse"]
        result["verdict"], reason = first["verdict"], first["reason"]
        if worse:
            reason += f"; but it is worse by {', '.join(worse)}"
        if failed:
            reason += f"; but a gate fails: {'; '.join(failed)}"
        is_negative = first["verdict"] == "worse" or worse or failed
        if self._conditions.keep and first["verdict"] == "better" and not is_negative:
            self._keep()
        self._end("finished", reason, ExitCode.NEGATIVE if is_negative else ExitCode.DONE)

    def _keep(self) -> None:
        if not self._switch.is_on:
            self._switch.on()
            self._note_settings()
        before, self._result["state"] = self._result["state"], "kept"
        try:
            # The way back stands there, once there is no journal any more.
            self._folder.save(self._result)
            self._switch.close()
        except BaseException:
            self._result["state"] = before
            raise

    def _end(self, ending: str, reason: str, exit_code: int) -> None:
        self._result["ending"] = ending  # type: ignore[typeddict-item]
        self._result["reason"] = reason
        self._result["exit_code"] = int(exit_code)

    def _put_back(self) -> None:
        result = self._result
        if result["state"] == "kept":
            return
        state: HostState = "as-before"
        try:
            if self._switch.is_on:
                self._switch.off()
            self._switch.close()
        except HostChanged as error:
            state = "not-as-before"
            hint = f"\n{error.hint}" if error.hint else ""
            self._end("failed", f"{error.message}{hint}", error.exit_code)
        except NotWritten as error:
            self._end("failed", f"{error.message}; {error.hint}", error.exit_code)
        self._note_settings()
        result["change"]["counters"] = self._switch.counted
        result["state"] = state

    def _note_settings(self) -> None:
        for shown, entry in zip(self._result["change"]["settings"], self._switch.entries, strict=True):
            shown["after"] = entry.after if entry.after is not None else shown["after"]
            shown["became"] = self._switch.became.get(shown["name"])


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
