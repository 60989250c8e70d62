"""The tests marked `guest`, on a kernel with kprobes and fentry: `python -m tests.laboratory.guest [PYTEST WORDS]`.

They run in one boot of Debian 12's kernel, or of another that was fetched (`--kernel 6.12`). The exit code is pytest's.
Where there can be no guest it says why and is done, or fails where that is asked (EBPF_RECIPE_KERNEL_TESTS=1). With
EBPF_RECIPE_TRUTH=FILE.json the comparisons of the run are written there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.laboratory.boot import missing, run_in_guest
from tests.laboratory.kernels import DEFAULT
from tests.laboratory.machine import FORCE, TRUTH_FILE

TEST_SECONDS = 1200
"""How long the tests may take."""

_ATTEMPTS = 2
"""An emulated kernel may stand still for reasons of the emulation; tests that fail are not run again."""


def main() -> int:
    """Run the tests that are marked `guest`; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.laboratory.guest")
    parser.add_argument("--kernel", default=DEFAULT, help="a release that fetch-kernel fetches, such as 6.12")
    options, pytest_words = parser.parse_known_args()
    # So that the guest ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = missing(options.kernel)
    if reason is not None:
        print(f"no guest with kprobes here: {reason}", file=sys.stderr)
        return 1 if os.environ.get(FORCE) == "1" else 0
    wanted = os.environ.pop(TRUTH_FILE, None)
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-guest-") as name:
        folder = Path(name)
        truths = folder / "truth.json"
        os.environ[TRUTH_FILE] = str(truths)
        # Where a test stands still it says where.
        told = ["-o", "faulthandler_timeout=200", "-p", "no:cacheprovider"]
        words = [*told, "-m", "guest", "tests/guest", *pytest_words]
        # In the guest a test that is skipped proves nothing.
        os.environ[FORCE] = "1"
        code = 1
        for attempt in range(_ATTEMPTS):
            try:
                code = run_in_guest(
                    [sys.executable, "-m", "pytest", *words],
                    folder,
                    kernel=options.kernel,
                    seconds=TEST_SECONDS,
                )
                break
            except (TimeoutError, RuntimeError) as error:
                print(f"boot {attempt + 1} of {_ATTEMPTS}: {error}", file=sys.stderr)
        if wanted is not None and truths.exists():
            shutil.copy(truths, wanted)
        return code


if __name__ == "__main__":
    sys.exit(main())
