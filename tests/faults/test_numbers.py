from tests.faults.numbers import ALL, search


def test_a_few_vectors_of_every_size_stay_finite() -> None:
    # Of 144 combinations every 17th: each type, target and most losses.
    found = list(search(400, 1, slice(0, None, 17)))
    assert len(found) == len(ALL) * 9 // 17 + 1
    assert [each for each in found if each.faults] == []
