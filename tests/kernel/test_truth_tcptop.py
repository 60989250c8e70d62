"""tcptop against the load's own count of bytes, and against what the kernel says of each connection."""

import itertools
import json
import subprocess
import sys

import pytest

from tests.kernel.recipes import run_recipe
from tests.laboratory.children import child
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

# One each: a port that was just used is not free at once.
PORTS = itertools.count(8300)


class Transfer:
    """One run of the recipe around a transfer, and what both sides counted."""

    def __init__(self, hosts, folder, bpftrace, family="ipv4", arguments=()):
        server, client = hosts
        self.port = next(PORTS)
        self.address = {"sender": getattr(server, family), "fetcher": getattr(client, family)}
        out = {name: folder / f"{name}-{self.port}" for name in self.address}

        def words(role, name):
            rest = [name, self.address["sender"], str(self.port), str(out[name])]
            return [sys.executable, "-m", "tests.laboratory.transfer", role, *rest]

        with child(server.command(words("serve", "sender")), stdout=subprocess.PIPE) as serving:
            assert serving.stdout.readline() == b"listening\n"
            arguments = [str(serving.pid) if word == "SENDER" else word for word in arguments]
            self.run = run_recipe(
                "tcptop", *arguments, bpftrace=bpftrace, command=client.command(words("fetch", "fetcher"))
            )
            assert serving.wait(10) == 0
        self.counted = {name: json.loads(path.read_text()) for name, path in out.items()}

    def sides(self):
        """Each side of each connection: whose, its keys in the tables, what it counted."""
        for name, other in (("sender", "fetcher"), ("fetcher", "sender")):
            for client_port, count in self.counted[name]["connections"].items():
                ports = (self.port, int(client_port)) if name == "sender" else (int(client_port), self.port)
                keys = {
                    "pid": self.counted[name]["pid"], "comm": name, "local_port": ports[0],
                    "remote_address": self.address[other], "remote_port": ports[1],
                }  # fmt: skip
                yield name, keys, count


def agree(run, ours, theirs):
    """Whether the bytes are the same; where the capture says that it missed events, they may be fewer."""
    return all(
        mine == theirs[table] or (run.missed and 0 <= mine < theirs[table]) for table, mine in ours.items()
    )


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_bytes_are_those_of_the_load_and_of_the_kernel(bpftrace, hosts, tmp_path, family, truth):
    transfer = Transfer(hosts, tmp_path, bpftrace, family)
    run, release = transfer.run, release_of(bpftrace)
    spliced = 0
    for name, keys, count in transfer.sides():
        ours = {table: run.total(table, **keys) for table in ("sent", "received")}
        if count["kernel"] is not None:
            load = f"{name}, every call that sends or receives, {family}"
            for place, table in enumerate(ours):
                truth(
                    "tcptop", f"bytes {table}", load, release, ours[table], count["kernel"][place], "TCP_INFO"
                )
                truth("tcptop", f"bytes {table}", load, release, ours[table], count[table], "the load")
            assert count["kernel"] == [count["sent"], count["received"]]
            assert count["sent"] > 400_000
        assert agree(run, ours, count)
        if count["spliced"]:
            spliced += count["spliced"]
            assert run.rows("received", **keys) == []
    truth(
        "tcptop", "bytes received by splice()", f"a server that splices, {family}", release, 0, spliced, "the load",
        because="splice() out of a socket goes through no call that receives: a caveat of the recipe",
    )  # fmt: skip
    assert spliced


def test_filters_contain_theirs_and_nothing_else(bpftrace, hosts, tmp_path):
    def check(whose, *arguments):
        transfer = Transfer(hosts, tmp_path, bpftrace, arguments=arguments)
        mine = {"sent": 0, "received": 0}
        for name, _, count in transfer.sides():
            for table in mine:
                mine[table] += count[table] if name == whose else 0
        assert agree(transfer.run, {table: transfer.run.total(table) for table in mine}, mine)

    check(None, "--comm", "somebody-else")
    check("sender", "--pid", "SENDER")
    check("fetcher", "--thread", "fetch*")
    check("fetcher", "--comm", "fetcher", "--remote", hosts[0].ipv4)
    check(None, "--comm", "fetcher", "--remote", hosts[1].ipv4)
    check(None, "--port", "1")
