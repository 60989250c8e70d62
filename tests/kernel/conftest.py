"""What the tests on the real kernel share: the bpftrace they run on, a laboratory, a lossy nginx."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laboratory.network import Host, two_hosts
from tests.laboratory.nginx import nginx


@pytest.fixture(scope="session")
def bpftrace() -> str:
    path = os.environ.get("EBPF_RECIPE_BPFTRACE") or shutil.which("bpftrace")
    assert path is not None
    return path


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """A server and a client; what a test does to the link it undoes."""
    with two_hosts() as both:
        yield both


@pytest.fixture(scope="module")
def nginx_host(hosts: tuple[Host, Host]) -> Iterator[Host]:
    with tempfile.TemporaryDirectory() as folder, nginx(hosts[0], Path(folder)):
        yield hosts[0]
