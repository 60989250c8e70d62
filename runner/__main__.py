"""Let `python -m runner` be the command `ebpf-recipe`."""

import sys

from runner.cli.main import main

sys.exit(main())
