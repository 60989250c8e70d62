"""Keys that never repeat: folded before rows are matched, so that nothing is lost or counted twice."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runner.capture.rows import identity
from runner.compare.design import arrange
from runner.compare.exploring import MOST_ROWS, explored
from runner.compare.folding import folding
from runner.compare.runs import runs_of
from tests.captures import run, table

COLUMNS = [
    {"name": "pid", "type": "integer"},
    {"name": "comm", "type": "comm"},
    {"name": "remote_port", "type": "port"},
    {"name": "remote_address", "type": "ip"},
    {"name": "cgroup", "type": "cgroup"},
]


def key(**more):
    return {"pid": 1, "comm": "a", "remote_port": 80, "remote_address": "10.0.0.1", "cgroup": "/x"} | more


def folded(columns, *runs):
    fold = folding(columns, runs)
    return [[fold(each) for each in keys] for keys in runs]


def test_what_every_run_has_stays():
    assert folded(COLUMNS, [key(), key(pid=7)], [key(), key(pid=8)]) == [
        [key(), key(pid="*")],
        [key(), key(pid="*")],
    ]


def test_what_one_run_lacks_is_folded_column_by_column():
    (one,), (other,) = folded(
        COLUMNS,
        [key(remote_port=40001, remote_address="10.0.0.2")],
        [key(remote_port=40002, remote_address="10.0.0.2", cgroup={"text": "/y", "base64": "L3k="})],
    )
    assert one == key(remote_port="*", remote_address="10.0.0.2", cgroup="*")
    assert other == one


def test_a_run_without_rows_leaves_nothing_that_every_run_has():
    assert folded(COLUMNS, [key()], []) == [
        [key(pid="*", remote_port="*", remote_address="*", cgroup="*")],
        [],
    ]


def test_names_of_processes_and_other_numbers_are_no_ids():
    columns = [
        {"name": "comm", "type": "comm"},
        {"name": "cpu", "type": "integer"},
        {"name": "error", "type": "error"},
    ]
    keys = [{"comm": "a", "cpu": 0, "error": "EIO"}]
    assert folded(columns, keys, []) == [keys, []]


def test_threads_and_parents_are_ids_too():
    names = ("tid", "ppid", "parent_pid", "waker_tid")
    columns = [{"name": name, "type": "unsigned"} for name in names]
    assert folded(columns, [dict.fromkeys(names, 5)], [dict.fromkeys(names, 6)])[0] == [
        dict.fromkeys(names, "*")
    ]


def test_an_owner_that_is_not_known_stays_unknown():
    assert folded(COLUMNS, [key(pid=None)], [key(pid=3)])[0] == [key(pid=None)]


def test_stacks_are_the_same_by_their_functions():
    columns = [{"name": "stack", "type": "user-stack"}]
    text = {"text": "f\ufffd", "base64": "Zv8="}
    one = [{"symbol": "f", "offset": 1, "module": "/proc/1/exe"}, {"address": "0x7f01"}, {"symbol": text}]
    other = [{"symbol": "f", "offset": 9, "module": "/proc/2/exe"}, {"address": "0x7f02"}, {"symbol": text}]
    found = folded(columns, [{"stack": one}, {"stack": None}], [{"stack": other}, {"stack": []}])
    assert found[0][0] == found[1][0] == {"stack": [{"symbol": "f"}, {"symbol": "?"}, {"symbol": text}]}
    assert [found[0][1], found[1][1]] == [{"stack": None}, {"stack": []}]


KEYS = st.fixed_dictionaries(
    {
        "pid": st.none() | st.integers(0, 5),
        "comm": st.sampled_from(["a", "b", "other", "*"]),
        "remote_port": st.integers(1, 4),
        "remote_address": st.sampled_from(["10.0.0.1", "::1"]),
        "cgroup": st.none() | st.sampled_from(["/x", "/y"]),
    }
)
ROWS = st.lists(st.tuples(KEYS, st.integers(0, 10**6)), max_size=12)


@given(st.lists(ROWS, min_size=2, max_size=5))
def test_folding_loses_nothing_and_counts_nothing_twice(runs):
    fold = folding(COLUMNS, [[each for each, _ in rows] for rows in runs])
    for rows in runs:
        before, after = Counter(), Counter()
        for each, count in rows:
            before[each["comm"]] += count
            after[fold(each)["comm"]] += count
            kept = {name for name, value in fold(each).items() if value == each[name]}
            assert all(fold(each)[name] == "*" for name in each.keys() - kept)
        assert before == after


@given(st.lists(ROWS, min_size=2, max_size=4), st.integers(0, 400))
def test_rows_of_a_comparison_add_up_to_what_was_counted(runs, more):
    shapes = [(each["name"], each["type"]) for each in COLUMNS]
    made = []
    for place, rows in enumerate(runs):
        many = [(key(comm=f"c{number}"), 1 + number) for number in range(more)]
        listed = [{"key": each, "value": count} for each, count in [*rows, *many]]
        made.append(
            (str(place), run(table("t", "count", listed, "packets", shapes), at=20 * place, seconds=1.0))
        )
    sides = runs_of(made[:1]), runs_of(made[1:])
    found = explored(sides, arrange(*sides), [], None)
    whole = [row for row in found if not row["key"]]
    parts = [row for row in found if row["key"]]
    assert len(whole) == 1
    assert len(parts) <= MOST_ROWS + 1
    for side, name in zip(sides, ("before", "after"), strict=True):
        counted = [sum(row["value"] for row in each.tables("t")[0]["rows"]) for each in side]
        assert whole[0][name] * len(side) == sum(counted)
        assert abs(sum(row[name] for row in parts) * len(side) - sum(counted)) < 1e-6 * max(1, sum(counted))
    shown = [identity(row["key"]) for row in parts]
    assert len(set(shown)) == len(shown)


def test_somebody_who_is_called_other_is_no_second_row_of_that_name():
    names = ["other", *(f"c{number}" for number in range(300))]
    listed = [{"key": {"comm": comm}, "value": 300 - place} for place, comm in enumerate(names)]
    made = [run(table("t", "count", listed, "packets"), at=20 * place, seconds=1.0) for place in range(2)]
    sides = [runs_of([("", each)]) for each in made]
    parts = [row for row in explored(sides, arrange(*sides), [], None) if row["key"]]
    (other,) = [row for row in parts if row["key"] == {"comm": "other"}]
    assert len(parts) == MOST_ROWS
    assert other["before"] == 300 + sum(row["value"] for row in listed[MOST_ROWS:])
