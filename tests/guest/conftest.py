"""The tests inside the guest run on every bpftrace, and on hosts of their own, as those of the kernel do."""

from tests.kernel.conftest import hosts, pytest_generate_tests

__all__ = ["hosts", "pytest_generate_tests"]
