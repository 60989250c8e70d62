"""Tests: pure parts at the top, the real kernel in `kernel/`, real symptoms in `laboratory/`."""
