"""A real nginx on a laboratory host, and a bounded load for it."""

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.laboratory.cgroups import inside
from tests.laboratory.children import child
from tests.laboratory.network import Host

PORT = 8080
BLOB_BYTES = 400_000

WORKERS = 2

_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes {workers};
{main}
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
  server {{ listen {port}; listen [::]:{port}; root {www}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """An nginx that runs.

    :param pid: Of the process that holds its process namespace, and is no part of it.
    """

    pid: int

    def workers(self) -> list[int]:
        """Return the process ids of those that serve."""
        return [worker for master in _children(self.pid) for worker in _children(master)]


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def nginx(
    host: Host,
    folder: Path,
    *,
    www: Path | None = None,
    main: str = "",
    http: str = "",
    group: Path | None = None,
) -> Iterator[Nginx]:
    """Run nginx on a host, its files in a folder, until the end of the block.

    :param www: What it serves; without it a folder with the blob.
    :param main: Directives of its own, beside those above: `worker_cpu_affinity 10;`.
    :param http: The same, inside `http`.
    :param group: The cgroup that it runs in.
    """
    folder.chmod(0o755)
    if www is None:
        www = folder / "www"
        www.mkdir()
        (www / "blob").write_bytes(bytes(BLOB_BYTES))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, port=PORT, workers=WORKERS, www=www, main=main, http=http)
    )
    # A process namespace of its own: with its first process all the others end. unshare(1) heeds no
    # SIGTERM while it waits for that process.
    alone = ["unshare", "--pid", "--fork", "--kill-child", "nginx", "-c", str(configuration)]
    if group is not None:
        alone = inside(group, alone)
    with child(host.command(alone), end=signal.SIGKILL) as process:
        one = Nginx(process.pid)
        deadline = time.monotonic() + 10
        while not (folder / "nginx.pid").exists() or len(one.workers()) < WORKERS:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx did not start: {(folder / 'error.log').read_text()}")
            time.sleep(0.02)
        yield one


def load(client: Host, address: str, requests: int) -> list[str]:
    """Return a command that fetches the blob so often, each in at most 60 s, and then waits for last packets.

    It waits until no connection of the client is left: what ends one may be lost, and sent again. After about 20 s it
    fails.
    """
    place = f"[{address}]" if ":" in address else address
    fetch = f"curl -g -sS -o /dev/null --max-time 60 -H 'Connection: close' http://{place}:{PORT}/blob"
    left = '[ -n "$(ss -Htn state connected exclude time-wait)" ]'
    wait = f"i=0; while {left} && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done; ! {left}"
    once = f"i=0; while [ $i -lt {requests} ]; do {fetch} || exit 1; i=$((i+1)); done; sleep 0.5; {wait}"
    return [*client.command(["sh", "-c"]), once]
