"""What the tests on the real kernel share: the bpftrace they run on, a laboratory, a lossy nginx."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laboratory.machine import missing_for_tracing
from tests.laboratory.network import Host, two_hosts
from tests.laboratory.nginx import nginx
from tests.laboratory.releases import paths, release_of


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
