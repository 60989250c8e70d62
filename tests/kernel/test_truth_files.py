"""file-opens and fileslower against what the load itself counts and measures."""

import os

import pytest

from tests.kernel.recipes import run_recipe
from tests.laboratory.load import asking, load
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

LEAST_NS = 10_000_000


def test_every_open_is_counted_and_reported(bpftrace, tmp_path, truth):
    folder = tmp_path / "a,b"
    folder.mkdir()
    (folder / "here").touch()
    times = 250
    with load("opener, x", tmp_path) as one:
        # A name without spaces: words of a request are cut there.
        link = tmp_path / "link"
        link.symlink_to(folder)
        run = run_recipe(
            "file-opens",
            "--pid",
            str(one.pid),
            bpftrace=bpftrace,
            command=asking(f"opens {times} {link}", one),
        )
    (done,) = run.answers()
    what, release = f"{4 * times} opens in four ways, and {3 * times} that fail", release_of(bpftrace)
    for failed, name in ((False, "succeeded"), (True, "failed")):
        ours = run.total("opens", failed=failed, pid=one.pid, comm="opener, x")
        truth("file-opens", f"opens that {name}", what, release, ours, done[name], "the load")
        assert run.agrees(ours, done[name])
        reported = [each for each in run.events("open") if (each["fields"]["fd"] < 0) == failed]
        truth(
            "file-opens", f"reported opens that {name}", what, release, len(reported), done[name], "the load"
        )
        assert run.agrees(len(reported), done[name])
        expected = {
            "filename": f"{link}/{'not here' if failed else 'here'}",
            "error": "ENOENT" if failed else None,
        }
        for event in reported:
            assert {field: event["fields"][field] for field in expected} == expected
    # One table has nothing but these: nobody else's opens are in it.
    assert len(run.tables["opens"]) == 2


def test_slow_reads_are_those_that_the_load_finds_slow(bpftrace, tmp_path, truth):
    folder = tmp_path / "with space, and é"
    folder.mkdir()
    path = folder / "big"
    with path.open("wb") as file:
        for _ in range(128):
            file.write(b"x" * (1 << 21))
    link = tmp_path / "link"
    link.symlink_to(path)
    with load("reader", tmp_path) as one:
        run = run_recipe(
            "fileslower",
            "--pid",
            str(one.pid),
            bpftrace=bpftrace,
            command=asking(f"reads {link} 20 500", one),
        )
    (taken,) = run.answers()
    slow = run.events("slow")
    release = release_of(bpftrace)
    what = "20 reads of 256 MiB and 500 of 100 bytes, all in the page cache"
    # The load's own measure has the call and two readings of its clock in it: what is slow to us is so to it.
    theirs = sum(each >= LEAST_NS for each in taken)
    surely = sum(each >= LEAST_NS + 2_000_000 for each in taken)
    truth("fileslower", "reads of 10 ms and longer", what, release, len(slow), theirs, "the load")
    assert surely - run.missed <= len(slow) <= theirs
    assert theirs >= 20
    total = sum(event["fields"]["latency"] for event in slow) / 1000
    independent = sum(each for each in taken if each >= LEAST_NS) / 1e6
    truth(
        "fileslower", "ms in slow reads", what, release, round(total, 1), round(independent, 1), "the load",
        because="the load's own measure has what comes before and after the call in it",
    )  # fmt: skip
    assert 0.98 * independent <= total <= independent
    for event in slow:
        assert event["fields"]["path"] == str(path)
        assert event["fields"]["call"] == "pread64"
        assert event["fields"]["error"] is None
    assert sum(event["fields"]["bytes"] == path.stat().st_size for event in slow) >= 20 - run.missed
    ours = run.total("latency", "count", call="pread64")
    truth("fileslower", "reads in all", what, release, ours, len(taken), "the load")
    assert run.agrees(ours, len(taken))


def test_a_path_goes_over_mount_points(bpftrace, tmp_path, truth):
    """A file system of its own, mounted in a folder: the path begins at the root of all of them."""
    inner = tmp_path / "in" / "ner"
    inner.mkdir(parents=True)
    script = (
        f"import os, subprocess\n"
        f"subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', {str(inner)!r}], check=True)\n"
        f"os.mkdir({str(inner / 'sub')!r})\n"
        f"descriptor = os.open({str(inner / 'sub' / 'file')!r}, os.O_CREAT | os.O_RDWR)\n"
        f"os.write(descriptor, b'x' * (96 << 20))\n"
    )
    command = ["unshare", "--mount", "--propagation", "private", "python3", "-c", script]
    run = run_recipe("fileslower", "--least", "1ms", bpftrace=bpftrace, command=command)
    paths = [
        event["fields"]["path"]
        for event in run.events("slow")
        if event["fields"]["call"] == "write" and event["fields"]["bytes"] == 96 << 20
    ]
    truth(
        "fileslower", "path", "a file on a tmpfs of another mount namespace", release_of(bpftrace),
        "right" if paths == [str(inner / "sub" / "file")] else str(paths), "right", "the load",
    )  # fmt: skip
    assert paths == [str(inner / "sub" / "file")]
    assert os.path.ismount(inner) is False
