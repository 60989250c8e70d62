"""`make truth-compare`: what comparisons say of simulated runs where nothing changed, and where something did.

usage: python -m tests.laboratory.comparisons FILE [COMPARISONS]
"""

import itertools
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, variance

from runner.compare.exploratory import explore
from runner.compare.limits import ALPHA
from runner.compare.load import Loads
from runner.compare.load_drift import LoadDrift, load_drift
from runner.compare.margin import Margin
from runner.compare.one_run import judge_windows
from runner.compare.permutation import Block
from runner.compare.student import t_cdf
from runner.compare.verdict import Question, Verdict, judge
from tests.laboratory.simulated_runs import EVENTS, WINDOWS, Condition, Run, levels, simulate

COMPARISONS = 1000
WITH_A_CHANGE = 100
"""Comparisons for each change: a tenth of the others."""

LARGEST_SHARE = 0.02
"""Of comparisons of the same with the same that may say better or worse, in every row."""

SEED = 1
PROCESSES = 2
WINDOWS_OF_ONE_RUN = 40
OF_ONE_RUN = 500
_ABBA = (0, 1, 1, 0)

CONDITIONS = (
    Condition("windows are independent"),
    Condition("autocorrelation 0.3", 0.3),
    Condition("autocorrelation 0.5", 0.5),
    Condition("autocorrelation 0.7", 0.7),
    Condition("run offsets of 0.5", 0.5, offset=0.5),
    Condition("run offsets of 1", 0.5, offset=1),
    Condition("20% drift within a run", 0.5, drift=0.2),
    Condition("skewed windows", 0.5, windows="skewed"),
    Condition("bimodal windows", 0.5, windows="bimodal"),
    Condition("run offsets of 4", 0.5, offset=4),
    Condition("run offsets of 1 before and 3 after", 0.5, offset=1, after=3),
    Condition("run offsets of 1, bimodal", 0.5, offset=1, runs="bimodal"),
    Condition("all of it", 0.7, offset=1, drift=0.2, windows="skewed", runs="skewed"),
    Condition("ABBA, 20% drift from first run to last", 0.5, offset=1, session=0.2),
    Condition("ABBA, 60% drift of the load too", 0.5, offset=1, session=0.2, session_load=0.6),
)

STATISTICS = {
    "share": ("Share above a threshold", Margin.share()),
    "octaves": ("Mean log2", Margin.octaves()),
    "rate": ("Rate", Margin.ratio()),
}

CHANGES = {"nothing": 1.0, "one bucket": 2**0.25, "10%": 1.1, "25%": 1.25}


@dataclass(frozen=True)
class Cell:
    """Comparisons of one kind.

    :param said: How often each verdict came, `seen` how often p was at most alpha, by statistic and runs a side.
    :param welch_same: How often two one-sided tests by Welch's t would have said `same`, of the mean log2.
    """

    said: dict[tuple[str, int], Counter[str]]
    seen: Counter[tuple[str, int]]
    welch_same: Counter[int]
    comparisons: int

    def share(self, statistic: str, runs: int, *words: str) -> float:
        """Return how often one of these verdicts came."""
        return sum(self.said[statistic, runs][word] for word in words) / self.comparisons


def runs_of(condition: Condition) -> tuple[int, ...]:
    """Return the numbers of runs a side."""
    return (6, 8, 12) if condition.session else (5, 8, 12)


def measure(condition: Condition, change: str, comparisons: int) -> Cell:
    """Simulate comparisons and judge them."""
    chance = random.Random(f"{SEED} {condition.name} {change}")  # noqa: S311
    cell = Cell({}, Counter(), Counter(), comparisons)
    for statistic, runs in itertools.product(STATISTICS, runs_of(condition)):
        cell.said[statistic, runs] = Counter()
    for _ in range(comparisons):
        before, after = _record(chance, condition, CHANGES[change])
        for runs in runs_of(condition):
            of_before, of_after = ([run.load for run in side[:runs]] for side in (before, after))
            drift = _load_drift(of_before, of_after) if condition.session else None
            loads = Loads(of_before, of_after, drift=drift)
            for statistic, (_, margin) in STATISTICS.items():
                blocks = _blocks(before[:runs], after[:runs], statistic, in_blocks=bool(condition.session))
                verdict = judge(blocks, Question("lower", margin), loads)
                cell.said[statistic, runs][verdict.word] += 1
                cell.seen[statistic, runs] += verdict.p <= ALPHA
                if statistic == "octaves" and len(blocks) == 1:
                    cell.welch_same[runs] += _welch_says_same(blocks[0], margin)
    return cell


def _record(chance: random.Random, condition: Condition, factor: float) -> tuple[list[Run], list[Run]]:
    most = max(runs_of(condition))
    sides: tuple[list[Run], list[Run]] = ([], [])
    conditions = (
        condition,
        condition if condition.after is None else replace(condition, offset=condition.after),
    )
    for number in range(2 * most):
        side = _ABBA[number % 4]
        place = number / (2 * most - 1)
        sides[side].append(simulate(chance, conditions[side], factor if side else 1.0, place))
    return sides


def _blocks(before: Sequence[Run], after: Sequence[Run], statistic: str, *, in_blocks: bool) -> list[Block]:
    sides = [tuple(float(getattr(run, statistic)) for run in side) for side in (before, after)]
    if not in_blocks:
        return [Block(*sides)]
    return [Block(*(side[first : first + 2] for side in sides)) for first in range(0, len(before), 2)]


def _load_drift(before: Sequence[float], after: Sequence[float]) -> LoadDrift:
    """Return how the load of runs went that took turns in blocks of ABBA."""
    left = (iter(before), iter(after))
    order = itertools.islice(itertools.cycle(_ABBA), len(before) + len(after))
    return load_drift([(bool(side), next(left[side])) for side in order])


def _welch_says_same(block: Block, margin: Margin) -> bool:
    errors = [variance(side) / len(side) for side in (block.before, block.after)]
    freedom = sum(errors) ** 2 / sum(
        error**2 / (len(side) - 1) for error, side in zip(errors, (block.before, block.after), strict=True)
    )
    room = margin.upper - abs(fmean(block.after) - fmean(block.before))
    return t_cdf(-room / math.sqrt(sum(errors)), freedom) <= ALPHA


@dataclass(frozen=True)
class OneRun:
    """Comparisons of the windows of one run with those of another.

    :param as_independent: Share of them with p at most 0.05 where each window counts as independent.
    :param as_blocks: The same of blocks longer than the correlation length.
    :param decided: How many verdicts were not `inconclusive`.
    """

    as_independent: float
    as_blocks: float
    decided: int


def measure_one_run(correlation: float, offset: float) -> OneRun:
    """Compare windows of one run of each side, where nothing changed."""
    chance = random.Random(f"{SEED} one run {correlation} {offset}")  # noqa: S311
    sides = []
    for _ in range(2):
        runs = []
        for _ in range(OF_ONE_RUN):
            own = offset * chance.gauss(0, 1)
            runs.append([100 + own + value for value in levels(chance, correlation, WINDOWS_OF_ONE_RUN)])
        sides.append(runs)
    rows = explore(*([list(zip(*side, strict=True))] for side in sides))
    found: list[Verdict] = [
        judge_windows(before, after, Question("lower", Margin.amount(0.1)))
        for before, after in zip(*sides, strict=True)
    ]
    return OneRun(
        sum(row.p <= 0.05 for row in rows) / OF_ONE_RUN,
        sum(verdict.p <= 0.05 for verdict in found) / OF_ONE_RUN,
        sum(verdict.word != "inconclusive" for verdict in found),
    )


ONE_RUN = ((0.0, 0.0), (0.3, 0.0), (0.5, 0.0), (0.7, 0.0), (0.5, 0.5), (0.5, 1.0))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _table(statistic: str, cells: dict[tuple[str, str], Cell]) -> list[str]:
    columns = ["windows and runs", "runs a side", "**nothing: better or worse**", "nothing: p ≤ 0.01"]
    columns += ["nothing: same", "10%: same"]
    columns += ["nothing: same by t", "10%: same by t"] if statistic == "octaves" else []
    for change in list(CHANGES)[1:]:
        columns += [f"{change}: worse", f"{change}: p ≤ 0.01"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for condition in CONDITIONS:
        for runs in runs_of(condition):
            nothing, tenth = cells[condition.name, "nothing"], cells[condition.name, "10%"]
            row = [
                condition.name,
                str(runs),
                _percent(nothing.share(statistic, runs, "better", "worse")),
                _percent(nothing.seen[statistic, runs] / nothing.comparisons),
                _percent(nothing.share(statistic, runs, "same")),
                _percent(tenth.share(statistic, runs, "same")),
            ]
            if statistic == "octaves":
                row += [
                    "" if condition.session else _percent(each.welch_same[runs] / each.comparisons)
                    for each in (nothing, tenth)
                ]
            for change in list(CHANGES)[1:]:
                cell = cells[condition.name, change]
                row.append(_percent(cell.share(statistic, runs, "worse")))
                row.append(_percent(cell.seen[statistic, runs] / cell.comparisons))
            lines.append("| " + " | ".join(row) + " |")
    return lines


def document(cells: dict[tuple[str, str], Cell], of_one_run: Sequence[OneRun]) -> str:
    """Return docs/compare.md."""
    nothing = cells[CONDITIONS[0].name, "nothing"].comparisons
    changed = cells[CONDITIONS[0].name, "10%"].comparisons
    share, where = worst(cells)
    said = f"At most {_percent(share)} of a row say" if share else "No comparison says"
    error = _percent(math.sqrt(0.25 / changed))
    lines = [
        "# What a comparison says, and how often that is wrong",
        "",
        f"Made by `make truth-compare` (seed {SEED}). Simulated runs are recorded as histograms and counts; their",
        "windows become the number of a run (`runner/compare/statistic.py`), and the runs of both sides a verdict",
        f"(`runner/compare/verdict.py`) at alpha {ALPHA}. Behind each figure of *nothing*, where nothing was changed,",
        f"are {nothing:,} comparisons, behind the others {changed:,} (the standard error of 50% is {error}).",
        "",
        f"A run has {WINDOWS} windows of about {EVENTS} events, whose latency is log-normal. The threshold is two",
        "octaves above the median: 2.3% of the events reach it. Buckets are quarters of an octave. Windows differ by",
        "5% of latency and rate (one standard deviation); offsets of runs are given in that. Where it is not named,",
        "the autocorrelation of neighbouring windows is 0.5. *All of it* has 0.7, run offsets of 1, drift within the",
        "run, and both windows and offsets skewed. ABBA is judged within blocks, all else unpaired. The load has",
        "offsets of its own, as large as those of what is measured: where they are large, many a comparison ends with",
        "a load that differs, and says nothing; p is that of the test all the same. Drift from the first run to the",
        "last is that of 12 runs a side; 6 and 8 are the first of these, and drift by as much less. It is of what is",
        "measured, and of the load only where the row says so: a load that is seen to drift, or to vary too much, ends a",
        "comparison in ABBA without a verdict (`runner/compare/load_drift.py`).",
        "",
        "*Worse* is said where the whole 99% interval of the effect lies beyond the margin, *same* where both one-sided",
        "tests say that it lies inside. So a change as large as the margin (10% of mean log2 and rate) is neither, though",
        "p says that there is one; how often it is called *same* is an error, and so is *worse*. A change of the latency",
        "by one bucket (19%), 10% or 25% takes the share above the threshold from 2.3% to 4.0%, 3.1% or 4.7%: by more",
        "than its margin of half a percentage point. Of a rate *one bucket* is 19% too.",
        "",
        f"**{said} better or worse where nothing was changed**{f' ({where})' if share else ''}.",
        "",
    ]
    for statistic, (title, margin) in STATISTICS.items():
        lines += [f"## {title}, margin {margin.in_words()}", "", *_table(statistic, cells), ""]
    lines += [
        "*Same by t* in the table of mean log2 is what two one-sided tests by Welch's t say in place of permutations.",
        "",
        "## Windows of one run of each side",
        "",
        f"{OF_ONE_RUN} comparisons of {WINDOWS_OF_ONE_RUN} windows with {WINDOWS_OF_ONE_RUN} where nothing was changed: how",
        "many have a p of at most 0.05. Blocks longer than the correlation length mend that windows resemble their",
        "neighbours; what a run has of its own they cannot see. So one run against one is always `inconclusive`.",
        "",
        "| autocorrelation | run offsets | windows taken as independent | blocks | better, worse or same |",
        "|---|---|---|---|---|",
    ]
    for (correlation, offset), found in zip(ONE_RUN, of_one_run, strict=True):
        lines.append(
            f"| {correlation:g} | {offset:g} | {_percent(found.as_independent)} | {_percent(found.as_blocks)} | "
            f"{found.decided} |"
        )
    return "\n".join(lines) + "\n"


def worst(cells: dict[tuple[str, str], Cell]) -> tuple[float, str]:
    """Return the greatest share of better or worse where nothing changed, and of which row it is."""
    found = [
        (
            cells[condition.name, "nothing"].share(statistic, runs, "better", "worse"),
            f"{STATISTICS[statistic][0].lower()}, {condition.name}, {runs} runs a side",
        )
        for condition in CONDITIONS
        for runs in runs_of(condition)
        for statistic in STATISTICS
    ]
    return max(found, key=lambda each: each[0])


def main() -> None:
    """Write the tables; fail where too many comparisons of the same with the same say better or worse."""
    path = Path(sys.argv[1])
    comparisons = int(sys.argv[2]) if len(sys.argv) > 2 else COMPARISONS
    with_a_change = max(1, comparisons * WITH_A_CHANGE // COMPARISONS)
    start = time.monotonic()
    kinds = list(itertools.product(CONDITIONS, CHANGES))
    with ProcessPoolExecutor(PROCESSES) as pool:
        futures = {
            (condition.name, change): pool.submit(
                measure, condition, change, comparisons if change == "nothing" else with_a_change
            )
            for condition, change in kinds
        }
        windows = [pool.submit(measure_one_run, *each) for each in ONE_RUN]
        cells = {}
        for name, future in futures.items():
            cells[name] = future.result()
            print(f"{time.monotonic() - start:4.0f} s  {name[0]}, {name[1]}", file=sys.stderr)
        of_one_run = [future.result() for future in windows]
    path.write_text(document(cells, of_one_run))
    share, where = worst(cells)
    print(f"{_percent(share)} at most say better or worse where nothing changed: {where}")
    if share > LARGEST_SHARE or any(each.decided for each in of_one_run):
        sys.exit(f"more than {_percent(LARGEST_SHARE)}, or a verdict on one run: see {path}")


if __name__ == "__main__":
    main()
