"""Settings that change each other, others that change them, and answers that never come."""

import pytest

from runner.errors import HostRefused, Interrupted, NotWritten
from runner.recipe.model_setting import CommandSpec, FileSpec
from runner.workflow.experiment.change import change_of_specs
from runner.workflow.experiment.journal import read_journal, remove_journal
from runner.workflow.experiment.recover import recover
from runner.workflow.experiment.restore import HostChanged
from runner.workflow.experiment.setting_command import SettingFailed
from runner.workflow.experiment.state import journal_path
from runner.workflow.experiment.switch import Switch


@pytest.fixture
def requests(tmp_path):
    path = tmp_path / "nr_requests"
    path.write_text("256\n")
    return path


@pytest.fixture
def scheduler(tmp_path, requests):
    """The I/O scheduler: the kernel sets the requests anew where it is changed."""
    path = tmp_path / "scheduler"
    path.write_text("mq\n")
    return CommandSpec(
        name="scheduler",
        read=f"cat {path}",
        apply=f"echo none > {path}; echo 64 > {requests}",
        revert=f'echo "$BEFORE" > {path}; echo 64 > {requests}',
    )


def file_of(path, value):
    return FileSpec(file=str(path), value=value)


def switch(tmp_path, *specs, ask=None):
    return Switch(change_of_specs("a change", specs, None, {}), tmp_path, ask)


def test_what_putting_one_back_does_to_another_is_put_back_too(tmp_path, scheduler, requests):
    one = switch(tmp_path, scheduler, file_of(requests, "512"))
    one.on()
    one.off()
    assert (tmp_path / "scheduler").read_text() == "mq\n"
    assert requests.read_text() == "256\n"
    assert not journal_path().exists()


def test_what_settles_on_no_state_is_said(tmp_path, requests):
    other = tmp_path / "other"
    other.write_text("1\n")
    # Each undoes the other.
    each = [
        CommandSpec(
            name=path.name,
            read=f"cat {path}",
            apply=f"echo 9 > {path}",
            revert=f'echo "$BEFORE" > {path}; echo 7 > {beside}',
        )
        for path, beside in ((requests, other), (other, requests))
    ]
    one = switch(tmp_path, *each)
    one.on()
    with pytest.raises(HostChanged, match="what was put back with it changes it"):
        one.off()
    assert journal_path().exists()


def test_a_change_that_undoes_another_of_its_own_did_not_take(tmp_path, scheduler, requests):
    with pytest.raises(
        SettingFailed, match=r"the change did not take: .*nr_requests is '64' instead of '512'"
    ):
        switch(tmp_path, file_of(requests, "512"), scheduler).on()
    assert requests.read_text() == "256\n"


def test_what_one_does_to_another_is_not_taken_for_somebody_elses(tmp_path, requests):
    other = tmp_path / "other"
    other.write_text("1\n")
    clamps = CommandSpec(
        name="limit",
        read=f"cat {other}",
        apply=f"echo 2 > {other}",
        revert=f'echo "$BEFORE" > {other}; echo 100 > {requests}',
    )
    one = switch(tmp_path, file_of(requests, "512"), clamps)
    one.on()
    one.off()
    assert (requests.read_text(), other.read_text()) == ("256\n", "1\n")


@pytest.mark.parametrize("kind", [HostRefused, Interrupted, OSError])
def test_a_question_that_is_not_answered_keeps_nothing_from_being_put_back(tmp_path, requests, kind):
    other = tmp_path / "other"
    other.write_text("1\n")

    def ask(_):
        raise kind("the terminal is at its end")

    one = switch(tmp_path, file_of(other, "2"), file_of(requests, "512"), ask=ask)
    one.on()
    requests.write_text("9\n")
    with pytest.raises(HostChanged, match="somebody else changed it meanwhile"):
        one.off()
    assert (other.read_text(), requests.read_text()) == ("1\n", "9\n")


def test_the_same_question_is_asked_once(tmp_path, requests):
    asked = []
    one = switch(tmp_path, file_of(requests, "512"), ask=lambda question: bool(asked.append(question)))
    one.on()
    requests.write_text("9\n")
    for _ in range(2):
        with pytest.raises(HostChanged):
            one.off()
    assert len(asked) == 1


def test_what_changes_by_itself_is_no_setting(tmp_path):
    counts = CommandSpec(
        name="it", read=f"echo x >> {tmp_path}/c; wc -l < {tmp_path}/c", apply="true", revert="$BEFORE"
    )
    with pytest.raises(SettingFailed, match="what changes by itself cannot be put back"):
        switch(tmp_path, counts)


def test_that_it_lasts_is_seen(tmp_path, requests):
    one = switch(tmp_path, file_of(requests, "512"))
    one.check()
    one.on()
    one.check()
    requests.write_text("256\n")
    with pytest.raises(
        HostRefused, match="somebody else changed it meanwhile: it was '512', and is '256' now"
    ):
        one.check()
    one.off()
    requests.write_text("9\n")
    with pytest.raises(HostRefused, match="it was '256', and is '9' now"):
        one.check()


def test_what_is_set_while_nothing_is_changed_is_not_of_our_making(tmp_path, requests):
    one = switch(tmp_path, file_of(requests, "512"))
    one.on()
    one.off()
    # Here it is killed, in a run without the change; then somebody finds the value good.
    requests.write_text("512\n")
    assert recover(None) is None
    assert requests.read_text() == "512\n"
    requests.write_text("256\n")
    one.on()
    assert read_journal(journal_path()) is not None


def test_a_journal_that_cannot_be_taken_away_is_no_bug_of_ours(tmp_path):
    held = tmp_path / "held"
    (held / "inside").mkdir(parents=True)
    with pytest.raises(NotWritten, match="what it says is done with"):
        remove_journal(held)
