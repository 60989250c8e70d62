"""An example value of every type: what programs are rendered with where nobody gave a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.recipe.parameters import INTEGER_BOUNDS, TARGET_FILTERS, parse_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.recipe.model import Recipe
    from runner.recipe.model_given import Parameter
    from runner.recipe.parameters import Value

EXAMPLES: Mapping[str, str] = {
    "duration": "7ms",
    "function": "/usr/sbin/nginx:ngx_http_process_request",
    "integer": "7",
    "port": "443",
    "syscall": "openat",
    "device": "sda1",
    "network": "10.0.0.0/9",
    "pid": "1",
    "comm": "nginx*",
    "thread": "worker",
    "cgroup": "/kubepods/pod1",
    "container": "web",
    "pod": "default/web-0",
}
"""By the names of parameter types and target filters."""

_OTHERS: Mapping[str, str] = {
    "duration": "3ms",
    "function": "vfs_read",
    "integer": "3",
    "port": "80",
    "syscall": "futex",
    "device": "sda",
    "network": "192.0.2.0/25",
}
"""Another of each parameter type."""


def _example(parameter: Parameter) -> str:
    """Return a value that the parameter may have, and another one than its default."""
    if parameter.type != "integer":
        return EXAMPLES[parameter.type]
    least = INTEGER_BOUNDS[0] if parameter.minimum is None else parameter.minimum
    most = INTEGER_BOUNDS[1] if parameter.maximum is None else parameter.maximum
    near = min(max(int(EXAMPLES["integer"]), least), most)
    others = (number for number in (near, near + 1, near - 1) if least <= number <= most)
    return next((str(number) for number in others if str(number) != parameter.default), str(near))


def required_values(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Return the words of an example of what the recipe cannot be run without, and of nothing else."""
    return {p.name: (_example(p),) for p in recipe.parameters if p.required}


def example_values(recipe: Recipe) -> dict[str, tuple[Value, ...]]:
    """Return values of every parameter, two where it is repeatable, and of every filter that it honours."""
    values = {}
    for parameter in recipe.parameters:
        examples = [_example(parameter)]
        if parameter.repeatable:
            examples.append(examples[0] if parameter.type == "integer" else _OTHERS[parameter.type])
        values[parameter.name] = parse_values(parameter.name, parameter.kind, examples)
    return values | {
        name: parse_values(name, TARGET_FILTERS[name], [EXAMPLES[name]]) for name in recipe.target.honoured()
    }
