"""The formula of every score, once: for NumPy and tensors, one or many counts.

A class that occurs neither in the truth nor in the predictions is absent: its
scores are NaN and left out of means and minima. A class that is true but never
predicted is there and was missed: precision 0. A class that is predicted but
never true has IoU 0 and precision 0; recall is about true pixels alone, and is
NaN for a class that has none.

Each function takes counts `[..., N, N]`, rows truth, as a NumPy array or as a
TensorFlow tensor of a floating type, and returns the same kind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wseg_tf.ground import GroundMatrix

Values = npt.NDArray[np.float64]
Classes = Sequence[int] | None


def iou_per_class(counts: npt.ArrayLike) -> Values:
    """Intersection over union of each class.

    Formula:

    ```
    iou[j] = count[j, j] / (sum(count[j, :]) + sum(count[:, j]) - count[j, j])
    ```

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.

    Returns:
        float64 `[..., N]`, 0..1; NaN for a class that is absent.

    Example:

    >>> iou_per_class([[2, 0, 0], [1, 1, 0], [0, 0, 0]]).round(3)
    array([0.667, 0.5  ,   nan])
    """
    hits, truth, predicted = _pixels(counts)
    return _ratio(hits, truth + predicted - hits)


def recall_per_class(counts: npt.ArrayLike) -> Values:
    """Share of each class' true pixels that are predicted as that class.

    Also called class accuracy.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.

    Returns:
        float64 `[..., N]`, 0..1; NaN for a class that is never true.

    Example:

    >>> recall_per_class([[2, 0], [1, 1]])
    array([1. , 0.5])
    """
    hits, truth, _ = _pixels(counts)
    return _ratio(hits, truth)


def precision_per_class(counts: npt.ArrayLike) -> Values:
    """Share of the pixels predicted as each class that are that class.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.

    Returns:
        float64 `[..., N]`, 0..1; 0 for a class that is true but never
        predicted, NaN for one that is absent.

    Example:

    >>> precision_per_class([[2, 0, 0], [2, 0, 0], [0, 0, 0]])
    array([0.5, 0. , nan])
    """
    hits, truth, predicted = _pixels(counts)
    xp = _namespace(hits)
    return _ratio(hits, xp.where(predicted > 0, predicted, truth))


def mean_iou(counts: npt.ArrayLike, classes: Classes = None) -> Values:
    """Mean intersection over union of the classes that are present.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.
        classes: Ids of the classes the mean is over. Defaults to `None`: all.

    Returns:
        The mean `[...]`, 0..1; NaN if none of the classes is present.

    Example:

    >>> counts = [[2, 0, 0], [0, 1, 1], [0, 0, 0]]
    >>> float(mean_iou(counts)), float(mean_iou(counts, classes=[0, 1]))
    (0.5, 0.75)
    """
    return _mean(_chosen(iou_per_class(counts), classes))


def minimum_iou(counts: npt.ArrayLike, classes: Classes = None) -> Values:
    """Smallest intersection over union among the classes that are present.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.
        classes: Ids of the classes that take part. Defaults to `None`: all.

    Returns:
        The minimum `[...]`, 0..1; NaN if none of the classes is present.

    Example:

    >>> float(minimum_iou([[2, 0], [1, 1]]))
    0.5
    """
    iou = _chosen(iou_per_class(counts), classes)
    if not iou.shape[-1]:  # a class set need not have critical classes
        return _mean(iou)
    xp = _namespace(iou)
    smallest = xp.min(xp.where(xp.isnan(iou), np.inf, iou), axis=-1)
    found: Values = xp.where(xp.isinf(smallest), np.nan, smallest)
    return found


def mean_recall(counts: npt.ArrayLike, classes: Classes = None) -> Values:
    """Mean of the recalls of the classes that are true somewhere.

    Over all classes it is also called mean class accuracy.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.
        classes: Ids of the classes the mean is over. Defaults to `None`: all.

    Returns:
        The mean `[...]`, 0..1; NaN if none of the classes is true.

    Example:

    >>> float(mean_recall([[2, 0], [1, 1]]))
    0.75
    """
    return _mean(_chosen(recall_per_class(counts), classes))


def mean_precision(counts: npt.ArrayLike, classes: Classes = None) -> Values:
    """Mean of the precisions of the classes that are present.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.
        classes: Ids of the classes the mean is over. Defaults to `None`: all.

    Returns:
        The mean `[...]`, 0..1; NaN if none of the classes is present.

    Example:

    >>> float(mean_precision([[2, 0], [2, 1]]))
    0.75
    """
    return _mean(_chosen(precision_per_class(counts), classes))


def merged_recall(counts: npt.ArrayLike, classes: Classes = None) -> Values:
    """Share of the classes' true pixels that are given any of the classes.

    The classes are merged: a bicyclist taken for a car is still found to be of
    the most important group.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.
        classes: Ids of the classes. Defaults to `None`: all.

    Returns:
        The share `[...]`, 0..1; NaN if none of the classes is true.

    Example:

    >>> counts = [[2, 0, 0], [1, 1, 2], [0, 0, 4]]
    >>> float(merged_recall(counts, classes=[1, 2]))
    0.875
    """
    _, truth, _ = _pixels(counts)
    # One axis at a time: `[..., true, predicted]`, then `[..., true]`.
    found = _total(_chosen(_square(counts), classes))
    return _ratio(
        _total(_chosen(found, classes)), _total(_chosen(truth, classes))
    )


def pixel_accuracy(counts: npt.ArrayLike) -> Values:
    """Share of the pixels whose class is predicted.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.

    Returns:
        The share `[...]`, 0..1; NaN if nothing was counted.

    Example:

    >>> float(pixel_accuracy([[2, 0], [1, 1]]))
    0.75
    """
    hits, truth, _ = _pixels(counts)
    return _ratio(_total(hits), _total(truth))


def frequency_weighted_iou(counts: npt.ArrayLike) -> Values:
    """Mean of the IoUs, each weighted by its class' share of true pixels.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.

    Returns:
        The weighted mean `[...]`, 0..1; NaN if nothing was counted.

    Example:

    >>> float(frequency_weighted_iou([[3, 0], [1, 0]]))
    0.5625
    """
    _, truth, _ = _pixels(counts)
    xp = _namespace(truth)
    iou = xp.where(truth > 0, iou_per_class(counts), 0.0)
    return _ratio(_total(truth * iou), _total(truth))


def expected_severity(
    counts: npt.ArrayLike, ground: GroundMatrix | npt.ArrayLike
) -> Values:
    """Mean severity of a pixel's prediction: the mean of D over the count.

    Formula:

    ```
    severity = sum(count * D) / sum(count)
    ```

    It is the mean of the Wasserstein loss of the hard predictions, in the
    units of D: 0 when every pixel is right.

    Args:
        counts: Confusion counts `[..., N, N]`, rows truth.
        ground: D `[N, N]`, `D[true, predicted]`: a `GroundMatrix` or array.

    Returns:
        The mean severity `[...]`; NaN if nothing was counted.

    Raises:
        ValueError: If `ground` has not the count's shape.

    Example:

    >>> float(expected_severity([[2, 0], [1, 1]], [[0, 1], [4, 0]]))
    1.0
    """
    matrix, severity = _square(counts), np.asarray(ground, np.float64)
    if severity.shape != tuple(matrix.shape[-2:]):
        raise ValueError(
            "Invalid value for argument `ground`. Expected the shape of the "
            f"confusion count, {tuple(matrix.shape[-2:])}. Received: "
            f"{severity.shape}."
        )
    return _ratio(_total(_total(matrix * severity)), _total(_total(matrix)))


def in_order(
    ground: GroundMatrix | npt.ArrayLike, names: Sequence[str] | None
) -> Values:
    """Returns D in the order of the classes.

    Args:
        ground: D `[N, N]`: a `GroundMatrix` or a table of pandas, reordered if
            it has names, or an array, which is taken as it is.
        names: The classes' names in order, or None.

    Raises:
        ValueError: If the matrix is of other classes.
    """
    if hasattr(ground, "columns"):
        ground = GroundMatrix(ground)
    if isinstance(ground, GroundMatrix) and ground.classes is not None:
        return GroundMatrix.of(ground, names).values
    return np.asarray(ground, np.float64)


def _namespace(values: Any) -> Any:
    """NumPy, or for a tensor TensorFlow's own NumPy functions."""
    tf = sys.modules.get("tensorflow")
    is_tensor = tf is not None and tf.is_tensor(values)
    return tf.experimental.numpy if tf is not None and is_tensor else np


def _square(counts: Any) -> Any:
    matrix = counts if _namespace(counts) is not np else np.asarray(counts)
    if len(matrix.shape) < 2 or matrix.shape[-2] != matrix.shape[-1]:
        raise ValueError(
            "Invalid value for argument `counts`. Expected square matrices, "
            f"rows truth. Received: shape {tuple(matrix.shape)}."
        )
    return matrix


def _pixels(counts: Any) -> tuple[Any, Any, Any]:
    """Right, true and predicted pixels of each class."""
    matrix = _square(counts)
    xp = _namespace(matrix)
    hits = xp.diagonal(matrix, axis1=-2, axis2=-1)
    return hits, xp.sum(matrix, axis=-1), xp.sum(matrix, axis=-2)


def _chosen(values: Any, classes: Classes) -> Any:
    """The values of some classes, which are on the last axis."""
    if classes is None:
        return values
    return _namespace(values).take(values, np.asarray(classes, int), axis=-1)


def _total(values: Any) -> Any:
    return _namespace(values).sum(values, axis=-1)


def _ratio(numerator: Any, denominator: Any) -> Values:
    """Divides; 0 / 0 is NaN: there is nothing to score."""
    with np.errstate(invalid="ignore"):
        quotient: Values = numerator / denominator
    return quotient


def _mean(values: Any) -> Values:
    """The mean over the last axis of what is present."""
    xp = _namespace(values)
    present = ~xp.isnan(values)
    total = xp.sum(xp.where(present, values, 0.0), axis=-1)
    return _ratio(total, xp.sum(xp.where(present, 1.0, 0.0), axis=-1))
