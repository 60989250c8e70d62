"""What the tests on the real kernel share: the bpftrace they run on, a laboratory, a lossy nginx."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laboratory.children import child
from tests.laboratory.machine import missing_for_tracing
from tests.laboratory.network import Host, two_hosts
from tests.laboratory.nginx import nginx
from tests.laboratory.releases import paths, release_of

SPIN = ("python3", "-c", "import os\nwhile True: os.getppid()")
# Long enough to be interrupted: a few thousand instructions for each system call.
BUSY = "tracepoint:raw_syscalls:sys_enter { unroll(60) { @busy[rand % 64] = hist(rand); } }"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of the kernel on every bpftrace that is here."""
    if "bpftrace" in metafunc.fixturenames:
        found = paths() if missing_for_tracing() is None else []
        names = [release_of(path) for path in found]
        metafunc.parametrize("bpftrace", found or ["bpftrace"], ids=names or ["none"], scope="session")


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """A server and a client; what a test does to the link it undoes."""
    with two_hosts() as both:
        yield both


@pytest.fixture(scope="module")
def nginx_host(hosts: tuple[Host, Host]) -> Iterator[Host]:
    with tempfile.TemporaryDirectory() as folder, nginx(hosts[0], Path(folder)):
        yield hosts[0]


@pytest.fixture
def busy(bpftrace: str) -> Iterator[None]:
    """A program of somebody else's that runs at every system call, and two processes that make them."""
    ready = 'BEGIN { printf("attached\\n"); } '
    # What it counted nobody reads: asked to end it would wait for ever that somebody does.
    command = [bpftrace, "-q", "-e", ready + BUSY]
    with (
        child(command, end=signal.SIGKILL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as other,
        child(SPIN),
        child(SPIN),
    ):
        first = other.stdout.readline()
        assert b"attached" in first, other.communicate()
        yield
