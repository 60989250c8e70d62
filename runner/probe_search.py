"""What can be attached here: probes that match a pattern, with their arguments and types."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.bpftrace.listing import list_probes
from runner.errors import HostRefused, ValueRefused
from runner.host import probe_index, probes
from runner.host.families import probe_families
from runner.host.kernel import is_root
from runner.host.kernel_config import read_kernel_config
from runner.host.libraries import find_binary
from runner.host.trials import try_fentry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.bpftrace.version import Bpftrace
    from runner.host.btf_types import Argument

# bpftrace's own short names, and the names of older releases.
_SEARCHED = (
    "tracepoint", "rawtracepoint", "kprobe", "kretprobe", "fentry", "fexit", "uprobe", "uretprobe", "usdt",
)  # fmt: skip
_SHORT = {
    "t": "tracepoint", "rt": "rawtracepoint", "k": "kprobe", "kr": "kretprobe", "f": "fentry", "fr": "fexit",
    "kfunc": "fentry", "kretfunc": "fexit", "u": "uprobe", "ur": "uretprobe", "U": "usdt",
}  # fmt: skip
_FAMILIES = {name: name for name in _SEARCHED} | _SHORT
_IN_FILES = ("uprobe", "uretprobe", "usdt")
_OF_RETURNS = {"kretprobe": "kprobe", "fexit": "fentry"}
_KERNEL_NAME = re.compile(r"[\w.*]+")
_FILE = re.compile(r"[^\s:{}\"';]+")
_NAME_IN_FILE = re.compile(r"[^\s{}\"';]+")
_MOST_NEAR = 5
_MANY_NAMES = 20_000


class Probe(NamedTuple):
    """A probe that can be attached here.

    :param arguments: None where they are not known.
    """

    name: str
    arguments: list[Argument] | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """What to look for.

    :param family: None for any of the kernel's.
    :param scope: A category, module or file; None for any.
    :param name: With `*` for any characters.
    """

    text: str
    family: str | None
    scope: str | None
    name: str


@dataclass(slots=True)
class Found:
    """What matches, sorted, and what the reader must know of it."""

    probes: list[Probe] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def parse_pattern(text: str) -> Pattern:
    """Return a pattern.

    :raises ValueRefused: It is none.
    """
    if ":" not in text:
        return Pattern(text, None, None, _kernel_name(text, text))
    given, _, rest = text.partition(":")
    family = _FAMILIES.get(given)
    if family is None:
        near = difflib.get_close_matches(given, _SEARCHED, n=1, cutoff=0.8)
        hint = (
            f"did you mean {near[0]}:{rest}?"
            if near
            else f"families that are searched: {', '.join(_SEARCHED)}"
        )
        raise ValueRefused(f"{text!r}: {given!r} is no family of probes that is searched", hint=hint)
    scope, has_scope, name = rest.partition(":")
    if family in _IN_FILES:
        if not has_scope or not _FILE.fullmatch(scope) or not _NAME_IN_FILE.fullmatch(name):
            raise ValueRefused(
                f"{text!r}: a {family} is in a program or library", hint=f"such as {family}:libc:*alloc*"
            )
        return Pattern(text, family, scope, name)
    if not has_scope:
        if family == "tracepoint":
            raise ValueRefused(
                f"{text!r}: a tracepoint has a category and a name", hint=f"such as {given}:{rest or 'tcp'}:*"
            )
        return Pattern(text, family, None, _kernel_name(text, rest))
    return Pattern(text, family, _kernel_name(text, scope), _kernel_name(text, name))


def _kernel_name(text: str, name: str) -> str:
    if not _KERNEL_NAME.fullmatch(name):
        raise ValueRefused(
            f"{text!r}: {name!r} is no name of the kernel's: letters, digits, _ and ., and * for any",
            hint="such as 'tracepoint:tcp:*' or 'tcp_retransmit*'",
        )
    return name


def search(pattern: Pattern, bpftrace: Callable[[], Bpftrace]) -> Found:
    """Return what matches.

    :param bpftrace: Is asked what files have.
    :raises HostRefused: Nothing matches; near names are told.
    """
    if pattern.family in _IN_FILES:
        return _in_file(pattern, bpftrace())
    tracefs = probes.tracefs_root()
    found = Found()
    names: list[str] = []
    wanted = [pattern.family] if pattern.family else ["tracepoint", "rawtracepoint", "kprobe", "fentry"]
    for family in wanted:
        why_not = _absent(_OF_RETURNS.get(family, family))
        if why_not is not None:
            if pattern.family is not None:
                raise HostRefused(
                    f"this kernel has no {family} probes: {why_not}",
                    hint="`ebpf-recipe doctor` says what would bring them",
                )
            continue
        if family == "tracepoint":
            names += _tracepoints(pattern, tracefs, found)
        elif family == "rawtracepoint":
            names += _raw_tracepoints(pattern, tracefs, found)
        else:
            names += _functions(pattern, family, tracefs, found)
    if not found.probes:
        raise _nothing(pattern, names, found.notes)
    found.probes.sort()
    return found


def _absent(family: str) -> str | None:
    """Return why a family of probes is not here, or None where it is."""
    root = Path("/")
    state = next(each for each in probe_families(root, read_kernel_config(root)) if each.name == family)
    if state.is_there is False:
        return state.evidence
    if family == "fentry" and is_root() and try_fentry() != 0:
        return "the kernel refuses one on trial"
    return None


def _tracepoints(pattern: Pattern, tracefs: Path | None, found: Found) -> list[str]:
    matches = _glob(pattern.name)
    if tracefs is None:
        names = probe_index.described_tracepoints()
        found.notes.append(
            "tracefs cannot be read (it takes root, and mount -t tracefs tracefs /sys/kernel/tracing): "
            "categories, system calls and some fields are not known"
        )
        chosen = [name for name in names if matches(name)]
        found.probes += [Probe(f"tracepoint:*:{name}", probe_index.described_fields(name)) for name in chosen]
        return [f"tracepoint:*:{name}" for name in names]
    in_category = _glob(pattern.scope or "*")
    everything = probe_index.tracepoints(tracefs)
    found.probes += [
        Probe(f"tracepoint:{category}:{name}", probe_index.tracepoint_fields(tracefs, category, name))
        for category, name in everything
        if in_category(category) and matches(name)
    ]
    return [f"tracepoint:{category}:{name}" for category, name in everything]


def _raw_tracepoints(pattern: Pattern, tracefs: Path | None, found: Found) -> list[str]:
    names = probe_index.described_tracepoints()
    if not names and tracefs is not None:
        # A kernel without BTF; that of system calls is one for all of them.
        names = sorted(
            {name for category, name in probe_index.tracepoints(tracefs) if category != "syscalls"}
        )
    matches = _glob(pattern.name)
    found.probes += [
        Probe(f"rawtracepoint:{name}", _numbered(probe_index.raw_arguments(name)))
        for name in names
        if matches(name)
    ]
    return [f"rawtracepoint:{name}" for name in names]


def _functions(pattern: Pattern, family: str, tracefs: Path | None, found: Found) -> list[str]:
    functions, is_exact = probe_index.traceable_functions(tracefs)
    if not is_exact:
        found.notes.append(
            "available_filter_functions cannot be read: some of these functions may not be probed"
        )
    matches, in_module = _glob(pattern.name), _glob(pattern.scope or "*")
    names = []
    for function, module in functions.items():
        name = f"{family}:{module}:{function}" if module else f"{family}:{function}"
        names.append(name)
        if matches(function) and (pattern.scope is None or in_module(module or "vmlinux")):
            arguments = _passed(family, function, module)
            # fentry takes its arguments from the type information: without it there is no such probe.
            if arguments is not None or family not in ("fentry", "fexit"):
                found.probes.append(Probe(name, arguments))
    return names


def _passed(family: str, function: str, module: str) -> list[Argument] | None:
    returned = probe_index.function_returns(function, module)
    results = [("retval", returned)] if returned not in (None, "void") else []
    arguments = probe_index.function_arguments(function, module)
    if arguments is None or returned is None:
        return None
    match family:
        case "kretprobe":
            return results
        case "fexit":
            return _numbered([*arguments, *results])
        case _:
            return _numbered(arguments)


def _numbered(arguments: list[Argument] | None) -> list[Argument] | None:
    """Return arguments, those without a name as bpftrace numbers them."""
    if arguments is None:
        return None
    return [
        (name or ("..." if type_of == "..." else f"arg{index}"), type_of)
        for index, (name, type_of) in enumerate(arguments)
    ]


def _in_file(pattern: Pattern, bpftrace: Bpftrace) -> Found:
    assert pattern.scope is not None
    file = pattern.scope
    if "/" not in file:
        found_at = find_binary(file)
        if found_at is None:
            raise HostRefused(f"there is no program and no library {file!r}", hint="name it with its path")
        file = found_at
    elif "*" not in file and not Path(file).is_file():
        raise HostRefused(f"there is no file {file}", hint="check the path: it is that of this host")
    # What returns is listed as what is entered: it is the same functions.
    kind = "usdt" if pattern.family == "usdt" else "uprobe"
    listed, are_described = list_probes(bpftrace, f"{kind}:{file}:{pattern.name}")
    if not listed:
        everything, _ = list_probes(bpftrace, f"{kind}:{file}:*")
        raise _nothing(pattern, list(everything), [])
    notes = [] if are_described else [f"{len(listed)} probes: their arguments are told for fewer at once"]
    found = Found(notes=notes)
    for probe, arguments in sorted(listed.items()):
        name = f"{pattern.family}:{probe.partition(':')[2]}"
        # A file without debugging information looks like functions without arguments.
        found.probes.append(Probe(name, arguments if arguments and kind == pattern.family else None))
    return found


def _nothing(pattern: Pattern, names: list[str], notes: Iterable[str]) -> HostRefused:
    near = _near(pattern.name, names) or _near_scopes(pattern, names)
    hint = f"near: {', '.join(near)}" if near else "nothing here has a name like it"
    holding = sum(pattern.name in name.rpartition(":")[2] for name in names)
    if "*" not in pattern.name and holding > _MOST_NEAR:
        hint = f"{holding} have it in their names: '*{pattern.name}*'"
    return HostRefused(f"nothing here matches {pattern.text!r}", hint="\n  ".join([hint, *notes]))


def _near(pattern: str, names: list[str]) -> list[str]:
    """Return the probes whose names are nearest to a pattern's literal text."""
    word = max(pattern.split("*"), key=len)
    if not word:
        return []
    by_name = {name.rpartition(":")[2]: name for name in names}
    holding = sorted((name for name in by_name if word in name), key=len)
    if not holding:
        # Comparing takes 10 us and more for each name.
        alike = [name for name in by_name if len(by_name) < _MANY_NAMES or name[:2] == word[:2]]
        holding = difflib.get_close_matches(word, alike, n=_MOST_NEAR)
    return [by_name[name] for name in holding[:_MOST_NEAR]]


def _near_scopes(pattern: Pattern, names: list[str]) -> list[str]:
    """Return the patterns whose categories or modules are nearest to a pattern's."""
    scopes = {parts[1] for parts in (name.split(":") for name in names) if len(parts) > 2}
    near = difflib.get_close_matches(pattern.scope or "", scopes, n=_MOST_NEAR)
    return [f"{pattern.family}:{scope}:{pattern.name}" for scope in near]


def _glob(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a name matches: `*` is any characters, as bpftrace has it."""
    regex = re.compile(".*".join(re.escape(piece) for piece in pattern.split("*")))
    return lambda name: regex.fullmatch(name) is not None
