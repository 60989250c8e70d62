"""Facts about a host as a file: written on one host, by us or by a shell script, and used on another."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.errors import NotUnderstood
from runner.host.facts import HostFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SCHEMA = "ebpf-recipe/facts/v1"

_FACTS = TypeAdapter(HostFacts)


def encode_facts(facts: HostFacts) -> bytes:
    """Return facts as JSON."""
    return orjson.dumps(facts_document(facts), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def facts_document(facts: HostFacts) -> dict[str, Any]:
    """Return facts as a document. What a release of bpftrace can do follows from its version."""
    document = asdict(facts)
    document["enums"] = {
        member: {str(value): name for value, name in names.items()} for member, names in facts.enums.items()
    }
    if document["cgroups"] is None:
        del document["cgroups"]  # a shell script does not look for them
    else:
        # What they are called is found while a program runs.
        del document["cgroups"]["labels"]
    del document["bpftrace_features"]
    return {"schema": SCHEMA, **document}


def decode_facts(raw: bytes, features_of: Callable[[str], frozenset[str]], name: str) -> HostFacts:
    """Return the facts of a file.

    :param features_of: What a release of bpftrace can do, by its version.
    :param name: Of the file, for messages.
    :raises NotUnderstood: It holds none.
    """
    try:
        document = orjson.loads(raw)
    except ValueError as error:
        raise NotUnderstood(f"{name} holds no facts about a host: {error}") from error
    return facts_of_document(document, features_of, name)


def facts_of_document(document: Any, features_of: Callable[[str], frozenset[str]], name: str) -> HostFacts:
    """Return the facts of a document, as `decode_facts` does.

    :raises NotUnderstood: It holds none.
    """
    try:
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        told = {key: value for key, value in document.items() if key != "schema"}
        told["bpftrace_features"] = features_of(str(told.get("bpftrace")))
        return _FACTS.validate_python(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{name} holds no facts about a host: {where}: {first['msg']}") from error
    except ValueError as error:
        raise NotUnderstood(f"{name} holds no facts about a host: {error}") from error


_SCRIPT = r"""#!/bin/sh
# Prints facts about this host as JSON, for `ebpf-recipe render {recipe} --host FILE` elsewhere.
# Needs root for tracefs, bpftrace, and nothing else.
set -eu
tracefs=/sys/kernel/tracing
[ -d "$tracefs/events" ] || tracefs=/sys/kernel/debug/tracing
if [ ! -d "$tracefs/events" ]; then
    echo "tracefs cannot be read: run it as root, or mount -t tracefs tracefs /sys/kernel/tracing" >&2
    exit 1
fi
version=$("${{BPFTRACE:-bpftrace}}" --version | sed -n 's/.*bpftrace v\([0-9.]*\).*/\1/p')
case $version in *.*.*) ;; *) version=$version.0 ;; esac
if [ "$(printf '\1\0' | od -An -tu2 | tr -d ' ')" = 1 ]; then order=little; else order=big; fi
if [ -r /sys/kernel/btf/vmlinux ]; then btf=true; else btf=false; fi

tracepoint() {{
    if [ -r "$tracefs/events/$1/$2/format" ]; then
        fields=$(sed -n 's/^\tfield:\(.*\);\toffset:.*/\1/p' "$tracefs/events/$1/$2/format" |
            sed -e 's/\[[^]]*\]$//' -e 's/.*[^A-Za-z0-9_]//' | grep -v '^common_' |
            sed 's/.*/"&"/' | paste -s -d , -)
        printf '"tracepoint:%s:%s": [%s]' "$1" "$2" "$fields"
    else
        printf '"tracepoint:%s:%s": null' "$1" "$2"
    fi
}}
# The values of an enumeration by the names that a tracepoint prints them with.
enum() {{
    names=$(sed -n '/^print fmt/p' "$tracefs/events/$2/format" | grep -o '{{ [0-9]*, "[A-Za-z0-9_]*" }}' |
        sed 's/{{ \([0-9]*\), \(".*"\) }}/"\1": \2/' | paste -s -d , -)
    printf '"%s": {{%s}}' "$1" "$names"
}}
kprobe() {{
    found=null
    if [ -e /sys/bus/event_source/devices/kprobe ]; then
        if [ -r "$tracefs/available_filter_functions" ]; then
            if grep -q "^$2\( \|\$\)" "$tracefs/available_filter_functions"; then found='[]'; fi
        elif grep -q " [tT] $2\$" /proc/kallsyms; then found='[]'; fi
    fi
    printf '"%s:%s": %s' "$1" "$2" "$found"
}}
# Programs around functions need trampolines, of which the kernel's configuration tells.
fentry() {{
    found=null
    config=$(cat "/boot/config-$(uname -r)" 2>/dev/null || gzip -cd /proc/config.gz 2>/dev/null || true)
    [ -n "$config" ] || [ "$(uname -m)" != x86_64 ] || config=CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y
    case $btf$(cat /proc/sys/kernel/ftrace_enabled 2>/dev/null)$config in
        true1*CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y*)
            grep -q "^$2\( \|\$\)" "$tracefs/available_filter_functions" 2>/dev/null && found='[]' || true ;;
    esac
    printf '"%s:%s": %s' "$1" "$2" "$found"
}}

# Disks and partitions as sysfs has them, with the slash that it writes as an exclamation mark.
device() {{
    owner=$1 mapped='' disk='' first=0 sectors=0 below='' requests=false
    if [ -e "$1/partition" ]; then
        owner=$(dirname "$(readlink -f "$1")")
        disk=${{owner##*/}} first=$(cat "$1/start") sectors=$(cat "$1/size")
    fi
    if [ -e "$1/dm/name" ]; then mapped=$(sed 's/["\\]/\\&/g' "$1/dm/name"); fi
    if [ -e "$owner/mq" ]; then requests=true; fi
    for each in "$1"/slaves/*; do
        if [ -e "$each" ]; then below="$below${{below:+, }}\"${{each##*/}}\""; fi
    done
    number=$(cat "$1/dev")
    printf '{{"name": "%s", "number": %s, "mapped": "%s", "disk": "%s", ' \
        "${{1##*/}}" "$(( (${{number%:*}} << 20) | ${{number#*:}} ))" "$mapped" "$disk" | tr '!' /
    printf '"first_sector": %s, "sectors": %s, "has_requests": %s, ' "$first" "$sectors" "$requests"
    printf '"below": [%s]}}' "$below" | tr '!' /
}}
devices() {{
    separator=''
    for folder in /sys/class/block/*; do
        if [ -e "$folder/dev" ]; then
            printf '%s' "$separator"
            device "$folder"
            separator=', '
        fi
    done
}}

printf '{{"schema": "{schema}", "hostname": "%s", "kernel": "%s", "arch": "%s",\n' \
    "$(uname -n)" "$(uname -r)" "$(uname -m)"
printf ' "cpus": %s, "boot_id": "%s", "byteorder": "%s", "btf": %s, "bpftrace": "%s",\n' \
    "$(getconf _NPROCESSORS_ONLN)" "$(cat /proc/sys/kernel/random/boot_id)" "$order" "$btf" "$version"
printf ' "probes": {{'
{probes}
printf '}},\n "enums": {{'
{enums}
printf '}},\n "devices": ['
{devices}
printf '],\n "functions": {{}}}}\n'
"""


def facts_script(
    recipe: str, probes: Iterable[str], enums: Mapping[str, str], *, devices: bool = False
) -> str:
    """Return a POSIX shell script that prints the facts, for a host that has bpftrace and nothing of ours.

    :param probes: What the recipe's guards ask for.
    :param enums: A tracepoint for each enumeration that it asks for, by the member that stands for it.
    :param devices: Whether it asks for block devices.
    """
    lines = []
    for probe in sorted(probes):
        kind, *rest = probe.split(":")
        looked_for_by = {"tracepoint": ["tracepoint"], "fentry": ["fentry", kind], "fexit": ["fentry", kind]}
        lines.append(shlex.join([*looked_for_by.get(kind, ["kprobe", kind]), *rest]))
    separator = "\nprintf ',\\n            '\n"
    named = [shlex.join(["enum", each, point.replace(":", "/")]) for each, point in sorted(enums.items())]
    return _SCRIPT.format(
        recipe=recipe,
        schema=SCHEMA,
        probes=separator.join(lines) or ":",
        enums=separator.join(named) or ":",
        devices="devices" if devices else ":",
    )
