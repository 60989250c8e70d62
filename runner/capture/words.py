"""Texts as 64-bit integers: how names travel through bpftrace undamaged.

Chosen over every way of printing a string, for each is wrong somewhere: JSON keys lose spaces and
brackets on 0.27, are escaped twice on 0.23 and joined by bare commas on all; text has no escapes, so that
a newline or `]:` in a name ends it. Integers are printed exactly by every release, in maps of every kind,
and no string that would turn counts hexadecimal (0.24 and later) is printed at all.
"""

from collections.abc import Sequence
from typing import Literal

from runner.capture.declaration import COMM_BYTES, WORD_BYTES

ByteOrder = Literal["little", "big"]

_WORD = 1 << 64


def name_to_words(name: bytes, byteorder: ByteOrder) -> tuple[int, int]:
    """Lay a task name out as the kernel does and read it as two integers of the host's byte order.

    :param name: At most 15 bytes.
    """
    if len(name) >= COMM_BYTES:
        raise ValueError(f"a task name has at most {COMM_BYTES - 1} bytes, not {len(name)}")
    padded = name.ljust(COMM_BYTES, b"\0")
    return int.from_bytes(padded[:WORD_BYTES], byteorder), int.from_bytes(padded[WORD_BYTES:], byteorder)


def words_to_text(words: Sequence[int], byteorder: ByteOrder) -> bytes:
    """Return the bytes of a text, up to its NUL: what stands behind that is nobody's.

    :param words: Signed or unsigned: bpftrace before 0.22 prints every integer key as signed.
    """
    return _packed(words, byteorder).split(b"\0", 1)[0]


def is_cut(words: Sequence[int], byteorder: ByteOrder) -> bool:
    """Return whether a text has no NUL: it may have been longer."""
    return b"\0" not in _packed(words, byteorder)


def _packed(words: Sequence[int], byteorder: ByteOrder) -> bytes:
    return b"".join((word % _WORD).to_bytes(WORD_BYTES, byteorder) for word in words)
