"""The tools whose cost is measured: recipes, the same in plain bpftrace, bpftrace's own, libbpf-tools."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.laboratory.releases import tools_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.kernel_cost.subjects import Subject

Kind = Literal["recipe", "plain", "script", "libbpf"]

_LIBBPF = Path("/usr/sbin")
"""Where Debian's package libbpf-tools has them."""
_IDLE = "--pid 1"
"""Process 1 does none of what loads do."""
_PLAIN = Path(__file__).with_name("plain")
"""Recipes' tables, written by hand in plain bpftrace: one script for each recipe for which it is short."""
_HEADERS = Path(__file__).with_name("include")
"""What a script of 0.17 includes of the kernel's headers, which need not be installed: constants alone."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A command that traces until it is ended.

    :param release: Of bpftrace; empty for libbpf-tools.
    :param differs: In what its work is more or less than the recipe's.
    :param is_filtered: It is asked for a process that does nothing: what events of others cost.
    """

    kind: Kind
    name: str
    release: str
    argv: tuple[str, ...]
    differs: str = ""
    is_filtered: bool = False

    @property
    def uses_kprobes(self) -> bool:
        """Whether it is a script with probes on functions of the kernel."""
        return self.kind == "script" and any(
            line.startswith(("kprobe:", "kretprobe:"))
            for line in Path(self.argv[-1]).read_text().splitlines()
        )


def tools_for(
    subject: Subject, releases: Sequence[tuple[str, str]], places: dict[str, str]
) -> Iterator[Tool]:
    """Return the tools that are measured beside one another for a recipe, the recipe with each release first.

    :param releases: Path and release of each bpftrace.
    :param places: What stands for `{load}` in arguments: the load's program.
    """
    arguments = [each.format(**places) for each in subject.arguments]
    for path, release in releases:
        # Without `--overhead off` the command itself would have run times counted now and then.
        command = ["run", subject.recipe, "--bpftrace", path, "--overhead", "off", "-f", "json", *arguments]
        ours = Tool("recipe", subject.recipe, release, (sys.executable, "-m", "runner", *command))
        yield ours
        plain = _PLAIN / f"{subject.recipe}.bt"
        if plain.exists():
            text = plain.read_text()
            for name, place in places.items():
                text = text.replace(f"{{{name}}}", place)
            yield Tool("plain", f"plain {subject.recipe}", release, (path, "-e", text), subject.plain_differs)
        script = next((each for each in tools_of(path) if each.name == subject.script), None)
        if script is not None:
            including = (path, "-I", str(_HEADERS), str(script))
            yield Tool("script", script.name, release, including, subject.script_differs)
    for words, differs in subject.others:
        yield _libbpf(words, places, differs)
    if subject.is_filtered and releases:
        yield replace(
            ours, name=f"{subject.recipe} {_IDLE}", argv=(*ours.argv, *_IDLE.split()), is_filtered=True
        )
        if subject.others:
            words, differs = subject.others[0]
            yield replace(_libbpf(f"{words} -p 1", places, differs), is_filtered=True)


def _libbpf(words: str, places: dict[str, str], differs: str) -> Tool:
    program, *rest = words.split()
    argv = (str(_LIBBPF / program), *(each.format(**places) for each in rest))
    return Tool("libbpf", words.format(load="PROGRAM"), "", argv, differs)
