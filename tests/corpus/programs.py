"""The programs of the corpus: deterministic, but for those whose moments or addresses cannot be."""

from dataclasses import dataclass

from runner.capture.buckets import LinearBuckets, LogBuckets
from runner.capture.declaration import KeyDeclaration, KeyType, TableDeclaration

ROOM = 4096


def _table(
    name: str, kind: str, *types: KeyType, unsigned: bool = False, **other: object
) -> TableDeclaration:
    keys = tuple(KeyDeclaration(f"k{place}", each) for place, each in enumerate(types))
    return TableDeclaration(name, f"@{name}", kind, "none", keys, unsigned=unsigned, **other)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class CorpusProgram:
    """A program and its tables.

    :param is_same: Its tables are equal on every release.
    :param since: The first release that takes it.
    :param room: How many keys each map has room for.
    :param options: What bpftrace is started with besides.
    """

    name: str
    text: str
    tables: tuple[TableDeclaration, ...]
    is_same: bool = True
    since: tuple[int, int] = (0, 17)
    room: int = ROOM
    buffer_pages: int | None = None
    tells_errors: bool = False


_BIG = "(uint64)9007199254740993"
_MOST = "(uint64)18446744073709551615"

PROGRAMS = (
    CorpusProgram(
        "scalars",
        f"""BEGIN {{
  @count = count(); @count = count(); @sum = sum((int64)-5); @sum_u = sum({_MOST}); @sum_big = sum({_BIG});
  @avg = avg((int64)-5); @avg = avg((int64)-6); @value = (int64)-7; @value_u = {_MOST};
  @stats = stats((int64)-5); @stats = stats((int64)-6); @stats_u = stats({_MOST}); @stats_u = stats({_MOST});
  @by_key[(int64)-1, {_MOST}] = count(); @by_key[(int64)2147483648, {_BIG}] = count();
  @sums[(int64)1] = sum((int64)4294967296); @averages[(int64)1] = avg((int64)7); @averages[(int64)2] = avg((int64)-7);
  @statistics[(int64)1] = stats((int64)4294967296); @statistics[(int64)2] = stats((int64)-3);
  exit();
}}""",
        (
            _table("count", "count"),
            _table("sum", "sum"),
            _table("sum_u", "sum", unsigned=True),
            _table("sum_big", "sum"),
            _table("avg", "avg"),
            _table("value", "value"),
            _table("value_u", "value", unsigned=True),
            _table("stats", "stats"),
            _table("stats_u", "stats", unsigned=True),
            _table("by_key", "count", "integer", "unsigned"),
            _table("sums", "sum", "integer"),
            _table("averages", "avg", "integer"),
            _table("statistics", "stats", "integer"),
        ),
    ),
    CorpusProgram(
        "extremes",
        """BEGIN {
  @least[(uint64)0] = max((int64)9223372036854775804); @least[(uint64)1] = max((int64)9223372036854775800);
  @greatest[(uint64)1] = max((int64)9223372036854775801);
  @greatest_u[(uint64)0] = max((int64)5); @greatest_u[(uint64)1] = max((int64)9223372036854775807);
  exit();
}""",
        (
            _table("least", "min"),
            _table("greatest", "max"),
            _table("greatest_u", "max", unsigned=True),
        ),
    ),
    CorpusProgram(
        "hist",
        """BEGIN {
  @h = hist((int64)-1); @h = hist((int64)0); @h = hist((int64)1); @h = hist((int64)20); @h = hist((int64)1073741824);
  unroll(20) { @keyed[(int64)1] = hist((int64)20); }
  @keyed[(int64)2] = hist((int64)3);
  exit();
}""",
        (
            _table("h", "histogram", buckets=LogBuckets(0)),
            _table("keyed", "histogram", "integer", buckets=LogBuckets(0)),
        ),
    ),
    CorpusProgram(
        "hist-above-31-bits",
        "BEGIN { @h = hist((uint64)2147483648); @h = hist((uint64)4294967296); @h = hist((uint64)9007199254740993); exit(); }",
        (_table("h", "histogram", buckets=LogBuckets(0)),),
        is_same=False,
    ),
    CorpusProgram(
        "hist-bits",
        """BEGIN {
  @h = hist((int64)-5, 2); @h = hist((int64)5, 2); @h = hist((int64)1000, 2); @h = hist((int64)9007199254740993, 2);
  @keyed[(int64)1] = hist((int64)1000, 5);
  exit();
}""",
        (
            _table("h", "histogram", buckets=LogBuckets(2)),
            _table("keyed", "histogram", "integer", buckets=LogBuckets(5)),
        ),
        since=(0, 20),
    ),
    CorpusProgram(
        "lhist",
        """BEGIN {
  @l = lhist((int64)-5, 0, 10, 2); @l = lhist((int64)5, 0, 10, 2); @l = lhist((int64)50, 0, 10, 2);
  @keyed[(int64)1] = lhist((int64)2000, 0, 4096, 1024);
  exit();
}""",
        (
            _table("l", "histogram", buckets=LinearBuckets(0, 10, 2)),
            _table("keyed", "histogram", "integer", buckets=LinearBuckets(0, 4096, 1024)),
        ),
    ),
    CorpusProgram(
        "computed-buckets",
        """BEGIN {
  @h[(int64)1, (uint64)5] = count(); @h[(int64)1, (uint64)251] = count(); @h[(int64)2, (uint64)124] = count();
  @series[(uint64)10] = count(); @series[(uint64)10] = count(); @series[(uint64)12] = count();
  exit();
}""",
        (
            _table("h", "histogram", "integer", buckets=LogBuckets(2)),
            _table("series", "time-series", interval_ns=100_000_000),
        ),
    ),
    CorpusProgram(
        "tseries",
        """interval:ms:20 {
  @t = tseries((int64)20, 100ms, 5); @keyed[(int64)1] = tseries((int64)-20, 100ms, 5); @i += 1; if (@i > 12) { exit(); }
}""",
        (
            _table("t", "time-series", interval_ns=100_000_000),
            _table("keyed", "time-series", "integer", interval_ns=100_000_000),
        ),
        is_same=False,
        since=(0, 24),
    ),
    CorpusProgram(
        "hexadecimal",
        r"""BEGIN {
  unroll(20) { @h[(int64)1] = hist((int64)20); @l = lhist((int64)20, 0, 100, 10); @s = stats((int64)20); @c = count(); }
  printf("%s\n", "\xc3\xbc");
  exit();
}""",
        (
            _table("h", "histogram", "integer", buckets=LogBuckets(0)),
            _table("l", "histogram", buckets=LinearBuckets(0, 100, 10)),
            _table("s", "stats"),
            _table("c", "count"),
        ),
    ),
    CorpusProgram(
        "stacks",
        """BEGIN {
  @plain[(int64)1, kstack, (int64)2] = count(); @perf[kstack(perf)] = count();
  @user[(int64)1, ustack(perf, 3)] = count(); @plain_user[ustack(3)] = count();
  exit();
}""",
        (
            _table("plain", "count", "integer", "kernel-stack", "integer"),
            _table("perf", "count", "kernel-stack"),
            _table("user", "count", "integer", "user-stack"),
            _table("plain_user", "count", "user-stack"),
        ),
        is_same=False,
    ),
    CorpusProgram(
        "raw-stacks",
        "BEGIN { @kernel[(int64)1, kstack(raw)] = count(); @user[ustack(raw, 3)] = count(); exit(); }",
        (_table("kernel", "count", "integer", "kernel-stack"), _table("user", "count", "user-stack")),
        is_same=False,
        since=(0, 18),
    ),
    CorpusProgram(
        "tuples",
        """BEGIN {
  @t[(int64)1, (uint64)2] = count(); @t[(int64)1, (uint64)2] = count(); @t[(int64)-1, (uint64)18446744073709551615] = count();
  @user[(int64)7, ustack(perf, 3)] = count();
  exit();
}
END { for ($row : @t) { print(("@t", $row.0, $row.1)); } for ($row : @user) { print(("@user", $row.0, $row.1)); } }""",
        (_table("t", "count", "integer", "unsigned"), _table("user", "count", "integer", "user-stack")),
        is_same=False,
        since=(0, 21),
    ),
    CorpusProgram(
        "interval-prints",
        """interval:ms:50 {
  @c[(int64)1] = count(); @s = stats((int64)5); print(@c); print(@s); @i = count(); @n += 1; if (@n == 3) { exit(); }
}""",
        (_table("c", "count", "integer"), _table("s", "stats"), _table("i", "count"), _table("n", "value")),
    ),
    CorpusProgram(
        "empty",
        """BEGIN {
  @c = count(); clear(@c); @keyed[(int64)1] = count(); clear(@keyed); @h = hist((int64)5); clear(@h);
  @s = stats((int64)5); clear(@s); @sum = sum((int64)5); clear(@sum); @v = (int64)5; clear(@v);
  exit();
}""",
        (
            _table("c", "count"),
            _table("keyed", "count", "integer"),
            _table("h", "histogram", buckets=LogBuckets(0)),
            _table("s", "stats"),
            _table("sum", "sum"),
        ),
    ),
    CorpusProgram(
        "zeroed",
        """BEGIN {
  @c = count(); zero(@c); @keyed[(int64)1] = count(); zero(@keyed); @h = hist((int64)5); zero(@h);
  @histograms[(int64)1] = hist((int64)5); zero(@histograms); @sum = sum((int64)5); zero(@sum);
  exit();
}""",
        (
            _table("c", "count"),
            _table("keyed", "count", "integer"),
            _table("h", "histogram", buckets=LogBuckets(0)),
            _table("histograms", "histogram", "integer", buckets=LogBuckets(0)),
            _table("sum", "sum"),
        ),
    ),
    # 0.23 divides by zero when it prints them, and dies: SIGFPE, no map after them.
    CorpusProgram(
        "zeroed-statistics",
        "BEGIN { @a = count(); @s = stats((int64)5); zero(@s); @z = count(); exit(); }",
        (_table("a", "count"), _table("s", "stats"), _table("z", "count")),
        is_same=False,
    ),
    CorpusProgram(
        "full-maps",
        """BEGIN {
  @c[(int64)1] = count(); @c[(int64)2] = count(); @c[(int64)3] = count(); @c[(int64)4] = count();
  @s[(int64)1] = stats((int64)1); @s[(int64)2] = stats((int64)2); @s[(int64)3] = stats((int64)3); @s[(int64)4] = stats((int64)4);
  exit();
}""",
        (_table("c", "count", "integer"), _table("s", "stats", "integer")),
        is_same=False,
        room=2,
    ),
    CorpusProgram(
        "errors",
        """BEGIN {
  $task = (struct task_struct*)8; @pid = (int64)$task->pid; $none = (uint64)0; @text = str($none + 16);
  @missing[(int64)1] = (int64)1; @found = @missing[(int64)2]; @quotient = (uint64)5 / $none;
  @c[(int64)1] = count(); @c[(int64)2] = count(); @c[(int64)3] = count();
  exit();
}""",
        (_table("pid", "value"), _table("c", "count", "integer")),
        is_same=False,
        room=2,
        tells_errors=True,
    ),
    CorpusProgram(
        "lost",
        """BEGIN { unroll(100) { printf("%s%s%s%s\\n", "A", "A", "A", "A"); @n = count(); } exit(); }""".replace(
            '"A"', f'"{"x" * 50}"'
        ),
        (_table("n", "count"),),
        is_same=False,
        buffer_pages=1,
    ),
)
