"""How long bpftrace may take until its probes are attached."""

import pytest

from runner.bpftrace.session import READY_TIMEOUT_SECONDS, READY_VARIABLE, ready_timeout_seconds
from runner.errors import ValueRefused


def test_what_is_waited(monkeypatch):
    monkeypatch.delenv(READY_VARIABLE, raising=False)
    assert ready_timeout_seconds() == READY_TIMEOUT_SECONDS
    monkeypatch.setenv(READY_VARIABLE, "600")
    assert ready_timeout_seconds() == 600


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "nan", "1_0", "\u0667", "86401", "1e3", "10s"])
def test_a_number_of_seconds_that_is_none(monkeypatch, text):
    monkeypatch.setenv(READY_VARIABLE, text)
    with pytest.raises(ValueRefused, match="a number of seconds from 1 to 86400"):
        ready_timeout_seconds()
