"""Names of errors that system calls return: those of errno(3), and those that stay inside the kernel."""

import errno
from collections.abc import Mapping

_PREFERRED = ("EAGAIN", "EDEADLK", "EOPNOTSUPP")
"""Of several names of one error, the one that the kernel's own sources use."""

_INTERNAL = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    515: "ENOIOCTLCMD",
    516: "ERESTART_RESTARTBLOCK",
    517: "EPROBE_DEFER",
    524: "ENOTSUPP",
}
"""From include/linux/errno.h: the program sees EINTR instead, or the kernel makes the call again."""

_NAMES: Mapping[int, str] = {
    **errno.errorcode,
    **{int(getattr(errno, name)): name for name in _PREFERRED},
    **_INTERNAL,
}


def error_name(number: int) -> str:
    """Return the name of an error, a positive number; of one without a name, the number."""
    return _NAMES.get(number, str(number))
