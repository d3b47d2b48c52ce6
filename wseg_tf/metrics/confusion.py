"""The confusion count in NumPy: exact integers, rows truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def confusion_count(
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
    classes: int,
    void: int | None = None,
) -> Counts:
    """Counts how often each true class is predicted as each class.

    Formula:

    ```
    count[j, i] = number of pixels with label j and prediction i
    ```

    Args:
        labels: True class ids, integers of any shape.
        predictions: Predicted class ids, integers of the same shape. At void
            pixels they may hold anything.
        classes: The number of classes N.
        void: Label of the pixels that are not counted. Defaults to `None`:
            every pixel is counted.

    Returns:
        int64 `[N, N]`; rows are truth, columns are predictions.

    Raises:
        ValueError: If the shapes differ, an array is not of integers, or a
            counted pixel holds an id outside `0..N-1`; the id is named.

    Example:

    >>> confusion_count([[0, 1], [1, 255]], [[0, 1], [0, 0]], 2, void=255)
    array([[1, 0],
           [1, 1]])
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ValueError(
            "Invalid value for argument `predictions`. Expected the shape of "
            f"`labels`, {labels.shape}. Received: shape {predictions.shape}."
        )
    bins = classes + 1
    # The narrowest type that holds every bin: memory traffic is the cost.
    narrow = np.uint16 if bins * bins <= 2**16 else np.uint32
    # Ids that are not classes share one more row or column, `classes`.
    key = _clipped(labels, classes, "labels").astype(narrow)
    key *= narrow(bins)
    key += _clipped(predictions, classes, "predictions").astype(narrow)
    counts = np.bincount(key, minlength=bins * bins).reshape(bins, bins)
    left_out = 0
    if void is not None:
        left_out = np.count_nonzero(labels == void)
        if 0 <= void < classes:
            counts[classes] += counts[void]
            counts[void] = 0
    if counts[classes].sum() != left_out:
        _refuse(labels, labels, classes, void, "labels")
    if counts[:classes, classes].any():
        _refuse(predictions, labels, classes, void, "predictions")
    return np.ascontiguousarray(counts[:classes, :classes], dtype=np.int64)


def _clipped(ids: npt.NDArray[Any], classes: int, argument: str) -> Any:
    """Returns the ids flat, those outside `0..classes-1` as `classes`."""
    if ids.dtype.kind not in "ui":
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected an array of "
            f"integers. Received: dtype {ids.dtype}."
        )
    if classes > np.iinfo(ids.dtype).max:
        ids = ids.astype(np.int64)
    # Read as unsigned, a negative id is a large one: one comparison serves.
    unsigned = np.ascontiguousarray(ids).reshape(-1).view(f"u{ids.itemsize}")
    return np.minimum(unsigned, unsigned.dtype.type(classes))


def _refuse(
    ids: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    classes: int,
    void: int | None,
    argument: str,
) -> None:
    counted = np.ones(labels.shape, bool) if void is None else labels != void
    wrong = np.unique(ids[((ids < 0) | (ids >= classes)) & counted])
    raise ValueError(
        f"Invalid value for argument `{argument}`. Expected class ids in "
        f"0..{classes - 1} at every pixel that is not void. Received also: "
        f"{wrong[:5].tolist()}."
    )
