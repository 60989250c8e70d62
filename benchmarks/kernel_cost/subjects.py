"""What each recipe is measured with: a load, and the tools of others that do the same or nearly so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """One recipe.

    :param load: Of `loads.LOADS`.
    :param arguments: What the recipe is given besides; `{load}` is the load's program.
    :param script: The tool of bpftrace, and `script_differs` in what its work is not the recipe's.
    :param others: Tools of libbpf-tools with their arguments, and in what their work is not the recipe's.
    """

    recipe: str
    load: str
    arguments: tuple[str, ...] = ()
    script: str = ""
    script_differs: str = ""
    others: tuple[tuple[str, str], ...] = ()


_ONE_HISTOGRAM = "one histogram, by no key"
_LINE = "a line of output for each"

SUBJECTS = (
    Subject(
        "runqlat", "wake", (), "runqlat.bt",
        f"{_ONE_HISTOGRAM}; does not say whose the wait was",
        (("runqlat", _ONE_HISTOGRAM), ("runqlat -P", "a histogram of each process; no totals")),
    ),
    Subject("sched-switches", "wake"),
    Subject("offcpu", "wake", (), "", "", (("offcputime", "total time by stacks; no histogram, no states"),)),
    Subject("thread-time", "wake"),
    Subject(
        "syscount", "call", (), "syscount.bt",
        "by call, and by thread's name; not by both, and no errors",
        (
            ("syscount -P -i 60", "by process alone; no errors"),
            ("syscount -x -i 60", "failed calls alone, by call"),
        ),
    ),
    Subject(
        "syscall-latency", "call", (), "", "",
        (("syscount -L -P -i 60", "calls and total time by process, not by call; no histogram"),),
    ),
    Subject("function-calls", "function", ("--function", "{load}:load_function")),
    Subject(
        "function-latency", "function", ("--function", "{load}:load_function"), "", "",
        (("funclatency {load}:load_function", _ONE_HISTOGRAM),),
    ),
    Subject("cpu-profile", "spin", ("--hertz", "999")),
    Subject(
        "file-opens", "open", (), "opensnoop.bt", f"{_LINE}; no counts",
        (("opensnoop", f"{_LINE}; no counts"),),
    ),
    Subject("fileslower", "read-file"),
    Subject("vfs-read-latency", "read-file"),
    Subject("fork-rate", "fork", (), "pidpersec.bt", "one counter, by no key"),
    Subject(
        "execsnoop", "start", (), "execsnoop.bt", "the arguments at the start alone; no results",
        (("execsnoop", "a line for each"),),
    ),
    Subject("softirqs", "datagram", (), "", "", (("softirqs -d", "histograms by vector, not by processor"),)),
    Subject("tcp-connects", "connect", (), "tcpconnect.bt", "a line for each connect; no errors, no accepts"),
    Subject("tcpconnlat", "connect", (), "", "", (("tcpconnlat", _LINE),)),
    Subject("tcptop", "transfer", (), "", "", (("tcptop 60", "by process and connection"),)),
    Subject(
        "tcp-retrans", "transfer", (), "tcpretrans.bt",
        "knows no owners: it watches retransmits alone",
    ),
    Subject(
        "biolatency", "read-device", (), "biolatency.bt",
        f"{_ONE_HISTOGRAM}; time in queue and device together",
        (("biolatency -D -F", "a histogram by device and flags; no queue time"),),
    ),
    Subject(
        "bitesize", "read-device", (), "bitesize.bt",
        "by name of who runs at the issue; no device, no operation",
        (("bitesize", "by name of who runs at the issue"),),
    ),
    Subject(
        "packet-drops", "dropped", (), "tcpdrop.bt",
        "a line and a stack for each, of packets with a socket alone",
    ),
)  # fmt: skip
"""Every recipe of the catalogue; a test holds the two together."""
