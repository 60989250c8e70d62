import itertools

from hypothesis import given
from hypothesis import strategies as st

from runner.bpftrace import folding
from runner.bpftrace.folding import ErrorFold

ERROR = b'{"type": "helper_error", "helper": "map_update_elem", "retcode": -7, "line": 1, "col": 5}'
OTHER = b'{"type": "runtime_error", "msg": "Divide", "line": 1, "col": 9}'
LINES = [
    ERROR,
    OTHER,
    b'{"type": "map", "data": {"@a": 1}}',
    b"",
    b"{",
    b'{"type": "helper',
    b' {"type": "helper_error"',
]


@given(st.lists(st.sampled_from(LINES), max_size=8), st.lists(st.integers(1, 60)), st.booleans())
def test_errors_are_taken_out_however_the_stream_is_cut(lines, cuts, ends):
    stream = b"\n".join(lines) + (b"\n" if ends else b"")
    fold, kept, start = ErrorFold(), b"", 0
    for end in [*itertools.accumulate(cuts), len(stream)]:
        kept += fold.feed(stream[start:end])
        start = max(start, min(end, len(stream)))
    kept += fold.feed(stream[start:]) + fold.rest()
    whole = stream.split(b"\n")[:-1]
    expected = [line for line in whole if line not in (ERROR, OTHER)]
    assert kept == b"".join(line + b"\n" for line in expected) + stream.split(b"\n")[-1]
    assert fold.counts == {line: whole.count(line) for line in (ERROR, OTHER) if line in whole}


def test_a_million_errors_take_no_room():
    fold = ErrorFold()
    for _ in range(100):
        assert fold.feed((ERROR + b"\n") * 1000) == b""
    assert fold.counts == {ERROR: 100_000}


def test_kinds_of_errors_are_not_kept_without_end(monkeypatch):
    monkeypatch.setattr(folding, "_MOST_KINDS", 2)
    fold = ErrorFold()
    lines = [ERROR + str(n).encode() + b"\n" for n in range(5)]
    assert fold.feed(b"".join(lines)) == b"".join(lines[2:])
    assert len(fold.counts) == 2
