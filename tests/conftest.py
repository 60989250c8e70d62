"""Privileged tests run where they can; elsewhere they skip with the reason, or fail where that is asked."""

import os
from collections.abc import Callable

import pytest

from tests.laboratory.machine import missing_for_tracing
from tests.laboratory.releases import missing

FORCE = "EBPF_RECIPE_KERNEL_TESTS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    privileged = [item for item in items if item.get_closest_marker("kernel")]
    if not privileged:
        return
    reason = missing_for_tracing()
    if reason is None:
        if os.environ.get(FORCE) == "1" and missing():
            raise pytest.UsageError(f"{FORCE}=1, but bpftrace was not fetched of Debian {missing()}")
        return
    if os.environ.get(FORCE) == "1":
        raise pytest.UsageError(f"{FORCE}=1, but nothing can be traced here: {reason}")
    for item in privileged:
        item.add_marker(pytest.mark.skip(reason=reason))


_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a figure of a proof at the end of the run, whether the test passes or not."""
    lines = request.config.stash.setdefault(_FIGURES, [])
    return lambda text: lines.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_FIGURES, [])
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("EBPF_RECIPE_BPFTRACE", "NO_COLOR", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
