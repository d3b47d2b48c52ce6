"""The numbers a configuration may hold, said beside each of its fields."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")

# What C++ takes for a size, a count or a seed.
LARGEST = 2**31 - 1
_KEY = "range"


@dataclass(frozen=True)
class Range:
    """An interval of finite numbers.

    Args:
        least: The smallest.
        most: The largest.
        above: All are larger.
        below: All are smaller.

    Example:

    >>> str(Range(above=0, most=1)), 0.0 in Range(above=0, most=1)
    ('above 0 and at most 1', False)
    """

    least: float = -LARGEST
    most: float = LARGEST
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, number: float) -> bool:
        """Whether a number is in it; NaN never is."""
        is_above = self.least <= number and self.above < number
        return is_above and number <= self.most and number < self.below

    def __str__(self) -> str:
        """The interval in words."""
        if (self.least, self.most) == (0, 1):
            return "0..1"
        words = [
            f"{word} {bound:.12g}"
            for word, bound in (
                ("at least", self.least),
                ("above", self.above),
                ("at most", self.most),
                ("below", self.below),
            )
            if abs(bound) < LARGEST
        ]
        return " and ".join(words) or "a finite number"


def bounded(
    default: Value | Callable[[], Value],
    least: float = -LARGEST,
    most: float = LARGEST,
    above: float = -math.inf,
    below: float = math.inf,
) -> Value:
    """Returns a field of a dataclass whose numbers are in a range.

    Args:
        default: The default, or what makes it, such as `list`.
        least: The smallest number, of a list, a tuple or a mapping, too.
            Defaults to -(2**31 - 1).
        most: The largest. Defaults to 2**31 - 1.
        above: All are larger. Defaults to none.
        below: All are smaller. Defaults to none.

    Example:

    >>> @dataclass
    ... class Camera:
    ...     gain: float = bounded(1.0, above=0)
    >>> check_ranges(Camera(gain=float("nan")))
    Traceback (most recent call last):
        ...
    ValueError: Invalid value for argument `gain`. Expected above 0. Received:
    gain=nan.
    """
    metadata = {_KEY: Range(least, most, above, below)}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_ranges(configuration: Any) -> None:
    """Refuses numbers out of the range of their field.

    Args:
        configuration: A dataclass; those in it look after themselves.

    Raises:
        ValueError: If one is; names the field. Of a field that says no range,
            if it is not finite or larger than 2**31 - 1.
    """
    for each in dataclasses.fields(configuration):
        value = getattr(configuration, each.name)
        allowed = each.metadata.get(_KEY, Range())
        bad = [n for n in _numbers(value) if n not in allowed]
        if bad:
            is_huge = any(math.isfinite(n) and abs(n) > LARGEST for n in bad)
            size = f", its size at most {LARGEST}" if is_huge else ""
            raise ValueError(
                f"Invalid value for argument `{each.name}`. Expected "
                f"{allowed}{size}. Received: {each.name}={value}."
            )


def range_of(field: dataclasses.Field[Any]) -> Range | None:
    """Returns the range that a field says, if it says one.

    Args:
        field: One of `dataclasses.fields`.
    """
    found: Range | None = field.metadata.get(_KEY)
    return found


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
