"""A real nginx on a laboratory host, and a bounded load for it."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.laboratory.children import child
from tests.laboratory.network import Host

PORT = 8080
BLOB_BYTES = 400_000

_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen {port}; listen [::]:{port}; root {folder}/www; }}
}}
"""


@contextlib.contextmanager
def nginx(host: Host, folder: Path) -> Iterator[None]:
    """Run nginx on a host, its files in a folder, until the end of the block."""
    folder.chmod(0o755)
    (folder / "www").mkdir()
    (folder / "www" / "blob").write_bytes(bytes(BLOB_BYTES))
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=PORT))
    # A process namespace of its own: with its first process all the others end. unshare(1) heeds no
    # SIGTERM while it waits for that process.
    alone = ["unshare", "--pid", "--fork", "--kill-child", "nginx", "-c", str(configuration)]
    with child(host.command(alone), end=signal.SIGKILL) as process:
        deadline = time.monotonic() + 10
        while not (folder / "nginx.pid").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx did not start: {(folder / 'error.log').read_text()}")
            time.sleep(0.02)
        yield


def load(client: Host, address: str, requests: int) -> list[str]:
    """Return a command that fetches the blob so often, at most 60 s, and then waits for last packets."""
    place = f"[{address}]" if ":" in address else address
    fetch = f"curl -g -sS -o /dev/null --max-time 60 -H 'Connection: close' http://{place}:{PORT}/blob"
    once = f"i=0; while [ $i -lt {requests} ]; do {fetch} || exit 1; i=$((i+1)); done; sleep 0.5"
    return [*client.command(["sh", "-c"]), once]
