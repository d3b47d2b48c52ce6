"""Rows of any number: the same as a list's, in little memory."""

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.data import rows as module
from wseg_tf.data.rows import Rows


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RUN", 64)
    monkeypatch.setattr(module, "_BLOCK", 8)
    monkeypatch.setattr(module, "_IN_MEMORY", 1024)


ANY = st.lists(st.tuples(st.sampled_from("aäz🚗"), st.integers()), max_size=300)


@given(ANY)
def test_rows_are_those_of_a_list(given_rows: list[tuple[str, int]]) -> None:
    kept = Rows(iter(given_rows))
    assert [*kept] == given_rows == [*kept]
    assert len(kept) == len(given_rows)
    assert bool(kept) == bool(given_rows)
    ordered = Rows.in_order(iter(given_rows))
    assert [*ordered] == sorted(given_rows) == [*ordered]
    assert len(ordered) == len(given_rows)


def test_rows_are_read_at_several_places_at_a_time() -> None:
    for kept in (Rows(range(500)), Rows.in_order(range(500))):
        pairs = zip(kept, kept, strict=True)
        assert next(pairs) == (0, 0)
        assert [*kept] == [*range(500)]
        assert [*pairs] == [(k, k) for k in range(1, 500)]


@pytest.mark.parametrize("make", [Rows, Rows.in_order])
def test_memory_does_not_grow_with_rows(make: type[Rows[str]]) -> None:
    def texts(count: int) -> Iterator[str]:
        return (f"{k * 7919 % count:0200d}" for k in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in make(texts(count))) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)
    # A list of the rows that are more would take 800,000 bytes.
    assert peak(4000) - peak(1000) < 200_000
