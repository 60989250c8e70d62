"""A remedy as commands to type, where single lines say it all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.recipe.model_setting import FileSpec, SysctlSpec
from runner.recipe.remedy_values import fill, fill_sysctl, variable_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.recipe.model_remedy import Remedy

_CHOSEN = r"sed 's/.*\[\(.*\)\].*/\1/'"


def commands_by_hand(remedy: Remedy, given: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the commands that change what a remedy does, and those that put it back.

    Both are empty where a text of it has several lines: `ebpf-recipe experiment` does it.

    :param given: Values of its parameters; what is neither given nor has a default stands there in capitals.
    """
    values = {
        variable_of(each.name): given.get(each.name, each.default or variable_of(each.name))
        for each in remedy.parameters
    }
    change: list[str] = []
    revert: list[str] = []
    for number, spec in enumerate(remedy.settings):
        old = "OLD" if number == 0 else f"OLD{number + 1}"
        if isinstance(spec, SysctlSpec):
            name, value = fill_sysctl(spec.sysctl, values), fill(spec.value, values)
            value = f'"{value}"' if " " in value else value
            one = [f"{old}=$(sysctl -n {name})", f"sysctl -w {name}={value}"]
            back = f'sysctl -w {name}="${old}"'
        elif isinstance(spec, FileSpec):
            file, value = fill(spec.file, values), fill(spec.value, values)
            reading = f"{_CHOSEN} {file}" if spec.form == "choice" else f"cat {file}"
            one = [f"{old}=$({reading})", f"echo {value} > {file}"]
            back = f'echo "${old}" > {file}'
        else:
            if any("\n" in text for text in (spec.read, spec.apply, spec.revert)):
                return [], []
            before = "BEFORE" if number == 0 else f"BEFORE{number + 1}"
            one = [f"{before}=$({fill(spec.read, values)})", fill(spec.apply, values)]
            back = fill(spec.revert, {**values, "BEFORE": f"${before}"})
        change += one
        revert.insert(0, back)
    return change, revert
