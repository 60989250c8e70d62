"""`make recordings`: run a recipe on real bpftrace and keep what it printed, for tests and the demo."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.laboratory.network import lose_packets, two_hosts
from tests.laboratory.nginx import load, nginx

FOLDER = Path(__file__).parents[1] / "recordings"


def main() -> None:
    """Record `run tcp-retrans --comm nginx` with the bpftrace named on the command line, or PATH's."""
    given = sys.argv[1:] or ["bpftrace"]
    command = Path(sys.executable).with_name("ebpf-recipe")
    with (
        tempfile.TemporaryDirectory() as folder,
        two_hosts() as (server, client),
        nginx(server, Path(folder)),
    ):
        lose_packets(client, 0.05)
        for bpftrace in given:
            answer = subprocess.run([bpftrace, "--version"], capture_output=True, text=True, check=True)
            version = answer.stdout.split("v")[1].strip()
            target = FOLDER / f"tcp-retrans-nginx-{version}.json"
            run = ["run", "tcp-retrans", "--comm", "nginx", "--bpftrace", bpftrace, "-f", "table"]
            keep = ["--record", str(target), "--", *load(client, server.ipv4, 25)]
            subprocess.run([str(command), *run, *keep], check=True)


if __name__ == "__main__":
    main()
