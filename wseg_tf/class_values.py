"""What a user says of each class: in class order, by id or by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set, Sized
from numbers import Integral
from typing import Any

import numpy as np

Values = tuple[Any, ...] | dict[int, Any]
ByClass = Sequence[float] | Mapping[Any, float]

LARGEST = float(np.finfo(np.float32).max)


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, of Python or NumPy, and no boolean."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def entries(argument: str, given: Any) -> list[Any] | Mapping[Any, Any]:
    """Returns values in class order, or by whatever names their classes.

    Args:
        argument: The argument's name, for errors.
        given: One value a class, or a dictionary; a series of pandas is one,
            unless it is numbered in order.

    Returns:
        A list or a mapping.

    Raises:
        ValueError: If it is neither.

    Example:

    >>> entries("groups", (1, 4))
    [1, 4]
    """
    if hasattr(given, "index") and hasattr(given, "items"):
        keys, values = [*given.index], [*given]
        by_key = dict(zip(keys, values, strict=False))
        if keys == [*range(len(values))]:
            return values
        # A key may be there twice.
        given = by_key if len(by_key) == len(values) else None
    if isinstance(given, Mapping):
        return given
    # A text has no values, and a set has no order.
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Set):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one value for "
            "each class in order, or a dictionary by class id or name. "
            f"Received: {argument}={given!r}."
        )
    return list(given)


def by_class(
    argument: str, given: ByClass, names: Sequence[str] | None = None
) -> Values:
    """Returns values in class order, or by class id.

    Args:
        argument: The argument's name, for errors.
        given: One value a class, or a dictionary from class ids or names. Ids
            may be texts, as JSON has them.
        names: Of the classes in order. Defaults to None: nameless.

    Returns:
        A tuple, or a dictionary with ids for keys.

    Raises:
        ValueError: If it is no list and no dictionary, a key is no class, or a
            class is given twice.

    Example:

    >>> by_class("class_weights", {"car": 4.0, 0: 2.0}, ["sky", "car"])
    {1: 4.0, 0: 2.0}
    """
    given = entries(argument, given)
    if isinstance(given, list):
        return tuple(given)
    names = list(names or ())
    found: dict[int, Any] = {}
    for key, value in given.items():
        if key in names:
            place = names.index(key)
        elif (isinstance(key, str) and key.isdecimal()) or is_integer(key):
            place = int(key)
        else:
            place = -1
        if place < 0 or (names and place >= len(names)) or place in found:
            known = f"names of {names}" if names else "names with `classes`"
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected class ids, "
                f"or {known}, each once. Received the key {key!r}."
            )
        found[place] = value
    return found


def in_order(
    argument: str, values: Values, classes: int, default: Any = None
) -> tuple[Any, ...]:
    """Returns one value for each of N classes.

    Args:
        argument: The argument's name, for errors.
        values: What `by_class` returned.
        classes: N.
        default: For classes that a dictionary leaves out. Defaults to None:
            it may leave out none.

    Raises:
        ValueError: If there are more or fewer values than classes.

    Example:

    >>> in_order("class_weights", {1: 4.0}, 3, 1.0)
    (1.0, 4.0, 1.0)
    """
    if isinstance(values, tuple):
        check_length(values, classes, argument)
        return values
    unknown = [key for key in values if key >= classes]
    missing = [key for key in range(classes) if key not in values]
    if unknown or (missing and default is None):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected the ids "
            f"0..{classes - 1} of the classes of `y_pred`. Received: {values}."
        )
    return tuple(values.get(key, default) for key in range(classes))


def checked_weights(
    given: ByClass | None, names: Sequence[str] | None = None
) -> Values | None:
    """Returns class weights as floats.

    Args:
        given: What the user gave, see `by_class`.
        names: Of the classes in order. Defaults to None: nameless.

    Returns:
        What `by_class` returns, or None for None.

    Raises:
        ValueError: If one is negative or not finite; it is named.
    """
    if given is None:
        return None
    values = by_class("class_weights", given, names)
    keys = range(len(values)) if isinstance(values, tuple) else list(values)
    for key in keys:
        checked_number("class_weights", values[key], f"[{key}]")
    if names is not None:
        values = in_order("class_weights", values, len(names), default=1.0)
    if isinstance(values, tuple):
        return tuple(map(float, values))
    return {key: float(value) for key, value in values.items()}


def checked_number(argument: str, value: Any, place: str = "") -> float:
    """Returns a finite number >= 0.

    Args:
        argument: The argument's name.
        value: What the user gave.
        place: Where in the argument it stands, `"[3]"`. Defaults to `""`.

    Raises:
        ValueError: If it is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= LARGEST:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected a finite "
            f"number >= 0. Received: {argument}{place}={value!r}."
        )
    return number


def checked_groups(
    given: Any, names: Sequence[str] | None = None, classes: int | None = None
) -> tuple[int, ...]:
    """Returns the importance group of each class.

    Args:
        given: What the user gave, see `by_class`.
        names: Of the classes in order. Defaults to None: nameless.
        classes: N. Defaults to None: as many as there are names, or groups.

    Raises:
        ValueError: If a class has none, or one is no integer from 1 upwards.

    Example:

    >>> checked_groups({"car": 4, "sky": 1}, ["sky", "car"])
    (1, 4)
    """
    own = by_class("groups", given, names)
    ordered = in_order("groups", own, classes or len(names or own))
    numbers = [checked_number("groups", group) for group in ordered]
    groups = tuple(map(int, numbers))
    if [*groups] != numbers or min(groups, default=1) < 1:
        raise ValueError(
            "Invalid value for argument `groups`. Expected importance groups "
            f"from 1 upwards. Received: groups={ordered}."
        )
    return groups


def check_length(values: Sized, classes: int, argument: str) -> None:
    """Refuses an argument that has not one entry a class.

    Args:
        values: The argument's value.
        classes: The number of classes.
        argument: The argument's name.

    Raises:
        ValueError: If the lengths differ.
    """
    if len(values) != classes:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one entry for "
            f"each of the {classes} classes of `y_pred`. Received: "
            f"{len(values)} entries."
        )
