"""The fixed words of recipes."""

from typing import Literal

Layer = Literal["cpu", "sched", "io", "fs", "net", "mem", "app", "sec"]
Stage = Literal["scan", "detail"]
Status = Literal["experimental", "tested", "stable", "deprecated"]
Symptom = Literal[
    "tail-latency", "timeouts", "high-cpu", "packet-drops", "slow-disk", "slow-files", "connection-errors"
]
