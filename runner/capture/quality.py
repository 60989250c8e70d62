"""What makes a result less than it looks: the one table of rules, from problem to grade and cure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.capture.document import Grade, Problem

_ORDER: tuple[Grade, ...] = ("usable", "degraded", "void")


@dataclass(frozen=True, slots=True)
class Rule:
    """One problem that a capture can have.

    :param grade: The best grade that a capture with this problem can have.
    :param counts: What the problem's `count` counts.
    :param cure: What to do about it, where something can be done.
    """

    grade: Grade
    meaning: str
    counts: str
    cure: str | None = None


RULES: dict[str, Rule] = {
    "output-incomplete": Rule(
        "void", "bpftrace did not print its last map: what stands before it may be missing too", "nothing"
    ),
    "probes-not-attached": Rule(
        "void", "probes of the program are not attached: what they would have counted is missing", "probes"
    ),
    "probes-missing": Rule(
        "degraded", "a script's probes are not attached; a script may name some that only other kernels have",
        "probes", "bpftrace -l finds what this kernel has",
    ),
    "output-limit": Rule(
        "degraded", "bpftrace printed more than is kept and was ended", "bytes that were dropped",
        "narrow the run with a filter (--comm, --pod) or make it shorter",
    ),
    "map-full": Rule(
        "degraded", "a map had no room for more keys: events of new keys are in no row",
        "events that are in no row, at least; null where bpftrace does not say",
        "give the maps more room with --max-map-keys, or narrow the run with a filter",
    ),
    "map-unprinted": Rule(
        "degraded", "tables contradict each other: bpftrace did not print a map, or had no room in it",
        "samples that one of them lacks", "run it again; a newer bpftrace, or --max-map-keys",
    ),
    "lost-events": Rule(
        "degraded", "what bpftrace wanted to print found no room in its buffer; maps are not concerned",
        "things to print that were lost, at least", "give the buffer more room with --buffer-pages",
    ),
    "events-missing": Rule(
        "degraded", "events that the program counted did not arrive: there was no room for them", "events",
        "give the buffer more room with --buffer-pages, or narrow the run with a filter (--comm, --pod)",
    ),
    "events-damaged": Rule(
        "degraded", "of events parts were lost on their way: those fields are null, and marked", "events",
        "give the buffer more room with --buffer-pages",
    ),
    "rows-damaged": Rule(
        "degraded", "a key came out of bpftrace damaged and could not be recovered; the row is marked",
        "rows", "give the buffer more room with --buffer-pages",
    ),
    "spaces-lost": Rule(
        "degraded", "bpftrace since 0.24 prints keys in JSON without their spaces: rows are marked `damaged`",
        "rows", "save text (-f text) with these releases, or run the script with ebpf-recipe",
    ),
    "parentheses-lost": Rule(
        "usable", "bpftrace since 0.24 prints a text that is the only key without parentheses around it",
        "rows whose key may have had some", "give the map a second key (any number)",
    ),
    "rows-ambiguous": Rule(
        "degraded", "rows that can be read in more than one way: marked `ambiguous`, and not guessed", "rows",
        "give decode the script (--script) and the release (--bpftrace-version)",
    ),
    "lines-unreadable": Rule(
        "degraded", "lines begin as bpftrace's and are none: they are kept as messages", "lines"
    ),
    "output-unrecognized": Rule(
        "degraded", "no map and no notice shows that bpftrace printed this: it may be anything", "nothing"
    ),
    "output-cut": Rule(
        "degraded", "the output ends in the middle of a line: what would follow is missing",
        "bytes of that line",
    ),
    "release-unclear": Rule(
        "degraded", "the output has marks of releases that exclude each other", "nothing",
        "name the release with --bpftrace-version",
    ),
    "release-unproven": Rule(
        "usable", "what this release of bpftrace prints is known from its source, not from runs of it",
        "nothing",
    ),
    "missed-events": Rule(
        "degraded", "the kernel left out events that came while another BPF program ran on that processor",
        "events", "end the other BPF programs (`ebpf-recipe programs --stats 2s` names them)",
    ),
    "ends-missed": Rule(
        "degraded",
        "the kernel did not run the program when something ended that it followed: a later event shows it",
        "events that are in no row, at least; some may be in missed-events too",
        "end the other BPF programs (`ebpf-recipe programs`); some kernels run none while process 1 runs",
    ),
    "returns-missed": Rule(
        "degraded", "a kretprobe follows only so many calls to their return at a time; others are missing",
        "calls that are in no row, at least", "a kernel with BPF trampolines (fentry) sees every return",
    ),
    "samples-dropped": Rule(
        "degraded", "samples by the clock fell into other BPF programs and were dropped", "samples",
        "end the other BPF programs, or sample at a lower rate",
    ),
    "ticks-missing": Rule(
        "degraded", "intervals of the program fell into other BPF programs and were dropped", "intervals",
        "end the other BPF programs, or make the interval longer",
    ),
    "strings-cut": Rule(
        "degraded", "texts are longer than what is kept of them: rows of different texts may be one", "rows"
    ),
    "stacks-cut": Rule(
        "degraded", "stacks are deeper than what is kept of them: their outermost frames are missing", "rows",
        "sysctl kernel.perf_event_max_stack, which is 127 unless somebody changed it",
    ),
    "stacks-lost": Rule(
        "degraded", "bpftrace could not find stacks that it had stored; their rows have none", "stacks",
        "give the maps more room with --max-map-keys",
    ),
    "helper-errors": Rule(
        "degraded", "the kernel refused what the program asked of it (a read)", "refusals, at least"
    ),
    "first-counts-lost": Rule(
        "degraded", "bpftrace 0.20 to 0.23 lose the first event of a row that two processors make at once",
        "events, each out of one row", "bpftrace 0.24 or later",
    ),
    "target-gone": Rule(
        "degraded", "cgroups that were asked for went away; later ones of the same name are others",
        "cgroups",
        "ask for what stays: the pod (--pod), or a cgroup above",
    ),
    "cgroups-unnamed": Rule(
        "degraded", "cgroups came and went before anybody could see what they are called",
        "rows without a name",
    ),
    "pod-incomplete": Rule(
        "degraded",
        "the engine makes no cgroup for a pod: those of its containers that start later are missing",
        "cgroups that were looked at",
        "configure containerd and the kubelet for the same cgroup driver (SystemdCgroup)",
    ),
    "runtime-errors": Rule(
        "degraded", "the program divided by zero or went past the end of an array", "errors, at least"
    ),
    "workload-failed": Rule(
        "degraded", "the command failed: this is not the load that was meant", "nothing"
    ),
    "work-unreadable": Rule(
        "usable", "how much the command did is not known: what it wrote is not NUMBER [UNIT]", "nothing",
        "write one line into $EBPF_RECIPE_WORK: 12000 requests",
    ),
    "tracer-stopped": Rule("degraded", "bpftrace was stopped for a part of the window", "nothing"),
    "runner-stalled": Rule(
        "degraded", "the runner did not end the window in time; bpftrace ended itself", "nothing"
    ),
    "ended-early": Rule(
        "degraded", "the run ended before its time: somebody else ended bpftrace, or the command was over",
        "nothing",
    ),
    "over-budget": Rule(
        "usable", "the run took more of the processors than its --budget, and ended: its window is shorter",
        "nothing", "take a cheaper recipe, fewer probes, or a bigger --budget",
    ),
    "repaired": Rule(
        "usable", "bpftrace printed values in a damaged form, and each was restored exactly", "values"
    ),
}  # fmt: skip


def problem(code: str, count: int | None, detail: str) -> Problem:
    """Return a problem, with its cure where there is one.

    :param code: One of RULES.
    """
    made: Problem = {"code": code, "count": count, "detail": detail}
    cure = RULES[code].cure
    if cure is not None:
        made["cure"] = cure
    return made


def grade(problems: Iterable[Problem]) -> Grade:
    """Return the grade of a capture with these problems."""
    return max((RULES[each["code"]].grade for each in problems), key=_ORDER.index, default="usable")
