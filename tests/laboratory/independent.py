"""A count that is not ours: a bpftrace program of a few lines, on its own, around the same load."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.laboratory.children import child, end_bpftrace


@contextlib.contextmanager
def counted(program: str, *, bpftrace: str = "bpftrace") -> Iterator[dict[str, Any]]:
    """Run a bpftrace program around a block; its maps are in the dictionary when the block is left."""
    maps: dict[str, Any] = {}
    argv = [bpftrace, "-q", "-f", "json", "-e", 'BEGIN { printf("attached\\n"); } ' + program]
    with child(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert b"attached" in first, process.communicate()
        yield maps
        for line in end_bpftrace(process).splitlines():
            message = json.loads(line) if line.startswith(b"{") else {}
            if message.get("type") == "map":
                maps.update(message["data"])
            elif message.get("type") == "printf":
                maps.setdefault("printed", []).append(message["data"].strip())
