"""A change that is to be tried: of a remedy with its values, or written down in an experiment's own file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.errors import HostRefused, ValueRefused
from runner.recipe.model_setting import CommandSpec, FileSpec, SysctlSpec
from runner.recipe.remedy_values import (
    VALUE_TYPES,
    fill,
    fill_sysctl,
    refusal_of,
    sysctl_file,
    variable_of,
)
from runner.workflow.experiment.setting import CommandSetting, FileSetting, check_fails

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from runner.recipe.model_remedy import RemedyParameter
    from runner.recipe.model_setting import Requirement
    from runner.recipe.remedies import LoadedRemedy
    from runner.workflow.experiment.setting import Setting


@dataclass(frozen=True, slots=True)
class Change:
    """Settings that are changed together.

    :param remedy: Its id; None where it is no remedy's.
    :param parameters: What it was given, and the defaults of the rest.
    :param requires: Checks of the host, each with the reason that is given where it fails.
    :param environment: Of its commands.
    :param caution: When it is not to be used; of a remedy.
    """

    title: str
    settings: tuple[Setting, ...]
    remedy: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    netns: str | None = None
    caution: str = ""

    def check_host(self) -> None:
        """Refuse a change that this host cannot take.

        :raises HostRefused: With the reason of each requirement that is not met.
        """
        reasons = [
            reason
            for text, reason in self.requires
            if check_fails(text, dict(self.environment), self.netns) is not None
        ]
        if reasons:
            raise HostRefused(f"{self.title}: this host cannot: {'; '.join(reasons)}")


def change_of_remedy(loaded: LoadedRemedy, given: Mapping[str, str], netns: str | None, work: Path) -> Change:
    """Return what a remedy changes with these values.

    :param work: A directory for what it makes.
    :raises ValueRefused: A value is wrong, missing, or not the remedy's; or it is advice.
    """
    remedy = loaded.remedy
    if remedy.advice is not None:
        raise ValueRefused(
            f"{remedy.id} is advice: the application is changed, not the host",
            hint=f"{remedy.advice} Measure with: {', '.join(remedy.measure)}.",
        )
    values = _values(remedy.id, remedy.parameters, given)
    own = {"SOURCE": str(loaded.path.parent.resolve()), "WORK": str(work)}
    environment = {variable_of(name): value for name, value in values.items()} | own
    change = change_of_specs(remedy.title, remedy.settings, netns, environment, remedy.requires)
    return Change(
        change.title,
        change.settings,
        remedy.id,
        values,
        change.requires,
        environment,
        netns,
        " ".join(remedy.when_not.split()),
    )


def change_of_specs(
    title: str,
    specs: Iterable[FileSpec | SysctlSpec | CommandSpec],
    netns: str | None,
    environment: Mapping[str, str],
    requires: Iterable[Requirement] = (),
) -> Change:
    """Return the change that specifications describe.

    :param environment: By variable, what their texts ask for.
    :raises ValueRefused: Two are the same file.
    """
    settings = tuple(_setting(each, netns, environment) for each in specs)
    files = [(each.netns, os.path.realpath(each.file)) for each in settings if isinstance(each, FileSetting)]
    if len(set(files)) != len(files):
        raise ValueRefused("the same file is changed twice", hint="it can only have one value")
    needed = tuple((each.check, fill(each.reason, environment)) for each in requires)
    return Change(title, settings, None, {}, needed, environment, netns)


def _setting(
    spec: FileSpec | SysctlSpec | CommandSpec, netns: str | None, environment: Mapping[str, str]
) -> Setting:
    if isinstance(spec, FileSpec):
        file = fill(spec.file, environment)
        return FileSetting(
            name=file, netns=netns, file=file, value=fill(spec.value, environment), form=spec.form,
            persists=spec.persists,
        )  # fmt: skip
    if isinstance(spec, SysctlSpec):
        name = fill_sysctl(spec.sysctl, environment)
        return FileSetting(
            name=name, netns=netns, file=sysctl_file(name), value=fill(spec.value, environment), sysctl=name
        )
    return CommandSetting(
        name=fill(spec.name, environment), netns=netns, persists=spec.persists, read_text=spec.read,
        apply_text=spec.apply, verify_text=spec.verify, revert_text=spec.revert, gone_text=spec.gone,
        counters_text=spec.counters, environment=dict(environment),
    )  # fmt: skip


def _values(remedy: str, parameters: Iterable[RemedyParameter], given: Mapping[str, str]) -> dict[str, str]:
    known = {each.name: each for each in parameters}
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        there = f"it takes {', '.join(known)}" if known else "it takes none"
        raise ValueRefused(f"{remedy} has no parameter {', '.join(unknown)}: {there}")
    values = {}
    for name, parameter in known.items():
        value = given.get(name, parameter.default)
        if value is None:
            if parameter.required:
                metavar = VALUE_TYPES[parameter.type].metavar
                raise ValueRefused(
                    f"{remedy} needs {name}={metavar}: {parameter.description}",
                    hint=f"--with {name}={metavar}",
                )
            value = ""
        else:
            refusal = refusal_of(parameter.type, value, parameter.minimum, parameter.maximum)
            if refusal is not None:
                raise ValueRefused(f"{remedy}: {name}: {refusal}")
        values[name] = value
    return values
