"""Sysctls whose old value, written again, does not bring everything back that writing them changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.errors import HostRefused
from runner.workflow.experiment.setting import FileSetting

if TYPE_CHECKING:
    from runner.workflow.experiment.setting import Setting

_TWINS = (
    ("vm/dirty_bytes", "vm/dirty_ratio"),
    ("vm/dirty_background_bytes", "vm/dirty_background_ratio"),
    ("vm/overcommit_kbytes", "vm/overcommit_ratio"),
)
"""Of each two one is in force, and the other is 0: writing one sets the other to 0."""

_SPREADING = {
    r"net/ipv4/(ip_forward|conf/all/forwarding)": "it sets forwarding and accept_redirects anew",
    r"net/ipv6/conf/all/forwarding": "it sets forwarding of all interfaces anew",
    r"net/ipv6/conf/[^/]+/disable_ipv6": "addresses and routes of IPv6 are lost",
    r"net/ipv4/tcp_congestion_control": "it stays in net.ipv4.tcp_allowed_congestion_control "
    "(the remedy tcp-congestion-control puts that back too)",
    r"kernel/(modules_disabled|kexec_load_disabled|unprivileged_bpf_disabled|yama/ptrace_scope)": (
        "the kernel does not take every value back before the next start"
    ),
}
"""Documentation/networking/ip-sysctl.rst, Documentation/admin-guide/sysctl and what the kernel does there."""

_BY_COMMANDS = "--read, --apply and --revert with all that it changes"


def refuse_entangled(setting: Setting, before: str) -> None:
    """Refuse what writing it back would not put back.

    :param before: Its value now.
    :raises HostRefused: It is such a sysctl.
    """
    if not isinstance(setting, FileSetting) or not setting.file.startswith("/proc/sys/"):
        return
    name = re.sub("/+", "/", setting.file.removeprefix("/proc/sys/"))
    for one, other in (*_TWINS, *(pair[::-1] for pair in _TWINS)):
        if name == one and before == "0":
            twin = other.replace("/", ".")
            raise HostRefused(
                f"{setting.name} is 0: {twin} is in force, is set to 0 by it, and stays 0",
                hint=f"change {twin}, or {_BY_COMMANDS}",
            )
    for pattern, why in _SPREADING.items():
        if re.fullmatch(pattern, name):
            raise HostRefused(
                f"{setting.name}: its old value, written again, does not put back all that it changes: {why}",
                hint=_BY_COMMANDS,
            )
