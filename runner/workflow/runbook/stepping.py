"""Runs the steps of a runbook in their order: whether each is run, how it ended, and what comes then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, assert_never

from runner.errors import EbpfRecipeError, ExitCode, Interrupted, Terminated
from runner.interrupts import LONGEST_WAIT_SECONDS
from runner.workflow.clock import now
from runner.workflow.runbook.check_recipe import said
from runner.workflow.runbook.model import (
    AskStep,
    ExpectStep,
    ExperimentStep,
    GateStep,
    GroupStep,
    OnFailure,
    RepeatStep,
    RunStep,
    ShellStep,
    kind_of,
    places_of_steps,
    walk,
)
from runner.workflow.runbook.perform_experiment import perform_experiment
from runner.workflow.runbook.perform_gate import perform_gate
from runner.workflow.runbook.perform_run import perform_run
from runner.workflow.runbook.perform_shell import perform_shell
from runner.workflow.runbook.result import Result
from runner.workflow.runbook.template import Expression

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.workflow.runbook.document import Outcome, StepResult
    from runner.workflow.runbook.model import AnyStep
    from runner.workflow.runbook.scene import Scene


class Stopped(Exception):
    """A step failed, and the steps after it are not to be run."""

    def __init__(self, step: str, exit_code: int, reason: str | None) -> None:
        super().__init__(step)
        self.step = step
        self.exit_code = exit_code
        self.reason = reason


class InterruptedBySignal(Exception):
    """A signal came: nothing more is to be run."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.exit_code = ExitCode.TERMINATED if signal_name == "SIGTERM" else ExitCode.INTERRUPTED


class Stepping:
    """Runs steps.

    :ivar failures: Exit codes of steps that failed and did not stop the runbook.
    :param took: Is given what became of each step as soon as it is known.
    """

    def __init__(self, scene: Scene, took: Callable[[StepResult], None]) -> None:
        self.failures: list[int] = []
        self._scene = scene
        self._took = took
        self._round: int | None = None

    def run(self, steps: Sequence[AnyStep], within: str | None = None) -> None:
        """Run steps in their order.

        :raises Stopped, InterruptedBySignal: Not all of them were run.
        """
        for step in steps:
            self._step(step, within)

    def _step(self, step: AnyStep, within: str | None) -> None:
        self._check_signals()
        started = now()
        try:
            why_not = self._why_not(step)
        except EbpfRecipeError as error:
            self._begin(step)
            result = Result(error.exit_code, said(error))
        else:
            if why_not is not None:
                self._skip(step, within, why_not)
                return
            self._begin(step)
            result = self._performed(step)
        # A signal ended what was under way, however that put it.
        name = self._scene.signals.first
        if name is not None and not result.has_failed:
            result = Result(ExitCode.INTERRUPTED, f"{name} came", result.outputs)
        self._write(step, within, started, "failed" if result.has_failed else "passed", result)
        self._check_signals()
        if result.has_failed:
            self._failed(step, result)
        elif isinstance(step.on_failure, OnFailure):
            self._leave_out(step.on_failure.steps, step.name, f"{step.name} did not fail")

    def _why_not(self, step: AnyStep) -> str | None:
        """Return why a step is skipped; None where it is run.

        :raises ValueRefused: Its condition is neither true nor false, or a value is not there.
        """
        if step.when is None:
            return None
        when, context = Expression(step.when), self._scene.context()
        if when.holds(context):
            return None
        skipped = when.skipped(context)
        return f"not so: {step.when}" + (f" ({', '.join(skipped)} skipped)" if skipped else "")

    def _begin(self, step: AnyStep) -> None:
        round_ = f", round {self._round}" if self._round is not None else ""
        more = f": {step.description}" if step.description else ""
        self._scene.tell("step", step.name, f"{step.name} ({kind_of(step)}{round_}){more}")

    def _performed(self, step: AnyStep) -> Result:
        try:
            return self._perform(step)
        except Stopped as stopped:
            return Result(stopped.exit_code, f"{stopped.step}: {stopped.reason}")
        except (Interrupted, Terminated) as error:
            return Result(error.exit_code, error.message)
        except EbpfRecipeError as error:
            return Result(error.exit_code, said(error))

    def _perform(self, step: AnyStep) -> Result:
        match step:
            case RunStep():
                return perform_run(step, self._scene)
            case ShellStep():
                return perform_shell(step, self._scene)
            case ExpectStep():
                # pexpect takes a while to load, and few runbooks need it.
                from runner.workflow.runbook.perform_expect import perform_expect  # noqa: PLC0415

                return perform_expect(step, self._scene)
            case GateStep():
                return perform_gate(step, self._scene)
            case ExperimentStep():
                return perform_experiment(step, self._scene)
            case AskStep():
                return self._ask(step)
            case RepeatStep():
                return self._repeat(step)
            case GroupStep():
                self.run(step.steps, step.name)
                return Result()
        assert_never(step)

    def _ask(self, step: AskStep) -> Result:
        scene = self._scene
        question = scene.text(step.ask)
        default = None if step.default is None else scene.text(step.default)
        scene.work.write("question", step.name, scene.given.mask(question))
        if scene.takes_defaults:
            answer = default or ""
            scene.console.say(f"  {scene.given.mask(question)} {answer} (--yes)")
        else:
            scene.signals.raise_from_now_on("interrupted the question")
            try:
                answer = scene.console.ask(scene.given.mask(question), step.choices(), default)
            finally:
                scene.signals.keep_from_now_on()
        by = "by --yes" if scene.takes_defaults else "by the operator"
        scene.work.write("answer", step.name, f"{scene.given.mask(answer)} ({by})")
        return Result(outputs={"answer": answer})

    def _repeat(self, step: RepeatStep) -> Result:
        until, outer = Expression(step.repeat.until), self._round
        seconds = self._scene.seconds("every", step.repeat.every)
        try:
            for number in range(1, step.repeat.at_most + 1):
                self._round = number
                self.run(step.repeat.steps, step.name)
                if until.holds(self._scene.context()):
                    return Result(outputs={"rounds": number})
                if number < step.repeat.at_most:
                    self._wait(seconds)
        finally:
            self._round = outer
        rounds = step.repeat.at_most
        reason = f"not so after {rounds} round{'s' if rounds > 1 else ''}: {step.repeat.until}"
        return Result(ExitCode.NEGATIVE, reason, {"rounds": rounds})

    def _wait(self, seconds: float) -> None:
        """Wait; a signal ends it.

        :raises InterruptedBySignal: One came.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check_signals()
            time.sleep(min(left, LONGEST_WAIT_SECONDS))
        self._check_signals()

    def _failed(self, step: AnyStep, result: Result) -> None:
        """Do what is to be done where a step failed.

        :raises Stopped: The steps after it are not to be run.
        """
        if self._is_ignored(step):
            return
        policy = step.on_failure
        if isinstance(policy, OnFailure):
            try:
                self.run(policy.steps, step.name)
            except Stopped as stopped:
                reason = f"{result.reason}; then on-failure, {stopped.step}: {stopped.reason}"
                raise Stopped(step.name, result.exit_code, reason) from stopped
        if policy == "stop" or (isinstance(policy, OnFailure) and policy.then == "stop"):
            raise Stopped(step.name, result.exit_code, result.reason)
        if self._round is None:
            self.failures.append(result.exit_code)

    def _is_ignored(self, step: AnyStep) -> bool:
        """Whether a step that failed decides nothing."""
        is_left_open = "on_failure" not in step.model_fields_set
        is_judged = self._round is not None and is_left_open and _is_judged_by_until(step)
        return step.on_failure == "ignore" or is_judged

    def _skip(self, step: AnyStep, within: str | None, reason: str) -> None:
        self._scene.tell("step", step.name, f"{step.name} ({kind_of(step)}): skipped, {reason}")
        self._write(step, within, now(), "skipped", Result(reason=reason))
        for _, steps in places_of_steps(step):
            self._leave_out(steps, step.name, f"{step.name} was skipped")

    def _leave_out(self, steps: list[AnyStep], within: str, reason: str) -> None:
        """Write down that steps were not run, so that others can ask for their outcome."""
        for inside, _ in walk(steps):
            self._write(inside, within, now(), "skipped", Result(reason=reason))

    def _write(
        self, step: AnyStep, within: str | None, started: str, outcome: Outcome, result: Result
    ) -> None:
        mask = self._scene.given.mask
        reason = None if result.reason is None else mask(result.reason)
        self._scene.outputs[step.name] = {"outcome": outcome, **result.outputs}
        if outcome != "skipped":
            why = f": {reason}" if reason else ""
            self._scene.tell("outcome", step.name, f"{step.name}: {outcome}{why}", outcome=outcome)
        self._took(
            {
                "name": step.name,
                "kind": kind_of(step),  # type: ignore[typeddict-item]
                "within": within,
                "round": self._round,
                "started": started,
                "ended": now(),
                "outcome": outcome,
                "reason": reason,
                "exit_code": result.exit_code if outcome == "failed" else None,
                "is_ignored": outcome == "failed" and self._is_ignored(step),
                "outputs": result.outputs,
            }
        )

    def _check_signals(self) -> None:
        name = self._scene.signals.first
        if name is not None:
            raise InterruptedBySignal(name)


def _is_judged_by_until(step: AnyStep) -> bool:
    """Whether the repeat around a step expects that it fails: not that a recipe cannot be run at all."""
    return isinstance(step, GateStep | ShellStep | ExpectStep)
