"""The sides of a comparison as its document has them: runs, hosts, windows, load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.compare.hosts import host_names
from runner.compare.series import LEAST_WINDOWS, series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.document import Load, Run, Series, Side, SideName
    from runner.compare.findings import Findings
    from runner.compare.load import Loads
    from runner.compare.outcome import Numbers, Outcome
    from runner.compare.runs import RecordedRun


def described_side(
    side: Sequence[RecordedRun],
    name: SideName,
    outcomes: Sequence[Outcome],
    numbers: Sequence[Numbers],
    found: Findings,
) -> Side:
    """Return a side; tell of runs that drift.

    :param numbers: What its runs say of each outcome.
    """
    runs = []
    for index, run in enumerate(side):
        began = run.began
        described: Run = {
            "run_id": run.run_id,
            "files": list(run.files),
            "started_at": None if began is None else began.isoformat().replace("+00:00", "Z"),
            "seconds": run.seconds,
            "windows": len(run.windows),
            "work": None if run.work is None else run.work[0],
            "values": [each.most[index] for each in numbers],
        }
        windows = outcomes[0].of_windows(run) if run.windows else []
        if len(windows) >= LEAST_WINDOWS:
            described["series"] = _series(windows)
            if described["series"]["has_drift"]:
                detail = f"{outcomes[0].subject} drifts within the run: the load was not steady"
                found.add("drift", name, run.files, detail, left_out=False)
        runs.append(described)
    left_out = {
        file
        for each in found.problems
        if each["left_out"] and each["side"] in (name, None)
        for file in each["files"]
    }
    return {"runs": runs, "hosts": host_names(side), "left_out": len(left_out)}


def _series(windows: Sequence[float]) -> Series:
    said = series(windows)
    return {
        "windows": said.windows,
        "drift": said.drift,
        "has_drift": said.has_drift,
        "autocorrelation": said.autocorrelation,
        "effective": said.effective,
    }


def described_load(loads: Loads | None) -> Load | None:
    """Return what each side did; None where it is not known."""
    if loads is None:
        return None
    return {
        "unit": loads.unit,
        "before": sum(loads.before) / len(loads.before),
        "after": sum(loads.after) / len(loads.after),
        "differs": loads.differ,
        "drift": None if loads.drift is None else loads.drift.drift,
        "drifts": loads.drift is not None and loads.drift.drifts,
        "variation": None if loads.drift is None else loads.drift.variation,
        "varies": loads.drift is not None and loads.drift.varies,
    }
