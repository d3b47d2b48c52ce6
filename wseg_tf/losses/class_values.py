"""What a user says of each class: in class order, by id or by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set, Sized
from typing import Any

from wseg_tf.class_ids import is_integer

Values = tuple[Any, ...] | dict[int, Any]
ByClass = Sequence[float] | Mapping[Any, float]


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
    if not isinstance(given, Mapping):
        # A set has no order.
        if not isinstance(given, Iterable) or isinstance(given, str | Set):
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected one value "
                "for each class in order, or a dictionary by class id or name. "
                f"Received: {argument}={given!r}."
            )
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
    if not 0 <= number < float("inf"):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected a finite "
            f"number >= 0. Received: {argument}{place}={value!r}."
        )
    return number


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
