"""A recipe to begin with: file and template that lint has nothing to say about, and that run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.recipe.one_liner import parse_one_liner

if TYPE_CHECKING:
    from datetime import date

    from runner.recipe.one_liner import Key, OneLiner

DEFAULT_ONE_LINER = "tracepoint:syscalls:sys_enter_openat { @calls[pid, comm] = count(); }"

_LAYERS = {
    "block": "io", "scsi": "io", "nvme": "io",
    "tcp": "net", "sock": "net", "net": "net", "skb": "net", "udp": "net", "napi": "net",
    "kmem": "mem", "vmscan": "mem", "compaction": "mem", "oom": "mem", "exceptions": "mem",
    "ext4": "fs", "xfs": "fs", "btrfs": "fs", "writeback": "fs", "filelock": "fs", "filemap": "fs",
    "sched": "sched", "irq": "cpu", "timer": "cpu", "power": "cpu",
}  # fmt: skip
"""The layer that a category of tracepoints belongs to."""

_UNITS = {
    "bytes": "bytes", "size": "bytes", "len": "bytes", "length": "bytes", "count": "bytes",
    "ns": "ns", "nsecs": "ns", "us": "us", "usecs": "us", "ms": "ms", "msecs": "ms",
    "pages": "pages", "sectors": "sectors", "segments": "segments", "packets": "packets",
}  # fmt: skip
"""Units by words in the names of maps and fields."""

_REFERENCES = {
    "tracepoint": "https://docs.kernel.org/trace/events.html",
    "kprobe": "https://docs.kernel.org/trace/kprobes.html",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts of a new recipe's two files."""

    layer: str
    recipe: str
    template: str


def draft_recipe(
    recipe_id: str, one_liner: str | None, layer: str | None, *, author: str, today: date, schema: str
) -> Draft:
    """Write a recipe that counts what a one-liner counts, for the processes that one asks for.

    :param one_liner: None for one that counts the files that processes open.
    :param layer: None for that of the probe.
    :param schema: Where its JSON Schema stands, seen from the recipe's folder.
    :raises ValueRefused: The one-liner cannot be taken apart.
    """
    found = parse_one_liner(one_liner or DEFAULT_ONE_LINER)
    category = found.probes[0].split(":")[1]
    layer = layer or _LAYERS.get(category, "app")
    return Draft(layer, _recipe(recipe_id, found, layer, author, today, schema), _template(found))


def _recipe(recipe_id: str, found: OneLiner, layer: str, author: str, today: date, schema: str) -> str:
    what = " and ".join(dict.fromkeys(probe.rpartition(":")[2] for probe in found.probes))
    unit = _unit(found)
    table = _table(found)
    things = unit if found.kind == "count" else table.replace("_", " ")
    by = f" by {', '.join(key.name for key in found.keys)}" if found.keys else ""
    verb = "Counts" if found.kind == "count" else "Measures"
    title = f"{things[:1].upper()}{things[1:]} of {what}{by}"
    outputs = "".join(_outputs(found, table, unit, f"{things[:1].upper()}{things[1:]} of {what}"))
    total = _total(found, table)
    statistic = "mean-log2" if found.kind == "histogram" else "rate"
    probes = "".join(f"    - {probe}\n" for probe in found.probes)
    reference = _REFERENCES["tracepoint" if found.probes[0].startswith("tracepoint") else "kprobe"]
    return (
        f"# yaml-language-server: $schema={schema}\n"
        "schema: 1\n"
        f"id: {recipe_id}\n"
        f"title: {_quoted(title[:60].rstrip(' ,'))}\n"
        "status: experimental\n"
        f"layer: {layer}\n"
        "stage: detail\n"
        f"description: {_quoted(f'{verb} {things} of {what}{by}.')}\n"
        f"author: {_quoted(author)}\n"
        f"date: {today.isoformat()}\n"
        f"references:\n  - {reference}\n"
        "target:\n  honours:\n"
        "    pid: the process that runs where the probe fires\n"
        "    comm: the name of that process's leader\n"
        "    thread: the name of the thread that runs where the probe fires\n"
        "    cgroup: the cgroup, container or pod of the task that runs where the probe fires\n"
        f"requires:\n  btf: true\n  probes:\n{probes}"
        f"variants:\n  - {{id: plain, description: {_quoted(f'{what}, as the kernel offers it.')}}}\n"
        f"outputs:\n{outputs}"
        + (f"progress: {total}\n" if total else "")
        + f"primary: {{table: {table}, statistic: {statistic}, better: lower}}\n"
        "caveats:\n"
        "  - >-\n"
        "    The process is the one that runs where the probe fires; a probe that fires in an interrupt\n"
        "    names whomever it interrupted.\n"
        f"overhead: {{level: medium, reason: {_quoted(f'One map update for each {what}.')}}}\n"
    )


def _outputs(found: OneLiner, table: str, unit: str, what: str) -> list[str]:
    keys = ", ".join(f"{{name: {key.name}, type: {key.type}}}" for key in found.keys)
    lines = [
        f"  - name: {table}\n",
        f'    map: "@{table}"\n',
        f"    kind: {found.kind}\n",
        f"    unit: {unit}\n",
    ]
    if keys:
        lines.append(f"    keys: [{keys}]\n")
    if found.linear is not None:
        minimum, maximum, step = found.linear
        lines.append(f"    linear: {{minimum: {minimum}, maximum: {maximum}, step: {step}}}\n")
    lines += ["    direction: lower\n", f"    description: {_quoted(f'{what}.')}\n"]
    total = _total(found, table)
    if total:
        lines += [
            f"  - name: {total}\n",
            f'    map: "@{total}"\n',
            "    kind: count\n",
            f"    unit: {unit if found.kind == 'count' else 'events'}\n",
            f"    total_of: {table}\n",
            "    description: All of them, whatever their keys.\n",
        ]
    return lines


def _template(found: OneLiner) -> str:
    table = _table(found)
    head = [f"  ${key.name} = {key.expression};\n" for key in found.keys if key.expression]
    if found.value is not None:
        head.append(f"  $value = {found.value};\n")
    arguments = [f'"{table}"']
    if found.value is not None:
        arguments.append('"$value"')
    arguments += [f'{key.name}="{_given(key)}"' for key in found.keys if not key.type.endswith("-stack")]
    condition = f"({found.condition}) && " if found.condition else ""
    return (
        '{% import "include/task.bt.j2" as task with context %}\n'
        f"// From: {found.text}\n"
        f"{', '.join(found.probes)}\n"
        f'/{condition}{{{{ target.pid.matches("pid") }}}}/\n'
        "{\n"
        "  // Fields are read here, before any branch.\n"
        f"{''.join(head)}"
        "  {{ task.read_names() }}\n"
        "  if ({{ task.is_wanted() }}) {\n"
        f"    {{{{ record({', '.join(arguments)})|indent(2) }}}}\n"
        "  }\n"
        "}\n"
    )


def _given(key: Key) -> str:
    return "$leader" if key.type == "comm" else f"${key.name}"


def _table(found: OneLiner) -> str:
    """Return the table's name: the map's, else what is counted or measured."""
    names = [found.map.strip("_0123456789")]
    names += [each.lower() for each in reversed(re.findall(r"[A-Za-z]\w*", found.value or ""))]
    return next((name for name in names if re.fullmatch(r"[a-z][a-z0-9_]*", name)), _noun(found))


def _total(found: OneLiner, table: str) -> str | None:
    return f"{table}_total" if found.keys and found.kind != "sum" else None


def _noun(found: OneLiner) -> str:
    return "calls" if ":sys_" in found.probes[0] or not found.probes[0].startswith("tracepoint") else "events"


def _unit(found: OneLiner) -> str:
    """Return the unit; `none`, which lint asks about, where nothing tells it."""
    if found.kind == "count":
        return _noun(found)
    words = re.findall(r"[a-z]+", f"{found.map} {found.value}".lower())
    return next((_UNITS[word] for word in words if word in _UNITS), "none")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
