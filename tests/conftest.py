"""Privileged tests run where they can; elsewhere they skip with the reason, or fail where that is asked."""

import os
from pathlib import Path

import pytest

from tests.laboratory.machine import missing_for_tracing

ROOT = Path(__file__).parents[1]
FORCE = "EBPF_RECIPE_KERNEL_TESTS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    privileged = [item for item in items if item.get_closest_marker("kernel")]
    if not privileged:
        return
    reason = missing_for_tracing()
    if reason is None:
        return
    if os.environ.get(FORCE) == "1":
        raise pytest.UsageError(f"{FORCE}=1, but nothing can be traced here: {reason}")
    for item in privileged:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EBPF_RECIPE_BPFTRACE", "NO_COLOR", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
