"""A host that has bpftrace alone: facts by a shell script, the program rendered elsewhere, its output decoded."""

import json
import os
import subprocess
import time

import pytest

from tests.command import ebpf_recipe
from tests.kernel.test_tcp_retrans import INDEPENDENT, total
from tests.laboratory.children import child, end_bpftrace
from tests.laboratory.independent import counted
from tests.laboratory.network import lose_packets, stop_losing_packets, wait_until_nothing_is_sent
from tests.laboratory.nginx import PORT, load

pytestmark = pytest.mark.kernel


def command(*arguments):
    done = ebpf_recipe(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def facts(bpftrace, tmp_path):
    """What the shell script says of this host, which must be what we say of it ourselves."""
    script = command("render", "tcp-retrans", "--facts-script")
    printed = subprocess.run(
        ["sh"],
        input=script.encode(),
        env={**os.environ, "BPFTRACE": bpftrace},
        check=True,
        capture_output=True,
    ).stdout
    own = json.loads(command("render", "tcp-retrans", "--facts", "--bpftrace", bpftrace))
    assert json.loads(printed) == own
    path = tmp_path / "facts.json"
    path.write_bytes(printed)
    return path


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_host_with_bpftrace_alone(bpftrace, facts, hosts, nginx_host, tmp_path, form, figure):
    program, output = tmp_path / "tcp-retrans.bt", tmp_path / "tcp-retrans.out"
    program.write_text(
        command("render", "tcp-retrans", "--comm", "nginx", "--port", str(PORT), "--host", str(facts))
    )
    server, client = hosts
    lose_packets(client, 0.05)
    try:
        with (
            output.open("wb") as stdout,
            child([bpftrace, "-f", form, str(program)], stdout=stdout, stderr=subprocess.DEVNULL) as node,
        ):
            limit = time.monotonic() + 60
            while b"ebpf-recipe/began" not in output.read_bytes() and time.monotonic() < limit:
                time.sleep(0.1)
            with counted(INDEPENDENT.replace("PORT", str(PORT)), bpftrace=bpftrace) as independent:
                subprocess.run(load(client, server.ipv4, 25), check=True, capture_output=True)
                # Both end within a moment in which nothing is sent.
                wait_until_nothing_is_sent(server)
            end_bpftrace(node)
    finally:
        stop_losing_packets(client)
    capture = json.loads(command("decode", str(output), "-f", "json"))
    assert capture["quality"]["grade"] == "usable", capture["quality"]
    assert capture["host"]["bpftrace"] == json.loads(facts.read_text())["bpftrace"]
    assert capture["target"] == {"comm": ["nginx"]}
    assert capture["parameters"] == {"port": [PORT]}
    assert capture["window"]["duration_seconds"] > 0.5
    assert capture["messages"] == []
    tables = {table["name"]: table["rows"] for table in capture["tables"]}
    ours = total(tables["retransmits"], comm="nginx", local_port=PORT)
    figure(
        f"bpftrace -f {form} alone: {ours} retransmits of nginx, {independent['@all']} counted independently"
    )
    assert independent["@all"] >= 5
    assert 0.98 * independent["@all"] <= ours <= independent["@all"]
