"""Privileged tests run where they can; elsewhere they skip with the reason, or fail where that is asked."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.laboratory.machine import FORCE, GUEST_TRUTH_FILE, TRUTH_FILE, has_kprobes, missing_for_tracing
from tests.laboratory.releases import missing
from tests.laboratory.truth import Comparison, as_json, as_page, from_json

# How long an example takes is the machine's: one that stands still for a moment fails none.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # After -m has taken out what is not asked for.
    guests = [item for item in items if item.get_closest_marker("guest")]
    if guests and not has_kprobes():
        for item in guests:
            item.add_marker(
                pytest.mark.skip(reason="this kernel has no kprobes; `make test-guest` boots one")
            )
        guests = []
    privileged = [*guests, *(item for item in items if item.get_closest_marker("kernel"))]
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


_TRUTHS = pytest.StashKey[list[Comparison]]()


@pytest.fixture
def truth(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Take one comparison of a recipe's number with an independent one, whether the test passes or not."""
    found = request.config.stash.setdefault(_TRUTHS, [])
    return lambda *fields, **more: found.append(Comparison(*fields, **more))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    truths = config.stash.get(_TRUTHS, [])
    if truths:
        terminalreporter.section("truth")
        for comparison in sorted(truths):
            terminalreporter.line(str(comparison))
        # A page with a comparison that failed would say something else than its tests.
        if TRUTH_FILE in os.environ and exitstatus == pytest.ExitCode.OK:
            _write_truths(Path(os.environ[TRUTH_FILE]), truths)
    lines = config.stash.get(_FIGURES, [])
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


def _write_truths(path: Path, truths: list[Comparison]) -> None:
    if path.suffix == ".json":
        path.write_text(as_json(truths))
        return
    more = os.environ.get(GUEST_TRUTH_FILE)
    path.write_text(as_page([*truths, *(from_json(Path(more).read_text()) if more else [])]))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("EBPF_RECIPE_BPFTRACE", "EBPF_RECIPE_PATH", "NO_COLOR", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
