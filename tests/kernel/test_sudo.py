"""`--sudo`: bpftrace alone is raised; the password goes to sudo and nowhere else."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

from tests.command import EBPF_RECIPE, ebpf_recipe

pytestmark = pytest.mark.kernel

WITH_USER = str(Path(__file__).parents[1] / "laboratory" / "with-user")
PASSWORD = "correct horse"  # noqa: S105
RUN = ("run", "tcp-retrans", "--sudo")


@pytest.fixture(autouse=True)
def _chosen(bpftrace, monkeypatch):
    monkeypatch.setenv("EBPF_RECIPE_BPFTRACE", bpftrace)


def as_user(*arguments, rule="ALL=ALL"):
    return [WITH_USER, "tracer", PASSWORD, rule, EBPF_RECIPE, *arguments]


def run(*arguments, rule="ALL=ALL", password=PASSWORD):
    given = ("--sudo-password-fd", "0") if password is not None else ()
    return subprocess.run(
        as_user(*RUN, *given, *arguments, rule=rule), input=f"{password}\n", capture_output=True, text=True,
        timeout=120, check=False, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("setting", ["use_pty", "!use_pty"])
def test_a_user_who_may_gets_what_root_gets(setting):
    done = run("-d", "500ms", rule=f"ALL=ALL\nDefaults {setting}")
    assert done.returncode == 0, done.stderr
    capture = json.loads(done.stdout)
    assert capture["quality"] == {"grade": "usable", "problems": []}
    assert capture["window"]["ended_by"] == "duration"
    # Facts that only root may read elsewhere come out the same.
    assert capture["program"]["text"] == ebpf_recipe("run", "tcp-retrans", "--dry-run").stdout
    assert capture["overhead"]["bpf_seconds"] is None
    assert "Permission denied" in capture["overhead"]["covers"]
    assert capture["overhead"]["tracer_rss_bytes"] > 20_000_000
    assert PASSWORD not in done.stdout + done.stderr


def test_a_wrong_password_is_refused():
    done = run("-d", "500ms", password="wrong")  # noqa: S106
    assert done.returncode == 4
    assert "did not accept the password" in done.stderr
    assert done.stdout == ""


def test_without_a_terminal_and_without_a_descriptor_it_says_what_would_help():
    done = run("-d", "500ms", password=None)
    assert done.returncode == 4
    assert "there is no terminal to ask on" in done.stderr


def test_who_is_no_sudoer_is_told_so():
    done = run("-d", "500ms", rule="ALL=/bin/true")
    assert done.returncode == 4
    assert "[sudo]" in done.stderr


def test_a_rule_for_bpftrace_alone_suffices(bpftrace):
    old = subprocess.run([bpftrace, "--version"], capture_output=True, text=True, check=True).stdout
    tags = "NOPASSWD:SETENV:" if "v0.17" in old else "NOPASSWD:"
    done = run("-d", "500ms", rule=f"ALL={tags} {bpftrace}", password=None)
    assert done.returncode == 0, done.stderr
    if "v0.17" in old:
        refused = run("-d", "500ms", rule=f"ALL=NOPASSWD: {bpftrace}", password=None)
        assert refused.returncode == 4
        assert "SETENV" in refused.stderr


def test_the_terminal_is_asked_and_the_password_is_in_no_process(tmp_path):
    target = tmp_path / "x.json"
    tmp_path.parent.chmod(0o755)
    tmp_path.chmod(0o777)
    terminal = pexpect.spawn(
        WITH_USER, as_user(*RUN, "-d", "60s", "-o", str(target))[1:], encoding="utf-8", timeout=60,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    terminal.expect("password: ")
    terminal.sendline("wrong")
    terminal.expect("password: ")
    terminal.sendline(PASSWORD)
    terminal.expect("tracing")
    needle = PASSWORD.encode()
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    found = needle in (process / name).read_bytes()
                except OSError:
                    continue
                assert not found or "with-user" in (process / "cmdline").read_text(), process
    terminal.sendcontrol("c")
    terminal.expect("retransmits: ")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert json.loads(target.read_text())["window"]["ended_by"] == "interrupt"


@pytest.mark.parametrize(("number", "code"), [(None, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 130)])
def test_ctrl_c_or_a_signal_at_the_password_ends_it(number, code):
    terminal = pexpect.spawn(WITH_USER, as_user(*RUN)[1:], encoding="utf-8", timeout=60)
    terminal.expect("password: ")
    if number is None:
        terminal.sendcontrol("c")
    else:
        terminal.kill(number)
    terminal.expect("nothing was measured")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_when_the_runner_is_ended(number):
    with subprocess.Popen(
        as_user(*RUN, "--sudo-password-fd", "0", "-d", "60s"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        process.stdin.write(f"{PASSWORD}\n".encode())
        process.stdin.close()
        below = []
        deadline = time.monotonic() + 60
        while not any("bpftrace" in name or "ld-linux" in name for _, name in below):
            assert time.monotonic() < deadline
            below = list(descendants(process.pid))
            time.sleep(0.05)
        time.sleep(4)
        process.send_signal(number)
        output = process.stdout.read()
    deadline = time.monotonic() + 3
    while any(Path(f"/proc/{pid}").exists() for pid, _ in below) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid, _ in below if Path(f"/proc/{pid}").exists()]
    if number == signal.SIGTERM:
        assert json.loads(output)["window"]["ended_by"] == "interrupt"


def descendants(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        try:
            yield int(child), Path(f"/proc/{child}/comm").read_text()
        except OSError:
            continue
        yield from descendants(child)
