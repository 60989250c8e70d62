"""What each recipe is measured with: a load, and the tools of others that do the same or nearly so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """One recipe.

    :param load: Of `loads.LOADS`.
    :param arguments: What the recipe is given besides; `{load}` is the load's program.
    :param plain_differs: In what the work of the script in `plain/`, where there is one, is not the recipe's.
    :param script: The tool of bpftrace, and `script_differs` in what its work is not the recipe's.
    :param is_filtered: It is measured, too, where it is asked for another process than the load.
    :param others: Tools of libbpf-tools with their arguments, and in what their work is not the recipe's.
    """

    recipe: str
    load: str
    arguments: tuple[str, ...] = ()
    plain_differs: str = ""
    script: str = ""
    script_differs: str = ""
    others: tuple[tuple[str, str], ...] = ()
    is_filtered: bool = False


_ONE_HISTOGRAM = "one histogram, by no key"
_LINES = "a line of output for each; no counts"
_ISSUER = "by the name of who runs at the issue; no device, no operation"
_NO_TOTAL = "no total beside the rows"
_NO_ABI = "32-bit programs' calls among the others"
_NOT_FOLLOWED = "no count of what was not followed"
_FUNCTION = ("--function", "{load}:load_function")

SUBJECTS = (
    Subject(
        "runqlat", "wake", plain_differs="by thread, not by process",
        script="runqlat.bt", script_differs=_ONE_HISTOGRAM,
        others=(("runqlat -P", "a histogram of each process; no totals"), ("runqlat", _ONE_HISTOGRAM)),
        is_filtered=True,
    ),
    Subject("sched-switches", "wake", plain_differs=_NO_TOTAL, is_filtered=True),
    Subject(
        "offcpu", "wake", plain_differs=f"kernel threads are not apart; {_NOT_FOLLOWED}",
        others=(("offcputime", "total time by stacks; no counts, no states"),),
        is_filtered=True,
    ),
    Subject("thread-time", "wake", is_filtered=True),
    Subject(
        "syscount", "call", plain_differs=f"{_NO_ABI}; {_NO_TOTAL}",
        script="syscount.bt", script_differs="by call, and by thread's name; not by both, and no errors",
        others=(
            ("syscount -P -i 60", "by process alone; no errors"),
            ("syscount -x -i 60", "failed calls alone, by call"),
        ),
        is_filtered=True,
    ),
    Subject(
        "syscall-latency", "call",
        plain_differs=f"{_NO_ABI}; calls that never return stay; {_NO_TOTAL}; {_NOT_FOLLOWED}",
        others=(("syscount -L -P -i 60", "calls and total time by process, not by call; no histogram"),),
        is_filtered=True,
    ),
    Subject("function-calls", "function", _FUNCTION, plain_differs=f"one function alone; {_NO_TOTAL}"),
    Subject(
        "function-latency", "function", _FUNCTION,
        plain_differs=f"one function alone, not inside itself; {_NO_TOTAL}; {_NOT_FOLLOWED}",
        others=(("funclatency {load}:load_function", _ONE_HISTOGRAM),),
    ),
    Subject("cpu-profile", "spin", ("--hertz", "999")),
    Subject(
        "file-opens", "open",
        script="opensnoop.bt", script_differs=_LINES,
        others=(("opensnoop", _LINES),),
        is_filtered=True,
    ),
    Subject("fileslower", "read-file", is_filtered=True),
    Subject("vfs-read-latency", "read-file"),
    Subject(
        "fork-rate", "fork", plain_differs=_NO_TOTAL,
        script="pidpersec.bt", script_differs="one counter, by no key",
    ),
    Subject(
        "execsnoop", "start",
        script="execsnoop.bt", script_differs="what is asked for, not what comes of it",
        others=(("execsnoop", ""),),
    ),
    Subject("softirqs", "datagram", others=(("softirqs -d", "histograms by vector, not by processor"),)),
    Subject(
        "tcp-connects", "connect",
        script="tcpconnect.bt", script_differs="a line for each attempt; no errors, no accepts",
        others=(("tcpconnect -c", "attempts alone"),),
    ),
    Subject("tcpconnlat", "connect", others=(("tcpconnlat", _LINES),)),
    Subject(
        "tcptop", "transfer",
        plain_differs="IPv4 alone, ports in the order of the network; peeks are counted",
        others=(("tcptop 60", ""),),
        is_filtered=True,
    ),
    Subject(
        "tcp-retrans", "transfer",
        script="tcpretrans.bt", script_differs="knows no owners: it watches retransmits alone",
    ),
    Subject(
        "biolatency", "read-device",
        plain_differs=f"operations are letters; split, merged, returned requests are wrong; {_NOT_FOLLOWED}",
        script="biolatency.bt", script_differs=f"{_ONE_HISTOGRAM}; time in queue and device together",
        others=(("biolatency -D -F", "a histogram by device and flags; no time in the queue"),),
    ),
    Subject(
        "bitesize", "read-device",
        plain_differs="operations are letters; flushes count; merged and returned requests are wrong",
        script="bitesize.bt", script_differs=_ISSUER,
        others=(("bitesize", _ISSUER),),
    ),
    Subject(
        "packet-drops", "dropped", plain_differs=f"the protocol, not the version of IP; {_NO_TOTAL}",
        script="tcpdrop.bt", script_differs="a line and a stack for each; packets with a socket alone",
    ),
)  # fmt: skip
"""Every recipe of the catalogue; a test holds the two together."""
