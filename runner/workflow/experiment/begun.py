"""The document of an experiment that begins."""

from __future__ import annotations

import socket
from platform import release
from typing import TYPE_CHECKING

from runner import __version__
from runner.host.kernel import boot_id
from runner.workflow.clock import now
from runner.workflow.experiment.schedule import order_in_words

if TYPE_CHECKING:
    from runner.workflow.experiment.document import ExperimentResult, SettingResult
    from runner.workflow.experiment.folder import ExperimentFolder
    from runner.workflow.experiment.prepare import Prepared
    from runner.workflow.experiment.switch import Switch


def begun(prepared: Prepared, folder: ExperimentFolder, switch: Switch) -> ExperimentResult:
    """Return what is known of an experiment before its first run."""
    change = prepared.change
    settings: list[SettingResult] = [
        {
            "name": entry.setting.name,
            "before": entry.before,
            "after": None,
            "change": entry.setting.change_by_hand,
            "revert": entry.setting.revert_by_hand(entry.before),
            "became": None,
        }
        for entry in switch.entries
    ]
    return {
        "schema": "ebpf-recipe/experiment/v1",
        "id": prepared.id,
        "title": prepared.title,
        "program": __version__,
        "host": {"hostname": socket.gethostname(), "kernel": release(), "boot_id": boot_id()},
        "directory": str(folder.path),
        "case": prepared.case[0] if prepared.case else None,
        "hypothesis": prepared.case[1] if prepared.case else None,
        "started": now(),
        "ended": None,
        "seconds": None,
        "change": {
            "title": change.title,
            "remedy": change.remedy,
            "parameters": dict(change.parameters),
            "netns": change.netns,
            "settings": settings,
            "counters": {},
        },
        "design": {
            "order": order_in_words(prepared.runs),
            "runs": len(prepared.runs),
            "warm_up": prepared.warm_up,
            "seconds_predicted": None,
            "load": list(prepared.load.argv),
            "duration": prepared.load.duration,
            "prepare": list(prepared.load.prepare),
            "settle_seconds": prepared.settle_seconds,
        },
        "runs": [],
        "comparisons": [],
        "verdict": None,
        "reason": "",
        "ending": "running",
        "state": "as-before",
        "exit_code": None,
        "next": None,
    }
