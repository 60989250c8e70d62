r"""Scripts that nobody wrote for our product: what people keep in maps and print, with everything that is awkward.

Most run in BEGIN alone and print the same whenever they run. What cannot: addresses of tasks, offsets in
stacks, the year and the time, and what a child prints when.
"""

from dataclasses import dataclass

MAC = "struct m { char mac[6]; };\n"
STRUCTURES = """struct inner { int x; };
struct outer { int a; char b[8]; struct inner d; int arr[3]; };
struct plain { int a; struct inner d; };
union either { int a; char b; };
"""
TASK = "(struct {} *)curtask"


@dataclass(frozen=True, slots=True)
class ForeignProgram:
    """A script and how its user starts it.

    :param options: What bpftrace is started with besides the format.
    :param since: The first release that takes it, and `until` the last.
    :param is_same: Its tables are equal in both formats and on every release.
    :param is_merged: stderr goes where stdout goes, as with `2>&1`.
    """

    name: str
    text: str
    options: tuple[str, ...] = ()
    since: tuple[int, int] = (0, 17)
    until: tuple[int, int] = (0, 99)
    is_same: bool = False
    is_merged: bool = False


def _begin(name: str, body: str, *, head: str = "", **other: object) -> ForeignProgram:
    return ForeignProgram(name, f"{head}BEGIN {{\n{body.strip(chr(10))}\n  exit();\n}}\n", **other)  # type: ignore[arg-type]


FOREIGN = (
    # Numbers
    _begin(
        "scalars",
        """
  @n = 5; @neg = -5; @zero = 0; @count = count(); @count = count(); @sum = sum(7); @sum = sum(-9);
  @min = min(3); @min = min(8); @max = max(3); @max = max(8); @avg = avg(4); @avg = avg(8);
  @stats = stats(4); @stats = stats(8);
""",
        is_same=True,
    ),
    _begin(
        "keyed-scalars",
        """
  @n["a"] = 5; @n["b"] = -5; @count[1] = count(); @count[-1] = count(); @count[-1] = count(); @sum["x", 1] = sum(7);
  @min[1] = min(3); @min[2] = min(8); @max["a", 1, -2] = max(3); @avg["a"] = avg(4); @avg["b"] = avg(-8);
  @stats["a"] = stats(4); @stats["b"] = stats(-8); @one[0] = 0; @numbers["5"] = 1; @numbers["007"] = 2;
""",
        is_same=True,
    ),
    _begin("counts-of-numbers-as-texts", '  @digits["5"] = 1; @digits["17"] = 2; @minus["-0"] = 1;', is_same=True),
    _begin(
        "big",
        """
  @p53 = (uint64)9007199254740993; @p63 = (uint64)9223372036854775809; @most = (uint64)18446744073709551615;
  @least = (int64)-9223372036854775807; @keyed[(uint64)18446744073709551615, (int64)-9007199254740993] = 1;
  @values[1] = (uint64)9007199254740993; @values[2] = (uint64)5; @sum = sum((uint64)9007199254740993);
  @sums[1] = sum((uint64)18446744073709551615); @sums[2] = sum((uint64)3);
  @max = max((int64)9223372036854775807); @avg = avg((int64)9007199254740993);
  @stats = stats((int64)9007199254740993); @text = "9007199254740993"; @texts["9007199254740993"] = 1;
  print((uint64)18446744073709551615);
""",
    ),
    # Types of bpftrace's own
    _begin(
        "pointers",
        """
  @ptr = (uint8 *)0xffff888100c953c0; @null = (uint8 *)0; @key[(uint8 *)0xffff888100c953c0] = 1;
  @keys[(uint8 *)0xffff888100c953c0, 1] = 2; @value[1] = (uint8 *)0xffff888100c953c0; @value[2] = (uint8 *)16;
  @task = curtask; @tuple = (1, (uint8 *)0xffff888100c953c0);
""",
    ),
    _begin(
        "enums",
        "  @value = RED; @key[GREEN] = 1; @keys[RED, GREEN] = count(); @values[1] = GREEN; @tuple = (RED, 1);",
        head="enum color { RED = 1, GREEN = 2 };\n",
    ),
    _begin(
        "buffers",
        r"""
  @value = buf("ab\x01\xff", 4); @key[buf("q\"x", 3)] = 2; @keys[buf("a\x00b", 3), 1] = 3;
  @values[1] = buf("a, b", 4); @values[2] = buf("]: 5", 4); @bytes = buf("\x01\x02", 2);
""",
    ),
    _begin(
        "inet",
        """
  @value = ntop(0x0100007f); @key[ntop(0x0100007f), 1] = 3; @one[ntop(0x0200007f)] = count();
  @values[1] = ntop(0x0100007f); @values[2] = ntop(0x0200007f); @v6 = ntop(pton("fe80::1"));
  @v6s[ntop(pton("::1")), ntop(pton("2001:db8::7"))] = 1;
""",
        is_same=True,
    ),
    _begin(
        "mac",
        f"""
  $m = {TASK.format("m")};
  @value = macaddr($m->mac); @key[macaddr($m->mac)] = 1; @values[1] = macaddr($m->mac); @values[2] = macaddr($m->mac);
  @tuples[1] = (2, macaddr($m->mac), "x"); @keys[macaddr($m->mac), "a b"] = 1;
""",
        head=MAC,
    ),
    _begin(
        "structures",
        f"""
  @value = *{TASK.format("outer")}; @values[1] = *{TASK.format("outer")}; @plain = *{TASK.format("plain")};
  @plains["k"] = *{TASK.format("plain")}; @union = *(union either *)curtask; @unions[1] = *(union either *)curtask;
  @tuple = (1, *{TASK.format("plain")}); print(*{TASK.format("plain")}); print(*{TASK.format("outer")});
""",
        head=STRUCTURES,
    ),
    _begin(
        "structures-as-keys",
        f"""
  @plain[*{TASK.format("plain")}] = 1; @plains[*{TASK.format("plain")}, 7] = 2; @one[*{TASK.format("inner")}] = 3;
""",
        head=STRUCTURES,
    ),
    _begin(
        "arrays",
        f"""
  @value = pton("127.0.0.1"); @key[pton("127.0.0.1")] = 1; @keys[pton("127.0.0.1"), 1] = 1; @values[1] = pton("1.2.3.4");
  @ints = ({TASK.format("outer")})->arr; @v6 = pton("::1");
""",
        head=STRUCTURES,
    ),
    _begin("booleans", "  @value = true; @key[true] = 1; @keys[false, 1] = 2; @values[1] = false; @values[2] = true; @equal = 1 == 1;"),
    _begin(
        "timestamps",
        """
  @year = strftime("%Y", nsecs); @time = strftime("%H:%M:%S", nsecs); @values[1] = strftime("%H:%M", nsecs);
  @words = strftime("a, b", nsecs); @key[strftime("%Y-%m", nsecs), 1] = 1; @tuple = (1, strftime("%H:%M", nsecs));
  print(strftime("%Y", nsecs));
""",
    ),
    _begin("errors-by-name", "  @value = strerror(13); @values[1] = strerror(2); @values[2] = strerror(1); @tuple = (1, strerror(2));"),
    _begin(
        "symbols",
        """
  @value = ksym(kaddr("schedule")); @values[1] = ksym(kaddr("schedule")); @values[2] = ksym(kaddr("vfs_read"));
  @values[3] = ksym(kaddr("schedule")); @key[ksym(kaddr("schedule"))] = 1; @keys[ksym(kaddr("schedule")), 1] = 1;
""",
        is_same=True,
    ),
    _begin("who", "  @user = username; @probe = probe; @probes[probe, 1] = 1; @users[username] = count(); @group = cgroup_path(2); @groups[1] = cgroup_path(2);"),
    # Stacks
    _begin(
        "stacks",
        """
  @value = kstack(2); @values[1] = kstack(2); @values[2] = kstack(2); @key[kstack(2)] = 1;
  @keys["a b", kstack(2), 7] = count(); @two[kstack(1), kstack(2)] = 1; @sums[kstack(2), "x"] = sum(5);
  print(kstack(1));
""",
    ),
    _begin("stacks-in-tuples", '  @value = (1, kstack(1)); @values[1] = ("a", kstack(2), 3); print((1, kstack(1)));'),
    _begin("stacks-in-modes", '  @perf = kstack(perf, 2); @perfs[kstack(perf, 2), "a"] = 1; @last[1, kstack(perf, 1)] = count();'),
    _begin("stacks-raw", '  @raw = kstack(raw, 2); @raws[kstack(raw, 2), "a"] = 1; @raws_alone[kstack(raw, 1)] = 2;', since=(0, 23)),
    _begin("stacks-as-histograms", "  @h[kstack(2)] = hist(5); @l[kstack(2), 1] = lhist(5, 0, 10, 5); @s[kstack(2)] = stats(5);"),
    # Tuples and records
    _begin(
        "tuples",
        """
  @value = (1, "a,b", (2, -3)); @values["k"] = (1, "x"); @values["l"] = (2, "(y)"); @pair = (1, 2);
  print((1, "a,b", (2, 3))); print((1, "x"));
""",
    ),
    _begin(
        "tuples-as-keys",
        """
  @one[(1, "a")] = 1; @one[(2, "b, c")] = 2; @nested[1, (2, 3)] = 4; @texts[("a", "b")] = count(); $t = (7, "v"); @variable[$t] = 5;
  @both[(1, (2, "x")), "y"] = 6;
""",
        since=(0, 22),
    ),
    _begin(
        "records",
        """
  @value = (a = 1, b = "x y"); @values[1] = (a = 1, b = "x, .b = y"); @key[(a = 1, b = 2)] = 3; @keys[(a = 1, b = "x y"), 2] = 3;
  print((a = 1, b = 2));
""",
        since=(0, 27),
    ),
    # Texts
    _begin(
        "plain-texts",
        '  @value = "text"; @empty = ""; @key["nginx"] = 1; @keys["nginx", "worker"] = 2; @values[1] = "a"; @values[2] = "bc"; @keys3["a", 1, "b"] = 3;',
        is_same=True,
    ),
    _begin(
        "escapes",
        r"""
  @newline["a\nb"] = "c\nd"; @quote["a\\b\"c"] = "x\\y\"z"; @tab["a\tb"] = "\t"; @empty[""] = ""; @empties["", "", 1] = 2;
  @end = "x\n"; @only["\n"] = 1; @crlf["a\r\nb"] = "\r"; @backslash["\\"] = "\\n"; @control["\x01"] = "\x1b[0m";
""",
    ),
    _begin(
        "not-ascii",
        """
  @utf8["é日本"] = "ü"; @two["é", "日"] = 1; @counts["é"] = count(); @h["é"] = hist(1000000); @h2 = hist(20); printf("é\\n");
""",
    ),
    _begin("not-utf8", r'  @bytes["a\xff\xfeb"] = "\xc3"; @two["\x80", 1] = 1; @counts["\xff"] = count(); printf("a\xff\n");'),
    _begin(
        "brackets",
        """
  @key["a]: 1"] = 2; @key["b]"] = 3; @value["k"] = "]: 3"; @value["l"] = "plain"; @texts["a]: b"] = "c]: d"; @colon["a: b"] = 1; @alone["[x]"] = 1;
""",
    ),
    _begin(
        "forged-values",
        r"""
  @v = "x\n@fake: 5"; @w["a"] = "1\n@w[b]: 2"; @z["a"] = "y\n@v: 9"; @k["a\n@v: 7"] = 1; @h["q"] = "\n[0]   1 |@@|";
""",
    ),
    _begin("spaces-in-numbers", '  @key["1 2"] = 1; @other["12"] = 2; @both["3 4"] = 1; @both["34"] = 2; @hex["be: ef"] = 1; @true["tr ue"] = 1;'),
    _begin("texts-of-digits", '  @one = "5"; @mixed["a"] = "5"; @mixed["b"] = "x"; @all["a"] = "5"; @all["b"] = "-7"; @true = "true"; @array = "[1,2]";'),
    _begin("not-printed-at-the-end", '  @x = 5; @y["a"] = 1; print(@y); printf("last\\n");', head="config = { print_maps_on_exit = 0 }\n", since=(0, 23)),
    # Difficult names as keys
    _begin(
        "difficult-names",
        """
  @count["(sd-pam)"] = count(); @count["(q r)"] = count(); @count["a, b"] = count(); @count["plain"] = count();
  @sum["(sd-pam)"] = sum(5); @avg["(q r)"] = avg(5); @avg["a, b"] = avg(7); @stats["(sd-pam)"] = stats(5); @stats["a, b"] = stats(6);
  @min["(q r)"] = min(2); @value["(q r)"] = "(v w)"; @value["a, b"] = "c, d"; @value["Isolated Web Co"] = "kworker/0:1";
""",
    ),
    _begin(
        "difficult-names-and-numbers",
        """
  @count["(sd-pam)", 1] = count(); @count["(q r)", 2] = count(); @count["a, b", 3] = count(); @count["plain", 4] = count();
  @avg["a, b", 7] = avg(7); @avg["c", 8] = avg(9); @h["a, b", 1] = hist(5); @h["c", 2] = hist(6);
""",
    ),
    _begin(
        "difficult-histograms",
        """
  @hist["(sd-pam)"] = hist(5); @hist["(q r)"] = hist(0); @hist["a, b"] = hist(-5); @hist["a]: b"] = hist(3);
  @lhist["(sd-pam)"] = lhist(5, 0, 20, 10); @lhist["a, b"] = lhist(50, 0, 20, 10);
""",
    ),
    _begin("difficult-series", '  @t["(q r)"] = tseries(5, 1s, 3); @t["a, b"] = tseries(-7, 1s, 3); @t["é"] = tseries(30, 1s, 3); @one = tseries(300, 1s, 3);', since=(0, 24)),
    _begin("collide", '  @count["c d"] = count(); @count["cd"] = count(); @count["c d"] = count(); @value["c d"] = 1; @value["cd"] = 2; @h["c d"] = hist(1); @h["cd"] = hist(9);'),
    _begin(
        "duplicates",
        """
  @value["a,b", "c"] = 1; @value["a", "b,c"] = 2; @count["a,b", "c"] = count(); @count["a", "b,c"] = count();
  @spaced["a, b", "c"] = 1; @spaced["a", "b, c"] = 2; @h["a,b", "c"] = hist(1); @h["a", "b,c"] = hist(1); @text["a,b", "c"] = "x"; @text["a", "b,c"] = "y";
""",
    ),
    # Histograms
    _begin(
        "histograms",
        """
  @h = hist(5); @h = hist(-5); @h = hist(0); @h = hist(1000000); @l = lhist(55, 0, 100, 10); @l = lhist(-1, 0, 100, 10);
  @l = lhist(1000, 0, 100, 10); @hs["a"] = hist(1); @hs["b"] = hist(2); @hs["b"] = hist(1024); @ls[1, "x"] = lhist(5, 0, 10, 5);
""",
        is_same=True,
    ),
    _begin("histogram-above-31-bits", "  @h = hist((uint64)2147483648); @h = hist((uint64)5000000000); @h = hist((uint64)1099511627776); @h = hist(1073741824); @below = hist(1000000000);"),
    _begin("histograms-of-bits", "  @h = hist(5, 2); @h = hist(100, 2); @keyed[1] = hist(1000, 3);", since=(0, 20), is_same=True),
    # Printing
    _begin(
        "prints",
        """
  @x[1] = 5; print(@x); @x[2] = 6; print(@x); printf("between\\n"); print(@x, 1); print(@x, 0, 2); @h = hist(5); print(@h); @n = 1; print(@n); @n = 2;
  @c[1] = count(); print(@c); clear(@c);
""",
        is_same=True,
    ),
    _begin("prints-of-values", '  @x[1] = 5; @t["k"] = (1, "x"); print(@x[1]); print(@t["k"]); print("text"); print(5); print(-1); print("@x[1]: 9");', since=(0, 20)),
    _begin(
        "cleared",
        """
  @e[1] = 1; clear(@e); @z[1] = count(); zero(@z); @sc = count(); clear(@sc); @hz = hist(1); zero(@hz); @hc = hist(1); clear(@hc);
  @sz = stats(1); clear(@sz); @hk["a"] = hist(1); zero(@hk); @d[1] = 1; @d[2] = 2; delete(@d[1]); @x[1] = 5; @lk["a"] = lhist(1, 0, 2, 1); zero(@lk);
""",
    ),
    _begin("loops", '  @m["a"] = 1; @m["b, c"] = 2; for ($kv : @m) { print($kv); printf("%s=%d\\n", $kv.0, $kv.1); }', since=(0, 21)),
    _begin("anonymous", "  @ = count();", is_same=True),
    _begin("anonymous-keyed", '  @["a", 1] = count(); @["b", 2] = count();', is_same=True),
    _begin(
        "says",
        r"""
  printf("hello %d\n", 1); printf("no newline"); printf("a\tb\x01\"q\\\n"); printf("%s %r\n", "x", buf("abc", 3)); time("%Y\n");
  cat("/proc/sys/kernel/ostype"); system("echo out; echo 'two \"q\"'"); print("text"); print((1, "x")); printf("\n"); printf("two\nlines\n"); @x = 5;
""",
        options=("--unsafe",),
        is_same=True,
    ),
    _begin("says-no-newline-last", '  @x = 5; @y["a"] = "b"; printf("no newline");', is_same=True),
    _begin("says-nothing-of-maps", '  printf("%-10s %5d\\n", "name", 7);', is_same=True),
    _begin(
        "forged",
        r"""
  @x = 5; @k["a"] = 1; printf("@x: 77\n"); printf("@k[a]: 78\n@k[b]: 79\n"); printf("@other: 80\n");
  printf("{\"type\": \"map\", \"data\": {\"@x\": 81}}\n"); printf("@h:\n[0]    3 |@@@|\n\n"); printf("@k[open\n"); @h = hist(5);
""",
    ),
    _begin("warns", '  errorf("bad %d", 1); warnf("oh %s", "x"); @x = 5;', since=(0, 27)),
    _begin("warns-merged", '  errorf("bad %d", 1); warnf("oh"); @x = 5;', since=(0, 27), is_merged=True),
    _begin(
        "warned-at-compile-time",
        '  @x = (uint64)5; if ((int64)-1 < (uint64)3) { @y["a"] = 6; } @t[1] = strftime("%Y", nsecs);',
        is_merged=True,
    ),
    _begin("division", "  @a[1] = 1; @zero = 0; @x = 5 / (uint64)@zero;", is_merged=True),
    _begin("checked-reads", "  $p = (uint64 *)(8 + nsecs - nsecs); @x = *$p; @y[1] = 1;", options=("-k",), until=(0, 23)),
    _begin("statistics-zeroed", "  @a = avg(4); zero(@a); @k[1] = avg(4); zero(@k); @s = stats(3); zero(@s);"),
    _begin("full-map", "  @a[1] = 1; @a[2] = 2; @a[3] = 3; @c[1] = count(); @c[2] = count(); @c[3] = count();", head="config = { max_map_keys = 2 }\n", since=(0, 20), is_merged=True, is_same=True),
    # With children
    ForeignProgram(
        "child", 'BEGIN { @x = 5; @k["a b"] = 1; } END { printf("end\\n"); }\n', ("-c", "/bin/echo hello from the child")
    ),
    ForeignProgram("child-forges", 'BEGIN { @x = 5; @k["a"] = 1; }\n', ("-c", "/bin/echo @x: 77")),
    ForeignProgram("child-without-newline", "BEGIN { @x = 5; @k[1] = 2; }\n", ("-c", "/bin/echo -n half"), is_same=True),
    ForeignProgram(
        "joins",
        "tracepoint:syscalls:sys_enter_execve /pid == cpid/ { join(args->argv); @calls[probe] = count(); }\n",
        ("-c", "/bin/echo a b"),
        is_same=True,
    ),
    ForeignProgram(
        "profile",
        'profile:hz:99 { @[kstack(3), cpu < 1000] = count(); @names[comm] = count(); } interval:ms:300 { time("%H:%M\\n"); exit(); }\n',
    ),
)  # fmt: skip
"""All of them, by what they are about."""
