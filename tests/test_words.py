import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.capture.words import is_cut, name_to_words, words_to_text

names = st.binary(max_size=15).filter(lambda name: b"\0" not in name)


@given(names, st.sampled_from(["little", "big"]))
def test_a_name_survives_as_two_words(name, byteorder):
    assert words_to_text(name_to_words(name, byteorder), byteorder) == name


@given(names)
def test_signed_words_are_the_same_name(name):
    # bpftrace before 0.22 prints integer keys as signed.
    signed = [word - (1 << 64) if word >> 63 else word for word in name_to_words(name, "little")]
    assert words_to_text(signed, "little") == name


def test_stale_bytes_behind_the_nul_are_not_part_of_the_name():
    first, second = int.from_bytes(b"ls\0ngnam", "little"), int.from_bytes(b"e-before", "little")
    assert words_to_text([first, second], "little") == b"ls"


def test_words_are_the_kernels_memory():
    assert name_to_words(b"nginx", "little") == (0x786E69676E, 0)


def test_a_name_of_16_bytes_is_none():
    with pytest.raises(ValueError, match="at most 15 bytes, not 16"):
        name_to_words(b"x" * 16, "little")


def test_a_text_without_its_nul_may_have_been_longer():
    assert is_cut([int.from_bytes(b"12345678", "little")], "little")
    assert not is_cut([int.from_bytes(b"1234567\0", "little")], "little")
