"""Investigations of loads whose causes are known, and what each has to find: `python -m tests.laboratory.investigations`.

`… FOLDER [SCENARIO…]` runs each (or these) with each bpftrace and writes the reports into the folder, and an index.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.capture.signs import STEAL
from tests.laboratory.releases import paths, release_of
from tests.laboratory.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHORTEST_SECONDS = 6
"""No window of these investigations is shorter."""

MOST_SECONDS = 90
"""Most that an investigation may take, from its command to its report."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an investigation of a scenario has to say.

    :param established: Hypotheses that it has to establish.
    :param nothing_else: It may establish no other.
    :param never: Hypotheses that it may not establish. Time that a hypervisor took is beyond every scenario.
    :param named: What its findings have to name.
    """

    symptom: str
    established: frozenset[str]
    never: frozenset[str] = frozenset()
    nothing_else: bool = False
    named: str | None = None


_DISK = frozenset({"disk-wait", "slow-device", "device-queue", "device-errors", "slow-files"})
_NETWORK = frozenset(
    {"retransmits", "slow-connects", "peer-refuses", "peer-silent", "accept-queue", "conntrack"}
)

EXPECTED = {
    "api_server": Expected("timeouts", frozenset({"retransmits", "run-queue"}), _DISK | {"cpu-quota"}),
    "file_server": Expected(
        "slow-files",
        frozenset({"disk-wait", "slow-device", "slow-files"}),
        _NETWORK | {"run-queue", "cpu-quota"},
        named="/archive/index",
    ),
    "file_server_limited": Expected(
        "tail-latency",
        frozenset({"disk-wait"}),
        _NETWORK | {"slow-device", "run-queue"},
        named="/archive/index",
    ),
    "healthy": Expected("tail-latency", frozenset(), nothing_else=True),
    "idle_beside_hog": Expected("tail-latency", frozenset(), nothing_else=True),
    "quota": Expected("tail-latency", frozenset({"cpu-quota"}), _DISK | _NETWORK),
    "two_causes": Expected("tail-latency", frozenset({"retransmits", "disk-wait"}), frozenset({"cpu-quota"})),
}
"""By the scenario's name."""


@dataclass(frozen=True, slots=True)
class Investigated:
    """What came of one.

    :param stolen_seconds: Time of all processors that a hypervisor took meanwhile, by /proc/stat.
    """

    case: dict[str, Any]
    folder: Path
    seconds: float
    said: str
    stolen_seconds: float

    @property
    def established(self) -> list[str]:
        """Return what it established, the first by rank first."""
        return [each["id"] for each in self.case["hypotheses"] if each["status"] == "established"]


def investigate(name: str, bpftrace: str, folder: Path, *options: str) -> Investigated:
    """Raise a scenario and investigate it, as its user would.

    :param folder: The case: a new directory.
    """
    with SCENARIOS[name]() as scenario:
        words = ["investigate", EXPECTED[name].symptom, *scenario.filters, "--case", str(folder)]
        begun, stolen = time.monotonic(), _stolen_seconds()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "runner", *words, "--bpftrace", bpftrace, "-f", "json", *options],
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, stolen = time.monotonic() - begun, _stolen_seconds() - stolen
    if done.returncode != 0:
        raise AssertionError(f"{name}: exit code {done.returncode}: {done.stderr}")
    return Investigated(json.loads(done.stdout), folder, seconds, done.stderr, stolen)


def _stolen_seconds() -> float:
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / os.sysconf("SC_CLK_TCK")


def wrong(name: str, found: Investigated) -> list[str]:
    """Return everything in which an investigation is not as it has to be."""
    expected, established = EXPECTED[name], set(found.established)
    mistakes = [f"{each} is not established" for each in sorted(expected.established - established)]
    others = established & expected.never
    if expected.nothing_else:
        others = established - expected.established
    if found.stolen_seconds >= STEAL * SHORTEST_SECONDS * (os.cpu_count() or 1):
        # It may have been so in one of its windows.
        others -= {"hypervisor"}
    mistakes += [f"{each} is established" for each in sorted(others)]
    findings = json.dumps(found.case["findings"])
    if expected.named is not None and expected.named not in findings:
        mistakes.append(f"{expected.named} is not named")
    leading = found.established[: len(expected.established)]
    if expected.established and not set(leading) & expected.established:
        mistakes.append(f"what leads is {', '.join(leading)}")
    if found.seconds > MOST_SECONDS:
        mistakes.append(f"it took {found.seconds:.0f} s")
    return mistakes


def _rows(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    for name in names:
        for bpftrace in paths():
            release = release_of(bpftrace)
            with tempfile.TemporaryDirectory(prefix="ebpf-recipe-investigation-") as made:
                found = investigate(name, bpftrace, Path(made) / "case")
                report = (found.folder / "report.md").read_text()
            file = folder / f"{name.replace('_', '-')}-{release}.md"
            file.write_text(report)
            mistakes = wrong(name, found)
            established = ", ".join(found.established) or "nothing"
            row = f"| [{name.replace('_', ' ')}]({file.name}) | {release} | {found.case['symptom']} | {established} "
            row += f"| {found.seconds:.0f} s | {'; '.join(mistakes) or 'as it has to be'} |"
            print(row, file=sys.stderr, flush=True)
            yield row, bool(mistakes)


def main() -> int:
    """Write the reports; return 1 where one is not as it has to be."""
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(EXPECTED)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder.mkdir(exist_ok=True)
    made = dict(_rows(folder, names))
    index = folder / "README.md"
    before = index.read_text().splitlines() if index.exists() else []
    # Those of the others stay.
    kept = [row for row in before if row.startswith("| [") and _scenario(row) not in names]
    rows = sorted([*kept, *made], key=lambda row: list(EXPECTED).index(_scenario(row)))
    machine = f"Linux {os.uname().release}, {os.cpu_count()} processors"
    lines = [
        "# Investigations of loads whose causes are known",
        "",
        f"Made by `make investigations` on {machine}. The loads are those of",
        "`tests/laboratory/scenarios.py`; what each has to find stands in `tests/laboratory/investigations.py`.",
        "",
        "| load | bpftrace | symptom | established, the first by rank first | it took | |",
        "|---|---|---|---|---|---|",
        *rows,
    ]
    index.write_text("\n".join(lines) + "\n")
    return int(any(made.values()))


def _scenario(row: str) -> str:
    return row.removeprefix("| [").partition("]")[0].replace(" ", "_")


if __name__ == "__main__":
    sys.exit(main())
