"""What programs are attached to: by links, perf events, network interfaces and cgroups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.errors import HostRefused
from runner.host.bpf_objects import integer
from runner.host.btf_types import kernel_types, module_types
from runner.host.network_namespaces import other_network_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from runner.host.bpf_objects import KernelLink
    from runner.host.bpftool import Bpftool

MOST_NAMESPACES = 100
"""Network namespaces that are looked into: bpftool is started in each."""

_OF_INTERFACES = ("xdp", "tcx", "netkit")
"""Links of interfaces: bpftool looks for the interface's name in our own namespace, wherever it is."""

_EVENTS = {"tracepoint": "tracepoint", "file": "uprobe", "func": "kprobe", "addr": "kprobe"}
"""What kind of event a link is of, by the field that only that kind has (bpftool 7.3)."""

_MOST_FUNCTIONS = 3


@dataclass(frozen=True, slots=True)
class Attachment:
    """One place that a program is attached to.

    :param target: Event, function, interface, cgroup; None where it is not said.
    :param link: The link that attaches it, if one does.
    :param namespace: The inode of the network namespace, where it is not ours.
    :param pid: The process whose event it is.
    :param pins: Where the link is pinned, which keeps it when no process does.
    """

    kind: str
    target: str | None
    link: int | None = None
    namespace: int | None = None
    pid: int | None = None
    interface: int | None = None
    pins: tuple[str, ...] = ()


def find_attachments(
    tool: Bpftool, links: Sequence[KernelLink], notes: list[str]
) -> dict[int, list[Attachment]]:
    """Return what each program is attached to, by its id.

    :param notes: Takes what could not be seen.
    """
    found: dict[int, list[Attachment]] = {}

    def ask(read: Callable[[], Iterator[tuple[int, Attachment]]]) -> None:
        try:
            for program, attachment in read():
                found.setdefault(program, []).append(attachment)
        except HostRefused as error:
            notes.append(f"not all attachments are known: {error.message}")

    ask(lambda: _of_networks(tool, notes))
    ask(lambda: _of_perf(tool.json("perf", "show")))
    ask(lambda: _of_cgroups(tool))
    for link in links:
        _add_link(found.setdefault(link.program, []), link, tool)
    return {program: each for program, each in found.items() if each}


def times(attachments: Sequence[Attachment]) -> list[tuple[Attachment, int]]:
    """Return different attachments with how often each is there, as events are of each processor.

    Of several links with one target the first is named.
    """
    alike = [replace(each, link=None, pid=None) for each in attachments]
    counts = Counter(alike)
    firsts = {each: attachments[alike.index(each)] for each in counts}
    return [(firsts[each], count) for each, count in counts.items()]


def _of_networks(tool: Bpftool, notes: list[str]) -> Iterator[tuple[int, Attachment]]:
    yield from _of_network(tool.json("net", "show"), None, "")
    others = other_network_namespaces()
    if len(others) > MOST_NAMESPACES:
        notes.append(
            f"{MOST_NAMESPACES} of {len(others)} other network namespaces were looked into: "
            "what is attached to interfaces of the rest is not known"
        )
    for each in others[:MOST_NAMESPACES]:
        try:
            answer = tool.json("net", "show", network=each.path)
        except (HostRefused, OSError) as error:
            if each.path.exists():
                notes.append(f"network namespace {each.name} could not be looked into: {error}")
            continue
        yield from _of_network(answer, each.inode, f" in netns {each.name}")


def _of_network(answer: Any, namespace: int | None, where: str) -> Iterator[tuple[int, Attachment]]:
    for part in answer if isinstance(answer, list) else [answer]:
        if not isinstance(part, dict):
            continue
        for kind, entries in part.items():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict):
                    yield from _of_interface(kind, entry, namespace, where)


def _of_interface(
    kind: str, entry: Mapping[str, Any], namespace: int | None, where: str
) -> Iterator[tuple[int, Attachment]]:
    device = entry.get("devname") or ""
    # A program in each of several modes, or one.
    several = entry.get("multi_attachments")
    for each in several if isinstance(several, list) else [entry]:
        # Up to bpftool 7.2 the program is the `id`; later that may be a link's.
        program = integer(each, "prog_id")
        program = integer(each, "id") if program is None else program
        if program is None:
            continue
        mode = each.get("mode") or entry.get("kind") or ""
        target = f"{device} {mode}".strip() + where if device else where.strip() or None
        yield (
            program,
            Attachment(
                kind.replace("_", "-"),
                target,
                link=integer(each, "link_id") or None,
                namespace=namespace,
                interface=integer(entry, "ifindex"),
            ),
        )


def _of_perf(answer: Any) -> Iterator[tuple[int, Attachment]]:
    for entry in answer if isinstance(answer, list) else ():
        program = integer(entry, "prog_id") if isinstance(entry, dict) else None
        if program is not None:
            kind = str(entry.get("fd_type", "")).replace("_", "-")
            yield program, Attachment(kind, _event(entry), pid=integer(entry, "pid"))


def _event(entry: Mapping[str, Any]) -> str | None:
    """Return the tracepoint, function, file or counter that an event is of."""
    if "event_type" in entry:
        return f"{entry['event_type']} {entry.get('event_config', '')}".strip()
    name = entry.get("tracepoint") or entry.get("func") or entry.get("filename") or entry.get("file")
    if name is None:
        address = integer(entry, "addr")
        return f"{address:#x}" if address else None
    offset = integer(entry, "offset")
    return f"{name}+{offset:#x}" if offset else str(name)


def _of_cgroups(tool: Bpftool) -> Iterator[tuple[int, Attachment]]:
    try:
        answer = tool.json("cgroup", "tree")
    except HostRefused as error:
        if "mount" in error.message:
            return  # no hierarchy of version 2: nothing is attached to one
        raise
    for group in answer if isinstance(answer, list) else ():
        programs = group.get("programs") if isinstance(group, dict) else None
        for entry in programs if isinstance(programs, list) else ():
            program = integer(entry, "id") if isinstance(entry, dict) else None
            if program is not None:
                yield (
                    program,
                    Attachment(f"cgroup {entry.get('attach_type', '')}".strip(), group.get("cgroup")),
                )


def _add_link(known: list[Attachment], link: KernelLink, tool: Bpftool) -> None:
    """Add what a link attaches, or name the link where the attachment is known by another way."""
    made = _of_link(link, tool)
    for place, each in enumerate(known):
        is_interface = link.type in _OF_INTERFACES and each.interface == made.interface
        is_cgroup = link.type == "cgroup" and each.kind == made.kind
        is_event = (each.kind, each.target) == (made.kind, made.target)
        if each.link == link.identity or (each.link is None and (is_interface or is_cgroup or is_event)):
            known[place] = replace(each, link=link.identity, pins=link.pins)
            return
    # Before bpftool 7.3 a link of an event does not say which; the event itself did, where it has a name.
    is_named = any(each.pid is not None for each in known)
    if link.pins or not (made.target is None and link.type == "perf_event" and is_named):
        known.append(made)


def _of_link(link: KernelLink, tool: Bpftool) -> Attachment:
    fields, kind = link.fields, link.type.replace("_", "-")
    attach = fields.get("attach_type")
    interface = None
    target: str | None = None
    match link.type:
        case "raw_tracepoint":
            target = fields.get("tp_name")
        case "tracing":
            kind = str(attach).removeprefix("trace_").replace("_", "-") if attach is not None else kind
            target = _function(integer(fields, "target_obj_id"), integer(fields, "target_btf_id"), tool)
        case "cgroup":
            kind = f"cgroup {attach}"
            target = f"cgroup {fields.get('cgroup_id')}"
        case "netns":
            kind, target = f"netns {attach}", f"network namespace {fields.get('netns_ino')}"
        case "iter":
            target = fields.get("target_name")
        case "kprobe_multi" | "uprobe_multi":
            kind = kind.replace("probe", "retprobe") if fields.get("retprobe") else kind
            target = _functions(fields)
        case "perf_event":
            base = next((named for field, named in _EVENTS.items() if field in fields), kind)
            kind = base.replace("probe", "retprobe") if fields.get("retprobe") else base
            target = _event(fields)
        case "struct_ops":
            target = f"map {fields.get('map_id')}"
        case "netfilter":
            target = f"family {fields.get('pf')}, hook {fields.get('hook')}, priority {fields.get('prio')}"
        case _ if link.type in _OF_INTERFACES:
            interface = integer(fields, "ifindex")
            target = f"interface {interface} of a namespace that is not known" if interface else "detached"
        case _:
            pass
    return Attachment(kind, target, link=link.identity, interface=interface, pins=link.pins)


def _functions(fields: Mapping[str, Any]) -> str | None:
    """Return the first functions of a link that has many, or how many there are."""
    functions = fields.get("funcs")
    listed = functions if isinstance(functions, list) else []
    names = [each["func"] for each in listed if isinstance(each, dict) and isinstance(each.get("func"), str)]
    count = integer(fields, "func_cnt") or len(names)
    shown = names[:_MOST_FUNCTIONS]
    text = ", ".join(shown)
    if count > len(shown):
        text = f"{text} and {count - len(shown)} more" if text else f"{count} places"
    return f"{fields['path']}: {text}" if isinstance(fields.get("path"), str) else text or None


def _function(types: int | None, identity: int | None, tool: Bpftool) -> str | None:
    """Return the name of a function that the kernel's type information numbers."""
    if not types or not identity:
        return None
    try:
        answer = tool.json("btf", "show", "id", str(types))
    except HostRefused:
        return None
    described = answer[0] if isinstance(answer, list) and answer else answer
    if not isinstance(described, dict):
        return None
    if not described.get("kernel"):
        return f"program with types {types}"
    name = described.get("name")
    found = kernel_types() if name == "vmlinux" else module_types(str(name))
    if found is None:
        return None
    return next((each for each, number in found.functions.items() if number == identity), None)
