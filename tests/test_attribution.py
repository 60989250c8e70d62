"""Rows that name a socket get the process that holds it, or stay without owner."""

import socket
import subprocess
import sys

import pytest

from runner.attribution import attribute
from runner.bpftrace.evidence import Evidence
from runner.bpftrace.messages import read_messages
from runner.bpftrace.names import Names
from runner.bpftrace.tables import Context, decode_tables, unowned_sockets
from runner.capture.declaration import KeyDeclaration, TableDeclaration
from runner.host.sockets import Holder, socket_holders

PLAIN = Evidence.of((0, 21, 0))
TABLE = TableDeclaration(
    "t",
    "@t",
    "count",
    "packets",
    (
        KeyDeclaration("pid", "integer", owner=True),
        KeyDeclaration("comm", "comm", owner=True),
        KeyDeclaration("socket", "socket"),
        KeyDeclaration("port", "port"),
    ),
)
TOTAL = TableDeclaration("t_total", "@t_total", "count", "packets", total_of="t")
PRINTED = b"""\
{"type": "map", "data": {"@t": {"7,97,0,0,80": 5, "0,0,0,11,80": 3, "0,0,0,12,80": 2, "0,0,0,0,81": 1}}}
{"type": "map", "data": {"@t_total": 11}}
"""


def attributed(holders, is_wanted=lambda _: True):
    tables, problems = decode_tables(
        [TABLE, TOTAL], read_messages(PRINTED, PLAIN), Context(PLAIN.dialect, Names("little"), 100)
    )
    assert problems == []
    attribute([TABLE, TOTAL], tables, holders, is_wanted)
    assert [key["name"] for key in tables[0]["keys"]] == ["pid", "comm", "port"]
    rows = {
        (row["key"]["pid"], row["key"]["comm"], row["key"]["port"]): (row["value"], "unattributed" in row)
        for row in tables[0]["rows"]
    }
    assert tables[1]["rows"][0]["value"] == sum(value for value, _ in rows.values())
    return rows


def test_only_sockets_without_an_owner_are_asked_for():
    assert unowned_sockets([TABLE, TOTAL], read_messages(PRINTED, PLAIN), PLAIN.dialect) == {11, 12}


def test_a_sole_holder_owns_the_socket_and_its_rows_are_added_to_its_others():
    rows = attributed({11: [Holder(7, b"a")]})
    assert rows == {(7, "a", 80): (8, False), (None, None, 80): (2, True), (None, None, 81): (1, True)}


def test_several_holders_of_one_name_give_the_name_alone():
    rows = attributed({11: [Holder(7, b"a"), Holder(8, b"a")]})
    assert rows[None, "a", 80] == (3, False)


def test_several_holders_of_several_names_give_nothing():
    rows = attributed({11: [Holder(7, b"a"), Holder(8, b"b")]})
    assert rows[None, None, 80] == (5, True)


def test_what_turns_out_to_be_another_s_leaves_the_table_and_the_total():
    rows = attributed({11: [Holder(9, b"b")], 12: [Holder(7, b"a")]}, lambda holder: holder.name == b"a")
    assert rows == {(7, "a", 80): (7, False), (None, None, 81): (1, True)}


def test_nothing_is_known_without_holders():
    assert attributed({}) == {
        (7, "a", 80): (5, False), (None, None, 80): (5, True), (None, None, 81): (1, True)
    }  # fmt: skip


@pytest.mark.parametrize("is_shared", [False, True])
def test_proc_says_who_holds_a_socket(is_shared):
    with socket.create_server(("127.0.0.1", 0)) as server:
        inode = server_inode(server)
        argv = [sys.executable, "-c", "print('up', flush=True); input()"]
        inherited = [server.fileno()] if is_shared else []
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=inherited
        ) as other:
            other.stdout.readline()
            pids = {holder.pid for holder in socket_holders()[inode]}
            other.communicate(b"\n")
    assert (other.pid in pids) is is_shared
    assert len(pids) == 1 + is_shared


def server_inode(server):
    import os

    return os.fstat(server.fileno()).st_ino
