"""What a ground matrix may hold, and errors that name the entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from wseg_tf.class_values import entries, is_integer
from wseg_tf.classes import ClassSet

Array = npt.NDArray[np.float64]

ClassNames = Sequence[str] | ClassSet | None

LARGEST_COST = float(np.finfo(np.float32).max)


def names_of(classes: ClassNames) -> tuple[str, ...] | None:
    """Returns the names of a class set, or of a list of them.

    Args:
        classes: A class set, names in order, or None.

    Raises:
        ValueError: If it is none of these, or a name is there twice.

    Example:

    >>> names_of(["sky", "car"])
    ('sky', 'car')
    """
    if classes is None:
        return None
    if isinstance(classes, ClassSet):
        return classes.names
    # A set has no order, and of a dictionary keys or values may be the names.
    others = (str, bytes, Set, Mapping)
    is_list = isinstance(classes, Iterable) and not isinstance(classes, others)
    given = [*classes] if is_list else [None]
    if not all(isinstance(each, str) or is_integer(each) for each in given):
        raise ValueError(
            "Invalid value for argument `classes`. Expected a `ClassSet` or "
            "the names of the classes in order. Received: "
            f"classes={classes!r}."
        )
    names = tuple(map(str, given))
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise ValueError(
            "Invalid value for argument `classes`. Expected distinct names. "
            f"Received twice: {twice}."
        )
    return names


def table_names(values: Any) -> tuple[str, ...] | None:
    """Returns the class names that a table brings along, as pandas' does.

    Args:
        values: What the user gave.

    Returns:
        Names in order; None of what has none, numbers by default among them.

    Raises:
        ValueError: If rows and columns are named otherwise.
    """
    if not hasattr(values, "columns"):
        return None
    down, across = ([*each] for each in (values.index, values.columns))
    if down != across:
        raise ValueError(
            "Invalid value for argument `values`. Expected a table with the "
            "same names, in the same order, of rows and columns. Received: "
            f"{down} and {across}."
        )
    return None if down == [*range(len(down))] else names_of(down)


def by_class(
    argument: str,
    given: Sequence[Any] | Mapping[str, Any],
    classes: ClassNames,
) -> tuple[list[Any], tuple[str, ...] | None]:
    """Returns one entry a class, in class order, and the names.

    Args:
        argument: Name of what is given, for the error.
        given: Entries by position, or by name.
        classes: Names. Defaults to the keys of `given`, if it has any.

    Returns:
        The entries, and the names or None.

    Raises:
        ValueError: If the keys are not the names, or there are no entries.
    """
    names = names_of(classes)
    given = entries(argument, given)
    if isinstance(given, list):
        return given, names
    names = tuple(given) if names is None else names
    if set(given) != set(names):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected an entry for "
            f"each of {list(names)}. Received: {argument}={dict(given)}."
        )
    return [given[name] for name in names], names


def positions(
    names: Sequence[str], classes: tuple[str, ...] | None
) -> list[int]:
    """Returns where the names stand among the classes.

    Args:
        names: Which.
        classes: The names of all classes, or None.

    Returns:
        One position a name.

    Raises:
        ValueError: If a name is unknown, or there are none.
    """
    if classes is None:
        raise ValueError(
            "A ground matrix without class names has no "
            f"{list(names)}. Give `classes` when making it."
        )
    for name in names:
        if name not in classes:
            raise ValueError(
                f"Invalid class name. Expected one of {list(classes)}. "
                f"Received: {name!r}."
            )
    return [classes.index(name) for name in names]


def validated(values: Any, classes: tuple[str, ...] | None) -> Array:
    """Returns a read-only copy of a ground matrix.

    Args:
        values: What the user gave.
        classes: The names, or None.

    Returns:
        float64 `[N, N]`.

    Raises:
        ValueError: If it is none; the entry is named.
    """
    try:
        given = np.asarray(values)
        if np.iscomplexobj(given):  # Else NumPy drops what is imaginary.
            raise TypeError("complex numbers")
        array = np.array(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Invalid value for argument `values`. Expected [N, N] numbers. "
            f"Received: values={values!r}."
        ) from error
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise ValueError(
            "Invalid value for argument `values`. Expected shape [N, N], N >= "
            f"2. Received: shape={array.shape}."
        )
    if classes is not None and len(classes) != len(array):
        raise ValueError(
            f"Invalid value for argument `classes`. Expected {len(array)} "
            f"names. Received {len(classes)}: {list(classes)}."
        )
    diagonal = np.eye(len(array), dtype=bool) & (array != 0)
    for wrong, expected in (
        (~(np.abs(array) <= LARGEST_COST), "finite costs, of float32"),
        (array < 0, "costs >= 0"),
        (diagonal, "a zero diagonal"),
    ):
        if wrong.any():
            row, column = (int(each) for each in np.argwhere(wrong)[0])
            place = f"D[{row}, {column}]"
            if classes is not None:
                place += f" (true {classes[row]}, predicted {classes[column]})"
            raise ValueError(
                f"Invalid value for argument `values`. Expected {expected}. "
                f"Received: {place} = {array[row, column]}."
            )
    array += 0.0  # No negative zeros, which would spoil hash and equality.
    # A view of bytes, which nobody can make writeable.
    return np.frombuffer(array.tobytes()).reshape(array.shape)
