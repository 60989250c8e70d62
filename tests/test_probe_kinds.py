"""What calls a program: from what the kernel says of its event, its link or itself."""

import pytest

from runner.host.bpf import Attachment
from runner.host.probe_kinds import kind_of
from runner.probe_costs import PROBE_COSTS


@pytest.mark.parametrize(
    ("program", "attachment", "link", "kind"),
    [
        (5, Attachment(1, "sched_switch"), None, "tracepoint"),
        (5, Attachment(1, "sys_enter"), "perf", "syscall"),
        (5, Attachment(1, "sys_exit_read"), None, "syscall"),
        (2, Attachment(2, "vfs_read"), None, "kprobe"),
        (2, Attachment(3, "vfs_read"), None, "kretprobe"),
        (2, Attachment(4, "/bin/sys_enter"), None, "uprobe"),
        (2, Attachment(5, "/bin/x"), None, "uretprobe"),
        (2, None, "uprobe_multi", "uretprobe"),
        (2, None, "kprobe_multi", "kretprobe"),
        (7, None, None, "timer"),
        (26, None, "tracing", "fentry"),
        (17, None, None, "raw-tracepoint"),
        # Of what nothing is known the most is thought.
        (2, None, None, "uretprobe"),
        (99, None, None, "uretprobe"),
    ],
)
def test_kinds_of_probes(program, attachment, link, kind):
    assert kind_of(program, attachment, link) == kind
    assert kind in PROBE_COSTS
