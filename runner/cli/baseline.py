"""`--update-baseline`: a side that is kept in one file, for later ones to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.cli.comparison_end import (
    code_of_gates,
    code_of_problems,
    exit_code,
    say_gate_results,
    say_left_out,
)
from runner.cli.output import Destination, say
from runner.errors import ExitCode, NotUnderstood, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runner.compare.comparing import Wanted
    from runner.compare.document import Comparison
    from runner.compare.loading import Read


class Baseline:
    """The file of a baseline.

    :ivar destination: Checked before anything is compared.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.destination = Destination(path, option="--baseline")

    def begin(self, after: Read, wanted: Wanted) -> ExitCode:
        """Make the side after the first baseline; return the exit code.

        :raises NotUnderstood: Nothing of it can be read.
        :raises ValueRefused: Nothing of it was measured, or a gate is on what does not exist.
        """
        from runner.compare.fitness import fit_runs
        from runner.compare.gates import limit_results
        from runner.compare.loading import Read

        (_, runs), found = fit_runs([Read([]), after])
        if not runs:
            details = dict.fromkeys(each["detail"] for each in found.problems)
            why = "; ".join(details) or "there are no captures"
            refusal = ValueRefused if after.captures or not after.problems else NotUnderstood
            raise refusal(f"there is no run after that can be a baseline: {why}")
        results = limit_results(wanted.gates, runs, wanted.inconclusive)
        say_left_out(found.problems)
        say_gate_results(results)
        code = code_of_problems(found.problems) or code_of_gates(results)
        if code:
            say("note: no baseline was made of it")
        else:
            self._keep(after, (run.run_id for run in runs))
            say(f"note: there was no baseline to compare with; {self._path} is one now")
        return code

    def update(self, comparison: Comparison, after: Read) -> None:
        """Replace the baseline by the side after, where that is no step back; say where it is not."""
        if exit_code(comparison) or comparison["verdict"] not in ("better", "same"):
            say(f"note: the baseline was left as it is (to begin anew, remove {self._path})")
        else:
            self._keep(after, (run["run_id"] for run in comparison["sides"]["after"]["runs"]))

    def _keep(self, after: Read, runs: Iterable[str]) -> None:
        """Write the captures of runs, without what no comparison reads."""
        from runner.capture.encode import encode_captures

        wanted = set(runs)
        kept = [capture.copy() for _, capture in after.captures if capture["run_id"] in wanted]
        for capture in kept:
            capture["events"], capture["messages"], capture["companions"] = [], [], []
        self.destination.write(encode_captures(kept))
