"""Plain values are held to types; what is wrong is named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wseg_tf.ranges import bounded
from wseg_tf.typed import bare, built, element, may_be_none, misfit

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@dataclass(frozen=True)
class Wheel:
    size: float = bounded(1.0, above=0, most=10)
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Car:
    name: str
    wheels: list[Wheel] = field(default_factory=list)
    place: tuple[int, int] | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    more: Any = None


GOOD: dict[str, Any] = {
    "name": "a",
    "wheels": [{"size": 2, "names": ["x", "y"]}, {}],
    "place": [3, 4],
    "prices": {"b": 1.5},
    "more": [{"c": None}],
}


def test_what_fits_becomes_dataclasses() -> None:
    assert misfit(Car, GOOD, "a", strict=True) is None
    assert built(Car, GOOD) == Car(
        "a",
        [Wheel(2, ("x", "y")), Wheel()],
        (3, 4),
        {"b": 1.5},
        [{"c": None}],
    )


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("key", "wrong", "said"),
    [
        ("name", 5, "`name` in a.yaml. Expected text"),
        ("name", ["a"], "`name` in a.yaml. Expected text. Received: ['a']"),
        ("name", True, "looks like a bool"),
        ("wheels", "x", "`wheels` in a.yaml. Expected a list. Received: 'x'"),
        ("wheels", {"0": {}}, "`wheels` in a.yaml. Expected a list"),
        ("wheels", [[]], "`wheels.0` in a.yaml. Expected keys and values"),
        ("wheels", [{"size": []}], "`wheels.0.size` in a.yaml. Expected a num"),
        ("wheels", [{"names": ["x", {}]}], "`wheels.0.names.1` in a.yaml."),
        ("wheels", [{"syze": 1}], "Invalid key `wheels.0.syze` in a.yaml."),
        ("place", [1], "`place` in a.yaml. Expected 2 values. Received: [1]"),
        ("prices", [], "`prices` in a.yaml. Expected keys and values"),
        ("prices", {1: 2.0}, "`prices.1` in a.yaml. Expected a text as key"),
        ("prices", {"b": {}}, "`prices.b` in a.yaml. Expected a number"),
        ("nome", 1, "(did you mean `name`?)"),
    ],
)
def test_a_wrong_shape_is_named(
    strict: bool, key: str, wrong: Any, said: str
) -> None:
    found = misfit(Car, {**GOOD, key: wrong}, "a.yaml", strict=strict)
    if strict and said.startswith("looks like"):
        said = "Expected text. Received"
    assert found is not None
    assert said in found


@pytest.mark.parametrize(
    ("key", "wrong", "said"),
    [
        ("name", None, "`name` in a. Expected text. Received: None"),
        ("name", "a\0", "text without NUL bytes"),
        ("wheels", [{"size": "2"}], "`wheels.0.size` in a. Expected a num"),
        ("wheels", [{"size": True}], "`wheels.0.size`"),
        ("wheels", [{"size": 11}], "a number, above 0 and at most 10. Rec"),
        ("prices", {"b": math.nan}, "`prices.b`"),
        ("prices", {"b": math.inf}, "`prices.b`"),
        ("place", [1, 2.0], "`place.1` in a. Expected a whole number"),
        ("place", [1, 2**63], "`place.1`"),
    ],
)
def test_strictly_scalars_are_what_they_are_to_be(
    key: str, wrong: Any, said: str
) -> None:
    assert misfit(Car, {**GOOD, key: wrong}, "a") is None
    assert said in str(misfit(Car, {**GOOD, key: wrong}, "a", strict=True))


def test_a_field_that_must_be_there_is_missed_strictly() -> None:
    assert misfit(Car, {}, "a") is None
    found = misfit(Car, {}, "a", strict=True)
    assert found == (
        "Invalid value for `name` in a. Expected a value. Received: None."
    )


@example({"\n": None})
@example({"prices": {"\x85": "a"}})
@given(PLAIN)
def test_whatever_is_given_is_built_or_told_in_a_line(value: Any) -> None:
    for kind in (Car, list[Wheel], dict[str, list[int]], str | int, Any):
        said = misfit(kind, value, "a", strict=True)
        if said is None:
            built(kind, value)
        else:
            assert said.startswith("Invalid ")
            assert "\n" not in said
        misfit(kind, value, "a")


def test_types_are_taken_apart() -> None:
    assert element(list[str] | None) is str
    assert element(dict[str, int]) is int
    assert element(tuple[float, ...]) is float
    assert element(str) is None
    assert bare(int | None) is int
    assert bare(int | str) == int | str
    assert (may_be_none(int | None), may_be_none(int)) == (True, False)
