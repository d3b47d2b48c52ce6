"""Scores derived from a confusion count, in NumPy.

In every score a class that occurs neither in the truth nor in the
predictions is absent: NaN, and left out of means. A class that is predicted
but never true has IoU 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wseg_tf.ground import GroundMatrix

Scores = npt.NDArray[np.float64]


def iou_per_class(counts: npt.ArrayLike) -> Scores:
    """Intersection over union of each class.

    Formula:

    ```
    iou[j] = count[j, j] / (sum(count[j, :]) + sum(count[:, j]) - count[j, j])
    ```

    Args:
        counts: Confusion count `[N, N]`, rows truth.

    Returns:
        float64 `[N]`, 0..1; NaN for a class that is absent.

    Example:

    >>> iou_per_class([[2, 0, 0], [1, 1, 0], [0, 0, 0]]).round(3)
    array([0.667, 0.5  ,   nan])
    """
    matrix = _square(counts)
    hits = np.diagonal(matrix)
    union = matrix.sum(axis=1) + matrix.sum(axis=0) - hits
    return _ratio(hits, union)


def recall_per_class(counts: npt.ArrayLike) -> Scores:
    """Share of each class' true pixels that are predicted as that class.

    Also called class accuracy.

    Args:
        counts: Confusion count `[N, N]`, rows truth.

    Returns:
        float64 `[N]`, 0..1; NaN for a class that is never true.

    Example:

    >>> recall_per_class([[2, 0], [1, 1]])
    array([1. , 0.5])
    """
    matrix = _square(counts)
    return _ratio(np.diagonal(matrix), matrix.sum(axis=1))


def precision_per_class(counts: npt.ArrayLike) -> Scores:
    """Share of the pixels predicted as each class that are that class.

    Args:
        counts: Confusion count `[N, N]`, rows truth.

    Returns:
        float64 `[N]`, 0..1; NaN for a class that is never predicted.

    Example:

    >>> precision_per_class([[2, 0], [2, 1]])
    array([0.5, 1. ])
    """
    matrix = _square(counts)
    return _ratio(np.diagonal(matrix), matrix.sum(axis=0))


def mean_iou(
    counts: npt.ArrayLike, classes: Sequence[int] | None = None
) -> float:
    """Mean intersection over union of the classes that are present.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        classes: Ids of the classes the mean is over. Defaults to `None`: all.

    Returns:
        The mean, 0..1; NaN if none of the classes is present.

    Example:

    >>> mean_iou([[2, 0, 0], [0, 1, 1], [0, 0, 0]])
    0.5
    >>> mean_iou([[2, 0, 0], [0, 1, 1], [0, 0, 0]], classes=[0, 1])
    0.75
    """
    return _mean(_chosen(iou_per_class(counts), classes))


def minimum_iou(
    counts: npt.ArrayLike, classes: Sequence[int] | None = None
) -> float:
    """Smallest intersection over union among the classes that are present.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        classes: Ids of the classes that take part. Defaults to `None`: all.

    Returns:
        The minimum, 0..1; NaN if none of the classes is present.

    Example:

    >>> minimum_iou([[2, 0], [1, 1]])
    0.5
    """
    iou = _chosen(iou_per_class(counts), classes)
    present = iou[~np.isnan(iou)]
    return float(present.min()) if present.size else float("nan")


def iou_per_group(
    counts: npt.ArrayLike, groups: Sequence[int]
) -> dict[int, float]:
    """Mean IoU over the classes of each importance group.

    A group's IoU is the mean of the IoUs of its classes that are present;
    classes are not merged, so telling two classes of one group apart counts.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        groups: Importance group of each class, length N.

    Returns:
        The IoU by group, groups ascending; NaN where no class is present.

    Raises:
        ValueError: If `groups` does not have one entry a class.

    Example:

    >>> iou_per_group([[2, 0, 0], [1, 1, 0], [0, 0, 4]], [1, 4, 4])
    {1: 0.6666666666666666, 4: 0.75}
    """
    iou = iou_per_class(counts)
    own = _groups_of(groups, len(iou))
    return {int(group): _mean(iou[own == group]) for group in np.unique(own)}


def merged_recall_per_group(
    counts: npt.ArrayLike, groups: Sequence[int]
) -> dict[int, float]:
    """Share of a group's pixels that are given any class of the group.

    Unlike in `iou_per_group`, classes are merged: a bicyclist taken for a car
    is still found to be of the most important group.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        groups: Importance group of each class, length N.

    Returns:
        The share by group, groups ascending; NaN where no class is present.

    Raises:
        ValueError: If `groups` does not have one entry a class.

    Example:

    >>> merged_recall_per_group([[2, 0, 0], [1, 1, 2], [0, 0, 4]], [1, 4, 4])
    {1: 1.0, 4: 0.875}
    """
    matrix = _square(counts)
    own = _groups_of(groups, len(matrix))
    found = {}
    for group in np.unique(own):
        member = own == group
        hits = matrix[np.ix_(member, member)].sum()
        found[int(group)] = float(_ratio(hits, matrix[member].sum()))
    return found


def frequency_weighted_iou(counts: npt.ArrayLike) -> float:
    """Mean of the IoUs, each weighted by its class' share of true pixels.

    Args:
        counts: Confusion count `[N, N]`, rows truth.

    Returns:
        The weighted mean, 0..1; NaN if nothing was counted.

    Example:

    >>> frequency_weighted_iou([[3, 0], [1, 0]])
    0.5625
    """
    matrix = _square(counts)
    pixels = matrix.sum()
    truth = matrix.sum(axis=1)
    if not pixels:
        return float("nan")
    iou = iou_per_class(matrix)
    return float(truth[truth > 0] @ iou[truth > 0] / pixels)


def pixel_accuracy(counts: npt.ArrayLike) -> float:
    """Share of the pixels whose class is predicted.

    Args:
        counts: Confusion count `[N, N]`, rows truth.

    Returns:
        The share, 0..1; NaN if nothing was counted.

    Example:

    >>> pixel_accuracy([[2, 0], [1, 1]])
    0.75
    """
    matrix = _square(counts)
    return float(_ratio(np.trace(matrix), matrix.sum()))


def mean_recall(counts: npt.ArrayLike) -> float:
    """Mean of the recalls of the classes that are true somewhere.

    Also called mean class accuracy.

    Args:
        counts: Confusion count `[N, N]`, rows truth.

    Returns:
        The mean, 0..1; NaN if nothing was counted.

    Example:

    >>> mean_recall([[2, 0], [1, 1]])
    0.75
    """
    return _mean(recall_per_class(counts))


def mean_precision(counts: npt.ArrayLike) -> float:
    """Mean of the precisions of the classes that are predicted somewhere.

    Args:
        counts: Confusion count `[N, N]`, rows truth.

    Returns:
        The mean, 0..1; NaN if nothing was counted.

    Example:

    >>> mean_precision([[2, 0], [2, 1]])
    0.75
    """
    return _mean(precision_per_class(counts))


def expected_severity(
    counts: npt.ArrayLike, ground: GroundMatrix | npt.ArrayLike
) -> float:
    """Mean severity of a pixel's prediction: the mean of D over the count.

    Formula:

    ```
    severity = sum(count * D) / sum(count)
    ```

    It is the mean of the Wasserstein loss of the hard predictions, in the
    units of D: 0 when every pixel is right.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        ground: D `[N, N]`, `D[true, predicted]`: a `GroundMatrix` or array.

    Returns:
        The mean severity; NaN if nothing was counted.

    Raises:
        ValueError: If `ground` has not the count's shape.

    Example:

    >>> expected_severity([[2, 0], [1, 1]], [[0, 1], [4, 0]])
    1.0
    """
    matrix = _square(counts)
    severity = ground_values(ground)
    if severity.shape != matrix.shape:
        raise ValueError(
            "Invalid value for argument `ground`. Expected the shape of the "
            f"confusion count, {matrix.shape}. Received: {severity.shape}."
        )
    return float(_ratio((matrix * severity).sum(), matrix.sum()))


def ground_values(ground: GroundMatrix | npt.ArrayLike) -> Scores:
    """Returns D as a float64 array, from a `GroundMatrix` or array."""
    values: Any = getattr(ground, "values", ground)
    return np.asarray(values, np.float64)


def _square(counts: npt.ArrayLike) -> npt.NDArray[Any]:
    matrix = np.asarray(counts)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            "Invalid value for argument `counts`. Expected a square matrix, "
            f"rows truth. Received: shape {matrix.shape}."
        )
    return matrix


def _groups_of(groups: Sequence[int], classes: int) -> npt.NDArray[Any]:
    if len(groups) != classes:
        raise ValueError(
            "Invalid value for argument `groups`. Expected one entry for each "
            f"of the {classes} classes. Received: {len(groups)} entries."
        )
    return np.asarray(groups)


def _ratio(numerator: Any, denominator: Any) -> Scores:
    """Divides; 0 / 0 is NaN: there is nothing to score."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.true_divide(numerator, denominator))


def _mean(scores: Scores) -> float:
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if present.size else float("nan")


def _chosen(scores: Scores, classes: Sequence[int] | None) -> Scores:
    return scores if classes is None else scores[np.asarray(classes, int)]
