"""An nginx with a client, and what can be wrong with it: packets, processors, a limit, a disk, or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory import network
from tests.laboratory.disk import slow_disk
from tests.laboratory.file_scenarios import archive_on, reads_of
from tests.laboratory.hog import hogs
from tests.laboratory.limits import cpu_group, cpu_periods
from tests.laboratory.nginx import PORT, nginx
from tests.laboratory.requester import ANSWERED, GIVEN_UP, requester
from tests.laboratory.scenario import Scenario, schedstat
from tests.laboratory.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.laboratory.journal import Journal


@dataclass(frozen=True, slots=True)
class _Site:
    """A network with a server and a client, and a folder that the server may read."""

    server: network.Host
    client: network.Host
    folder: Path

    def document(self) -> Path:
        """Make a folder with one document of JSON, which takes some milliseconds to compress; return the folder."""
        www = self.folder / "www"
        www.mkdir()
        rows = [{"id": number, "digest": os.urandom(8).hex(), "state": "done"} for number in range(4000)]
        (www / "orders.json").write_text(json.dumps(rows))
        return www


_COMPRESSED = "gzip on; gzip_comp_level 6; types { application/json json; } gzip_types application/json;"


@contextlib.contextmanager
def _site() -> Iterator[_Site]:
    with (
        tempfile.TemporaryDirectory(prefix="ebpf-recipe-scenario-") as folder,
        network.two_hosts() as (server, client),
    ):
        Path(folder).chmod(0o755)
        yield _Site(server, client, Path(folder))


def _web(
    site: _Site,
    symptoms: tuple[str, ...],
    workers: Sequence[int],
    journal: Journal,
    more: Callable[[], Mapping[str, int]] = dict,
) -> Scenario:
    """Return the scenario of an nginx.

    :param more: Reads counters of its own.
    """

    def counters() -> dict[str, int]:
        retransmitted = network.retransmitted_segments(site.server)
        return {"TcpRetransSegs": retransmitted, **schedstat(workers), **more()}

    until(lambda: len(journal.read()[ANSWERED]) >= 3, "the server answers")
    return Scenario(symptoms, ("--comm", "nginx"), counters, journal.read)


@contextlib.contextmanager
def api_server() -> Iterator[Scenario]:
    """An API whose requests time out: its packets are lost, and it waits for a processor. The disk is not in it.

    3 % of the packets to the client are lost. Both workers share processor 1 with batch jobs and with all packets
    that either host receives; the other processor is free. A client gives up after 300 ms.

    Counters: `TcpRetransSegs` of the server's host, and `ran_ns`, `waited_ns`, `runs` of the workers.
    Latencies: requests that were `answered`, `given up` and `failed`.
    """
    with (
        _site() as site,
        nginx(
            site.server,
            site.folder,
            www=site.document(),
            main="worker_cpu_affinity 10;",
            http=_COMPRESSED,
        ) as server,
    ):
        network.lose_packets(site.client, 0.03)
        for host in (site.server, site.client):
            network.receive_on(host, 1)
        with (
            network.one_segment_packets(site.server),
            hogs(5, cpu=1),
            requester(
                site.client, site.server.ipv4, PORT, "/orders.json",
                connections=4, pause_ms=20, timeout_ms=300, cpu=0,
            ) as journal,
        ):  # fmt: skip
            one = _web(site, ("timeouts", "tail-latency"), server.workers(), journal)
            until(lambda: one.counters()["TcpRetransSegs"] > 0, "packets are sent again")
            until(lambda: bool(one.latencies()[GIVEN_UP]), "a request is given up")
            yield one


@contextlib.contextmanager
def healthy() -> Iterator[Scenario]:
    """An API that has nothing: the server of `api_server` without loss, and with both processors for it.

    Counters and latencies: those of `api_server`.
    """
    with (
        _site() as site,
        nginx(site.server, site.folder, www=site.document(), http=_COMPRESSED) as server,
        requester(
            site.client, site.server.ipv4, PORT, "/orders.json", connections=4, pause_ms=40, timeout_ms=300
        ) as journal,
    ):
        yield _web(site, ("timeouts", "tail-latency"), server.workers(), journal)


@contextlib.contextmanager
def idle_beside_hog() -> Iterator[Scenario]:
    """A server that is asked once a second, while batch jobs in another cgroup keep all processors busy.

    The host has a long run queue, and the server hardly any part in it.

    Counters and latencies: those of `api_server`, and `hogs_waited_ns`: what the jobs waited for a processor.
    """
    with (
        _site() as site,
        cpu_group() as service,
        cpu_group() as batch,
        nginx(site.server, site.folder, www=site.document(), http=_COMPRESSED, group=service) as server,
        hogs(4 * (os.cpu_count() or 1), group=batch) as jobs,
        requester(
            site.client, site.server.ipv4, PORT, "/orders.json", connections=1, pause_ms=1000, timeout_ms=1000
        ) as journal,
    ):
        yield _web(
            site,
            ("tail-latency", "timeouts"),
            server.workers(),
            journal,
            lambda: {"hogs_waited_ns": schedstat(jobs)["waited_ns"]},
        )


@contextlib.contextmanager
def quota() -> Iterator[Scenario]:
    """An API in a cgroup that may use a tenth of a processor, and needs more; processors are free.

    Counters and latencies: those of `api_server`, and `nr_periods` and `nr_throttled` of the cgroup.
    """
    with (
        _site() as site,
        cpu_group(10_000) as group,
        nginx(site.server, site.folder, www=site.document(), http=_COMPRESSED, group=group) as server,
        requester(
            site.client, site.server.ipv4, PORT, "/orders.json", connections=4, pause_ms=20, timeout_ms=1000
        ) as journal,
    ):
        one = _web(site, ("tail-latency", "timeouts"), server.workers(), journal, lambda: cpu_periods(group))
        until(lambda: one.counters()["nr_throttled"] > 0, "the quota holds the server back")
        yield one


@contextlib.contextmanager
def two_causes() -> Iterator[Scenario]:
    """A server of downloads with two causes at once: 3 % of its packets are lost, and its files are on a slow device.

    It reads past the page cache (`directio`), two reads for each answer; the device does 30 a second.

    Counters and latencies: those of `api_server`, and `device_reads` and `device_read_ms` of the device.
    """
    with (
        _site() as site,
        slow_disk(site.folder, 30) as device,
        archive_on(device, site.folder) as archive,
        nginx(
            site.server, site.folder, www=archive, http="sendfile off; directio 512; output_buffers 1 64k;"
        ) as server,
    ):
        network.lose_packets(site.client, 0.03)
        with (
            network.one_segment_packets(site.server),
            requester(
                site.client, site.server.ipv4, PORT, "/part-{}", connections=4, pause_ms=20, timeout_ms=1000
            ) as journal,
        ):
            one = _web(
                site, ("tail-latency", "timeouts"), server.workers(), journal, lambda: reads_of(device)
            )
            until(lambda: one.counters()["TcpRetransSegs"] > 0, "packets are sent again")
            yield one
