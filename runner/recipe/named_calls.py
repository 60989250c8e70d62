"""System calls that a template names itself, as conditions: each architecture has numbers of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from runner.capture.syscalls import all_syscalls, syscall_numbers
from runner.recipe.parameters import SyscallName

if TYPE_CHECKING:
    from collections.abc import Callable


def named_calls(arch: str) -> Callable[..., Markup]:
    """Return what templates call as `is_call("$call", "poll", "ppoll")`: whether it is one of these.

    :param arch: Of the host, as `uname -m` says it; what it does not have (arm64 no poll) is left out.
    """

    def is_call(expression: str, *names: str) -> Markup:
        if type(expression) is not str or not names:
            raise TypeError('is_call("$call", "read", …) compares an expression of the program with names')
        unknown = sorted(str(name) for name in names if name not in all_syscalls())
        if unknown:
            raise TypeError(f"is_call: no architecture has a system call {', '.join(unknown)}")
        there = [SyscallName(name, arch) for name in names if syscall_numbers(name, arch)]
        # The byte order is that of texts: numbers have none.
        conditions = [call.condition("little", expression) for call in there]
        # Built from integers and from an expression that stands in the template.
        return Markup("(" + (" || ".join(conditions) or "0") + ")")  # noqa: S704

    return is_call
