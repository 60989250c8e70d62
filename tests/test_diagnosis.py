import re
from pathlib import Path

import pytest

from runner.bpftrace.diagnosis import diagnose, pattern_names, warnings_of
from runner.errors import HostRefused, TraceFailed

PAGE = (Path(__file__).parents[1] / "docs" / "troubleshooting.md").read_text()
NOISE = 'ERROR: Unknown error -1: couldn\'t set RLIMIT_MEMLOCK for bpftrace. If your program is not loading, you can try "ulimit -l 8192" to fix the problem\n'


@pytest.mark.parametrize(
    ("stderr", "name", "kind"),
    [
        ("ERROR: bpftrace currently only supports running as the root user.", "not-root", HostRefused),
        (
            "ERROR: Missing CAP_BPF capability, please run bpftrace as the root user.",
            "missing-capability",
            HostRefused,
        ),
        (
            "Kernel lockdown is enabled and set to 'confidentiality'. Lockdown mode blocks",
            "lockdown",
            HostRefused,
        ),
        ("stdin:1:1-27: ERROR: tracepoint not found: tcp:nothing", "tracepoint-missing", HostRefused),
        ("ERROR: tracepoint format file not found: /sys/x", "tracepoint-missing", HostRefused),
        (
            "create_probe_event: open(/sys/kernel/debug/tracing/kprobe_events): No such file or directory\nERROR: Error attaching probe: 'kprobe:x'",
            "kprobes-missing",
            HostRefused,
        ),
        (
            "stdin:1:1-9: ERROR: kfunc/kretfunc not available for your kernel version.",
            "fentry-missing",
            HostRefused,
        ),
        ("ERROR: Error loading program: tracepoint:a:b (try -v)", "verifier", TraceFailed),
        (
            "ERROR: Error loading BPF program for tracepoint_a_b_1. Error code: -13 (Permission denied).",
            "verifier",
            TraceFailed,
        ),
        ("ERROR: Error attaching probe: uprobe:/bin/x:f", "attach", TraceFailed),
        (
            "ERROR: Unable to attach probe: uprobe:/x:f. If this is expected, set the 'missing_probes' config variable to 'warn'.",
            "attach",
            TraceFailed,
        ),
        ("stdin:1:1-2: ERROR: syntax error, unexpected }", "syntax", TraceFailed),
        ("stdin:1:1-2: ERROR: Unknown function: 'f'", "program", TraceFailed),
        (
            "ERROR: Can't attach to 9999 probes because it exceeds the current limit of 512 probes.",
            "too-many-probes",
            TraceFailed,
        ),
        ("FATAL: Invalid probe type made it to attachpoint parser", "probe-kind", HostRefused),
    ],
)
def test_each_failure_has_its_name_and_its_line(stderr, name, kind):
    error = diagnose(1, (NOISE + stderr).encode())
    assert type(error) is kind
    assert error.message.endswith(f"[{name}]")
    assert "RLIMIT" not in error.message
    assert error.hint
    assert ("`ebpf-recipe doctor`" in error.hint) == (kind is HostRefused)


def test_every_failure_is_in_the_page_of_failures():
    rows = re.findall(r"^\| `\[([a-z-]+)\]`", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(pattern_names())


def test_what_stdout_says_counts():
    assert diagnose(1, NOISE.encode(), b"No probes to attach\n").message.endswith("[attach]")


def test_an_unknown_failure_shows_what_was_said():
    error = diagnose(-11, NOISE.encode() + b"something new\n")
    assert error.message == "bpftrace ended before it was ready (was ended by signal 11): something new"
    assert diagnose(3, NOISE.encode()).message.endswith("(exit 3): it said nothing")


def test_warnings_without_the_noise():
    assert warnings_of(NOISE.encode() + b"WARNING: a map is full\n\n") == ["WARNING: a map is full"]


def test_harmless_warnings_go_with_the_lines_that_belong_to_them():
    stderr = (
        b"stdin:35:69-71: WARNING: Addrspace mismatch\n  @a = count();\n       ~~\n"
        b"stdin:2:1-5: WARNING: something else\n  @b = count();\n  ~~~~\n"
    )
    assert warnings_of(stderr) == ["stdin:2:1-5: WARNING: something else", "  @b = count();", "  ~~~~"]
