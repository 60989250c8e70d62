"""How many firewall rules a packet may have to pass: nftables and iptables of the runner's namespace."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from runner.host.companions.fact import Fact, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND_SECONDS = 1.0
_DUMP_SECONDS = 1.0
_SYSTEM_FOLDERS = "/usr/sbin:/sbin:/usr/bin:/bin"

# include/uapi/linux/netlink.h and linux/netfilter/{nfnetlink,nf_tables}.h
_NETLINK_NETFILTER = 12
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NFNL_SUBSYS_NFTABLES = 10
_NFT_MSG_NEWRULE, _NFT_MSG_GETRULE = 6, 7
_HEADER = struct.Struct("=IHHII")

_LEGACY = (
    ("iptables_rules", "ip_tables_names", "iptables"),
    ("ip6tables_rules", "ip6_tables_names", "ip6tables"),
)


def firewall_facts(proc: Path) -> Iterator[Fact]:
    """Count the rules; the kernel is asked for nothing that it would load a module for.

    It takes time that grows with the rules (dumps of them), at most 1 s for each of the three.
    """
    if _has_nftables(proc):
        rules = _nftables_rules()
        if rules is not None:
            yield Fact("nftables_rules", "netlink NFT_MSG_GETRULE", "rules", rules)
    for name, tables, command in _LEGACY:
        # The names of tables that are loaded; iptables would load those it asks for.
        if read_lines(proc / "net" / tables):
            yield from _legacy_rules(name, command)


def _has_nftables(proc: Path) -> bool:
    """Whether asking finds nftables in the kernel, instead of loading its module."""
    builtin = read_lines(Path(f"/lib/modules/{os.uname().release}/modules.builtin"))
    loaded = read_lines(proc / "modules")
    return (
        not (builtin or loaded)
        or any(line.endswith("/nf_tables.ko") for line in builtin)
        or any(line.startswith("nf_tables ") for line in loaded)
    )


def _nftables_rules() -> int | None:
    """Return how many rules nftables has, those of iptables-nft among them; None where it may not be asked.

    The rules alone are dumped: `nft list ruleset` would read every element of every set too.
    """
    question = _HEADER.pack(
        _HEADER.size + 4,
        _NFNL_SUBSYS_NFTABLES << 8 | _NFT_MSG_GETRULE,
        _NLM_F_REQUEST | _NLM_F_DUMP,
        1,
        0,
    )
    rules = 0
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
            netlink.settimeout(_DUMP_SECONDS)
            netlink.send(question + bytes(4))  # AF_UNSPEC: of every family
            while True:
                answer = netlink.recv(1 << 18)
                while len(answer) >= _HEADER.size:
                    length, kind, *_ = _HEADER.unpack_from(answer)
                    if kind == _NLMSG_DONE:
                        return rules
                    if kind == _NLMSG_ERROR or length < _HEADER.size:
                        return None
                    rules += kind == _NFNL_SUBSYS_NFTABLES << 8 | _NFT_MSG_NEWRULE
                    answer = answer[length + 3 & ~3 :]
    except OSError:
        return None


def _legacy_rules(name: str, command: str) -> Iterator[Fact]:
    """Count what iptables-save prints; iptables before 1.8 calls itself without `legacy`."""
    found = (shutil.which(f"{command}{kind}-save", path=_SYSTEM_FOLDERS) for kind in ("-legacy", ""))
    path = next((path for path in found if path), None)
    if path is None:
        return
    try:
        done = subprocess.run([path], capture_output=True, timeout=_COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return
    if b"-nft-save" not in done.stdout.partition(b"\n")[0]:
        rules = sum(line.startswith(b"-A ") for line in done.stdout.split(b"\n"))
        yield Fact(name, path, "rules", rules)
