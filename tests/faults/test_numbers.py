from tests.faults.numbers import ALL, search


def test_a_few_vectors_of_every_size_stay_finite() -> None:
    # Of 144 combinations every 29th: each type and kind of target.
    found = list(search(400, 1, slice(0, None, 29)))
    assert len(found) == len(ALL) * 9 // 29 + 1
    assert [each for each in found if each.faults] == []
