"""The loads that changes are tried under: by what the kernel counts, one run with each change does what it says."""

import subprocess
from pathlib import Path

import pytest

from tests.kernel.recipes import run_recipe
from tests.laboratory.connection_bursts import BURST, BURSTS, CONNECTIONS
from tests.laboratory.disk import THROTTLE
from tests.laboratory.experiments import LONGEST_QUEUE, READ_AHEAD_KIB, SCENES
from tests.laboratory.record_reader import READ_BYTES, READS, RECORDS
from tests.laboratory.releases import paths

pytestmark = pytest.mark.kernel

CHANGES = ("before", "better", "same", "worse")
FILE_KIB = RECORDS * READS * READ_BYTES >> 10


def runs_of(scene, figure):
    """Run once with each change; return what the kernel counted, and how many events took as long as is too long.

    And how many of these a run may have missed at most.

    What is recorded are captures, which every release of bpftrace fills alike: the newest one records.
    """
    counted, slow, unseen = {}, {}, 0
    for name in CHANGES:
        change = None if name == "before" else getattr(scene, name)
        was = None if change is None else scene.value(change)
        with scene.changed(change):
            assert change is None or scene.value(change) == change.value != was
            before = scene.counted()
            run = run_recipe(
                scene.recipe, *scene.arguments, bpftrace=paths()[-1], command=scene.inside(scene.load)
            )
            counted[name] = scene.since(before)
        assert change is None or scene.value(change) == was
        work = run.capture["window"]["workload"]["work"]
        assert f"{work['count']} {work['unit']}" == scene.work
        slow[name] = run.total("slow")
        unseen = max(unseen, run.missed + run.hidden)
        seconds = run.capture["window"]["duration_seconds"]
        figure(f"{name}: {counted[name]}, {slow[name]} slow, {seconds:.2f} s")
        assert seconds < 4
    return counted, slow, unseen


def test_records_are_read_in_fewer_requests_the_further_ahead(figure):
    if not THROTTLE.exists():
        pytest.skip("no cgroup v1 with blkio here")
    with SCENES["read_ahead"]() as scene:
        counted, slow, _ = runs_of(scene, figure)
        queue = Path(scene.better.file).parent
    for name, change in (
        ("before", READ_AHEAD_KIB),
        ("better", 1024),
        ("same", READ_AHEAD_KIB),
        ("worse", 64),
    ):
        # The whole file, from the disk, each time.
        assert counted[name]["device_sectors"] == 2 * FILE_KIB, name
        # The window begins smaller, and grows.
        assert FILE_KIB / change <= counted[name]["device_reads"] <= FILE_KIB / change + 8, name
    assert counted["same"] == counted["before"]
    # One wait for each record, none, and two; one more where the first begins in the middle of a tenth of a second.
    assert abs(slow["before"] - RECORDS) <= 1
    assert abs(slow["same"] - RECORDS) <= 1
    assert slow["better"] <= 1
    assert abs(slow["worse"] - 2 * RECORDS) <= 2
    assert not queue.exists()
    assert "ebpf-recipe-experiment-" not in Path("/proc/self/mountinfo").read_text()


def test_connections_that_find_the_queue_full_take_a_second(figure):
    with SCENES["accept_queue"]() as scene:
        counted, slow, unseen = runs_of(scene, figure)
        network = scene.network
    # One more waits than the limit says.
    lost = {
        "before": BURST - LONGEST_QUEUE - 1,
        "better": 0,
        "same": BURST - LONGEST_QUEUE - 1,
        "worse": BURST - 8,
    }
    for name, each in lost.items():
        assert counted[name] == {"opened": CONNECTIONS, "dropped": BURSTS * each}, name
        assert 0 <= BURSTS * each - slow[name] <= unseen, name
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert network not in names


@pytest.mark.parametrize("name", ["read_ahead", "accept_queue"])
def test_what_was_raised_and_changed_is_taken_down_after_a_failure(name):
    if name == "read_ahead" and not THROTTLE.exists():
        pytest.skip("no cgroup v1 with blkio here")
    limits = THROTTLE.read_text() if THROTTLE.exists() else ""
    found = {}

    def fail():
        with SCENES[name]() as scene:
            found["scene"], found["was"] = scene, scene.value(scene.worse)
            try:
                with scene.changed(scene.worse):
                    raise KeyError
            finally:
                found["is"] = scene.value(scene.worse)

    with pytest.raises(KeyError):
        fail()
    scene = found["scene"]
    assert found["is"] == found["was"]
    if scene.network is None:
        assert not Path(scene.worse.file).exists()
        assert THROTTLE.read_text() == limits
    else:
        names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        assert scene.network not in names
