"""Task names as pairs of 64-bit integers: how they travel through bpftrace undamaged.

bpftrace's own printing of strings is wrong in several versions (0.27.1 drops spaces and brackets,
0.23 escapes twice); two integers are printed exactly by all of them.
"""

from typing import Literal

ByteOrder = Literal["little", "big"]

COMM_BYTES = 16
"""TASK_COMM_LEN of include/linux/sched.h: 15 bytes of name and a NUL."""

_WORD = 1 << 64


def name_to_words(name: bytes, byteorder: ByteOrder) -> tuple[int, int]:
    """Lay a task name out as the kernel does and read it as two integers of the host's byte order.

    :param name: At most 15 bytes.
    """
    if len(name) >= COMM_BYTES:
        raise ValueError(f"a task name has at most {COMM_BYTES - 1} bytes, not {len(name)}")
    padded = name.ljust(COMM_BYTES, b"\0")
    return int.from_bytes(padded[:8], byteorder), int.from_bytes(padded[8:], byteorder)


def words_to_name(first: int, second: int, byteorder: ByteOrder) -> bytes:
    """Return the bytes of a task name, up to its NUL.

    :param first: Signed or unsigned: bpftrace before 0.22 prints every integer key as signed.
    """
    packed = (first % _WORD).to_bytes(8, byteorder) + (second % _WORD).to_bytes(8, byteorder)
    return packed.split(b"\0", 1)[0]
