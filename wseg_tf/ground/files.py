"""Ground matrices as text a person can edit: YAML and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from wseg_tf import configuration
from wseg_tf.filesystems import read_bytes, write_bytes

Array = npt.NDArray[np.float64]
Path_ = str | PathLike[str]
Contents = tuple[Any, list[str] | None]

CORNER = "true \\ predicted"


@contextmanager
def named_in_errors(path: Path_) -> Iterator[None]:
    """Puts the file's name before what is wrong with its content.

    Args:
        path: The file.

    Raises:
        ValueError: As raised inside, with the name.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_yaml(path: Path_) -> Contents:
    """Returns the rows of costs and the names, unchecked.

    Args:
        path: A YAML file with `values` and, if named, `classes`.

    Returns:
        The rows, and the names or None.

    Raises:
        ValueError: If there are no `values`, or there are other keys.
    """
    text = _text_of(path)
    try:
        content = configuration.parse_any(text, str(path))
    except configuration.ConfigurationError as error:
        raise ValueError(f"Expected YAML. Received: {error}") from error
    if not isinstance(content, dict) or "values" not in content:
        raise ValueError("Expected the keys `values` and `classes`.")
    unknown = sorted(map(str, content.keys() - {"values", "classes"}))
    if unknown:
        raise ValueError(
            "Expected the keys `values` and `classes` only. Received also: "
            f"{unknown}."
        )
    names = content.get("classes")
    if names is not None and not isinstance(names, list):
        raise ValueError(
            f"Expected a list of names as `classes`. Received: {names!r}."
        )
    return content["values"], None if names is None else list(map(str, names))


def write_yaml(
    path: Path_, values: Array, classes: tuple[str, ...] | None
) -> None:
    """Writes the matrix, a row a line.

    Args:
        path: A file.
        values: `[N, N]`.
        classes: The names, or None.
    """
    content: dict[str, Any] = {}
    if classes is not None:
        content["classes"] = list(classes)
    content["values"] = values.tolist()
    text = yaml.safe_dump(
        content, default_flow_style=None, sort_keys=False, width=10**6
    )
    header = "# Rows are truth, columns are predictions.\n"
    write_bytes(path, (header + text).encode())


def read_csv(path: Path_) -> Contents:
    """Returns the rows of costs and the names, unchecked but for their order.

    Args:
        path: A CSV file, with names in the first row and column or
            without any.

    Returns:
        The rows, and the names or None.

    Raises:
        ValueError: If a cell is no number, or the names of rows and columns
            differ.
    """
    text = _text_of(path)
    try:
        rows = [row for row in csv.reader(text.splitlines()) if row]
    except csv.Error as error:
        raise ValueError(f"Expected CSV. Received: {error}.") from error
    if not rows:
        raise ValueError("Expected rows of costs. Received: an empty file.")
    if _is_number(rows[0][0]):
        return [_numbers(row, line) for line, row in enumerate(rows, 1)], None
    names = [name.strip() for name in rows[0][1:]]
    down = [row[0].strip() for row in rows[1:]]
    if names != down:
        raise ValueError(
            "Expected the same names, in the same order, in the first row and "
            f"the first column. Received: {names} and {down}."
        )
    return [_numbers(row[1:], line) for line, row in enumerate(rows[1:], 2)], (
        names
    )


def _text_of(path: Path_) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(
            "Expected text in UTF-8. Received: other bytes."
        ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], line: int) -> list[float]:
    for cell in cells:
        if not _is_number(cell):
            raise ValueError(
                f"Expected numbers. Received on line {line}: {cell!r}."
            )
    return [float(cell) for cell in cells]


def write_csv(
    path: Path_, values: Array, classes: tuple[str, ...] | None
) -> None:
    """Writes the matrix, with names in the first row and column if it has any.

    Args:
        path: A file.
        values: `[N, N]`.
        classes: The names, or None.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if classes is not None:
        writer.writerow([CORNER, *classes])
    for row, costs in enumerate(values.tolist()):
        name = [] if classes is None else [classes[row]]
        writer.writerow([*name, *costs])
    write_bytes(path, text.getvalue().encode())
