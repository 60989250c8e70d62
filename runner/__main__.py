"""The command `ebpf-recipe`, and `python -m runner`."""

import signal
import sys

# Python turns SIGINT into an exception, and drops it where it is raised in a callback of an import. Until
# somebody listens, SIGINT ends us as SIGTERM does.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from runner.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
