from runner.bpftrace.attachment import missing_probes

PROGRAM = """// tracepoint:a:commented
tracepoint:tcp:tcp_probe,
tracepoint:tcp:tcp_retransmit_skb /pid == 1/ { @a = count(); }
kprobe:tcp_sendmsg { @b = count(); }
/* uprobe:/x:y { } */
uprobe:/bin/ls:one, uprobe:/bin/ls:two { @c = count(); }
uprobe:/lib/c.so:mal* { @d = count(); }
interval:s:1 { @e = count(); }
"""
ALL = ["tcp_probe", "tcp_retransmit_skb", "tcp_sendmsg", "/bin/ls", "/bin/ls", "/usr/bin/bpftrace"]


def test_a_program_that_is_attached():
    assert missing_probes(PROGRAM, ALL) == []


def test_each_probe_that_is_not():
    assert missing_probes(PROGRAM, ALL[1:]) == ["tcp_probe"]
    assert missing_probes(PROGRAM, ALL[:2] + ALL[3:]) == ["tcp_sendmsg"]
    assert missing_probes(PROGRAM, ALL[:4]) == ["1 of 2 in /bin/ls"]


def test_a_link_to_many_functions_does_not_say_which():
    assert missing_probes(PROGRAM, ALL[:2] + ALL[3:], ["kprobe_multi"]) == []
    assert missing_probes(PROGRAM, ALL[1:], ["kprobe_multi"]) == ["tcp_probe"]
    assert missing_probes(PROGRAM, ALL[:3], ["uprobe_multi", "uprobe_multi"]) == []
    assert missing_probes(PROGRAM, ALL[:3], ["uprobe_multi"]) == ["2 of 2 in /bin/ls"]
    assert missing_probes(PROGRAM, ALL[:2] + ALL[3:], ["uprobe_multi", "perf"]) == ["tcp_sendmsg"]


def test_a_link_stands_for_one_function():
    two = "kprobe:f { @a = count(); } kretprobe:f { @b = count(); } kprobe:g { @c = count(); }"
    assert missing_probes(two, ["g"], ["kprobe_multi"]) == []
    assert missing_probes(two, ["x"], ["kprobe_multi"]) == ["f", "g"]


QUOTED = """
uprobe:"/opt/a b, c":one,
uprobe:"/proc/7/root/x":0x1f
/pid == 1/ { @a = count(); }
uretprobe:"/opt/a b, c":"f$1" { @b = count(); }
"""


def test_paths_in_quotes():
    assert missing_probes(QUOTED, ["/opt/a b, c", "/proc/7/root/x", "/opt/a b, c"]) == []
    assert missing_probes(QUOTED, ["/opt/a b, c"]) == ["1 of 1 in /proc/7/root/x", "1 of 2 in /opt/a b, c"]
