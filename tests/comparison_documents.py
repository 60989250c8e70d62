"""Comparison documents made by hand for tests of what renders them."""

from runner.capture.buckets import LogBuckets
from runner.capture.quantiles import quantiles
from runner.capture.rows import histogram_row

LAYOUT = LogBuckets(2)
HOSTILE = [
    "a|b",
    "`tick`",
    "``two``",
    "<script>alert(1)</script>",
    "line\nfeed",
    "return\rto\tsender",
    "\x1b[2J\x00\x08",
    "50%, a:b ::error::x",
    "]]>&amp;&<![CDATA[",
    "q\"uo'te",
    "@someone #12 *bold* _it_ [x](http://y)",
    "\ud800 \udcff \ufffe",
    "\\|",
    "[bold]rich[/bold]",
    "\u202eright to left",
    "",
]


def distribution(values=()):
    """All events of a side, in quarter octaves."""
    counts = {}
    for value in values:
        bounds = LAYOUT.bounds(LAYOUT.index(value), is_unsigned=False)
        counts[bounds] = counts.get(bounds, 0) + 1
    row = histogram_row({}, counts)
    return {"count": row["count"], "buckets": row["buckets"], "quantiles": row["quantiles"]}


def buckets(*bounds_and_counts):
    """A side whose buckets are given one by one: (lower, upper, count)."""
    made = [{"lower": low, "upper": high, "count": count} for low, high, count in bounds_and_counts]
    ordered = sorted(made, key=lambda bucket: (bucket["lower"] is not None, bucket["lower"]))
    return {"count": sum(each["count"] for each in made), "buckets": made, "quantiles": quantiles(ordered)}


def pair(before=None, after=None, name="latency", unit="us"):
    return {
        "name": name,
        "unit": unit,
        "before": before or distribution(),
        "after": after or distribution(),
    }


def primary(verdict="same", **more):
    words = {"before": "1.2%", "after": "3.3%", "shift": "+2.1 percentage points"}
    words |= {"interval": "+1.2 to +3 percentage points", "margin": "±0.5 percentage points"}
    return {
        "name": "latency",
        "key": {},
        "statistic": "above",
        "threshold": "5ms",
        "unit": "ratio",
        "primary": True,
        "better": "lower",
        "verdict": verdict,
        "before": 0.012,
        "after": 0.033,
        "shift": 0.021,
        "p_value": 0.0022,
        "margin": {"measure": "share", "lower": -0.005, "upper": 0.005},
        "interval": [0.012, 0.03],
        "p_beyond": 0.004,
        "p_same": 1.0,
        "shown": words,
        "reason": f"the reason of {verdict}",
        "anew": "record 8 new runs of each side" if verdict == "inconclusive" else None,
        "runs_needed": 8 if verdict == "inconclusive" else None,
    } | more


def exploratory(name="switches", *, is_found=True, adjusted=0.01, **more):
    return {
        "name": name,
        "key": {"comm": "nginx"},
        "statistic": "rate",
        "unit": "switches/s",
        "primary": False,
        "better": None,
        "verdict": "changed" if is_found else "inconclusive",
        "before": 100.0,
        "after": 150.0,
        "shift": 1.5,
        "p_value": 0.001,
        "adjusted": adjusted,
    } | more


def gate(verdict="pass", counts_as=None, text="latency.p99 <= 10ms", **more):
    return {
        "gate": text,
        "verdict": verdict,
        "counts_as": counts_as or ("pass" if verdict == "pass" else "fail"),
        "measured": {"lower": 8000, "upper": 9999, "unit": "us"},
        "reason": "the bound lies inside" if verdict == "inconclusive" else None,
    } | more


def problem(
    code="other-kernel", *, left_out=False, side="after", files=("after/3.json",), detail="it differs"
):
    return {"code": code, "side": side, "files": list(files), "detail": detail, "left_out": left_out}


def run(number=1, **more):
    return {
        "run_id": f"run-{number}",
        "files": [f"{number}.json"],
        "started_at": "2026-11-24T10:00:00.000Z",
        "seconds": 10.0,
        "windows": 0,
        "work": None,
        "values": [0.01],
    } | more


def side(runs=6, hosts=("vm",), left_out=0):
    return {"runs": [run(number) for number in range(runs)], "hosts": list(hosts), "left_out": left_out}


def comparison(verdict="same", **more):
    """A comparison of six runs a side with one primary outcome."""
    return {
        "schema": "ebpf-recipe/comparison/v1",
        "verdict": verdict,
        "reason": f"the reason of {verdict}",
        "anew": "record 8 new runs of each side" if verdict == "inconclusive" else None,
        "recipe": {"id": "runqlat", "variant": "tracepoint", "digest": "sha256:0"},
        "parameters": {"above": "5ms"},
        "design": {"kind": "abba", "blocks": 3, "alpha": 0.01, "can_decide": True, "interleaved": True},
        "load": {"unit": "events", "before": 1234.0, "after": 1250.0, "differs": False},
        "sides": {"before": side(), "after": side()},
        "tables": [primary(verdict)],
        "distributions": [
            pair(distribution([3000] * 90 + [9000] * 10), distribution([3000] * 80 + [9000] * 20))
        ],
        "problems": [],
        "gates": [],
    } | more


def empty(verdict="inconclusive"):
    """A comparison that could say nothing at all."""
    return comparison(
        verdict,
        recipe={"id": None, "variant": None, "digest": None},
        parameters={},
        design={"kind": "unpaired", "blocks": 0, "alpha": 0.01, "can_decide": False, "interleaved": None},
        load=None,
        sides={"before": side(0, ()), "after": side(0, ())},
        tables=[],
        distributions=[],
    )


def hostile(name):
    """A comparison that has a name of somebody else wherever one can stand."""
    return comparison(
        "worse",
        reason=f"because {name}",
        anew=name,
        recipe={"id": name, "variant": name, "digest": name},
        parameters={name: [name, name]},
        load={"unit": name, "before": 1.0, "after": 1.0, "differs": True},
        sides={"before": side(hosts=[name]), "after": side(hosts=["b", name])},
        tables=[
            primary("worse", name=name, key={name: name}, reason=name, anew=name, threshold=name, unit=name),
            exploratory(
                name, key={name: {"text": name, "base64": ""}, "n": 3, "s": [{"symbol": name}], "x": None}
            ),
        ],
        problems=[problem(files=[name], detail=name), problem("unreadable", left_out=True, files=[name])],
        gates=[gate("fail", text=name, reason=name), gate("inconclusive", text=name, reason=name)],
        distributions=[pair(distribution([5] * 30), distribution([9] * 30), name=name, unit=name)],
    )


def nothing_known(row):
    """The same outcome where no number is known."""
    known = dict.fromkeys(("before", "after", "shift", "p_value"))
    rest = ("shown", "margin", "interval", "p_beyond", "p_same", "adjusted", "reason", "anew", "runs_needed")
    return {name: value for name, value in row.items() if name not in rest} | known
