"""Reads a file from beginning to end, a record at a time, at a fixed rate. Run as a program.

usage: python -m tests.laboratory.record_reader FILE

Nothing of the file is in memory when it begins. A record that was late is not waited for twice: the next one's time
stays, so that the rate holds as long as records take less than their period. It ends after so many periods, whatever
they took, and says how many records it read.
"""

from __future__ import annotations

import os
import sys
import time

from tests.laboratory import work
from tests.laboratory.load import rename

NAME = "record-reader"
RECORDS = 5
READS = 48
"""Of each record."""
READ_BYTES = 16 << 10

_PERIOD_SECONDS = 0.5


def main() -> None:
    """Read, and say how many records there were."""
    rename(NAME)
    file = os.open(sys.argv[1], os.O_RDONLY)
    # Not O_DIRECT, which reads nothing ahead. What was read before stays in memory until it is given up.
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    begun = time.monotonic()
    for number in range(RECORDS):
        _sleep_until(begun + number * _PERIOD_SECONDS)
        for _ in range(READS):
            if len(os.read(file, READ_BYTES)) < READ_BYTES:
                sys.exit("the file ends before its last record")
    _sleep_until(begun + RECORDS * _PERIOD_SECONDS)
    work.say(RECORDS, "records")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


if __name__ == "__main__":
    main()
