"""Ground matrices in words: what a matrix says of a class, and where it hurts.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wseg_tf.classes import ClassSet
from wseg_tf.ground.matrix import GroundMatrix
from wseg_tf.ground.validation import positions


@dataclass(frozen=True)
class Share:
    """A confusion and its share of all that confusions cost.

    Args:
        true: The class that was there.
        predicted: The class that it was taken for.
        cost: `D[true, predicted]`.
        pixels: How many pixels of `true` were taken for `predicted`.
        share: `cost x pixels` of it, over the sum of all, 0..1.
    """

    true: str
    predicted: str
    cost: float
    pixels: int
    share: float


def by_groups(
    ground: GroundMatrix, classes: ClassSet
) -> dict[tuple[int, int], tuple[float, float]]:
    """Returns the least and the largest cost between importance groups.

    Args:
        ground: D, with the class set's names.
        classes: The class set.

    Returns:
        `{(true, predicted): (least, largest)}`; a group of one class has no
        pair with itself.

    Raises:
        ValueError: If D has other classes.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> D = GroundMatrix.severity_aware(CAMVID)
    >>> by_groups(D, CAMVID)[4, 1], by_groups(D, CAMVID)[4, 4]
    ((4.0, 4.0), (2.0, 2.0))
    """
    costs = ground.subset(classes).values
    others = ~np.eye(len(classes), dtype=bool)
    groups = np.asarray(classes.groups)
    found = {}
    for true in classes.levels:
        for predicted in classes.levels:
            pairs = others & np.outer(groups == true, groups == predicted)
            if pairs.any():
                found[true, predicted] = (
                    float(costs[pairs].min()),
                    float(costs[pairs].max()),
                )
    return found


def explain(ground: GroundMatrix, name: str) -> list[str]:
    r"""Says what a matrix makes of one class.

    Three paragraphs of lines: what it costs to take the class for others,
    what it costs to take others for it, and from which probability on it is
    chosen where only two classes are possible:
    `p > D[other, name] / (D[other, name] + D[name, other])`.

    Args:
        ground: D, with names.
        name: One of them.

    Returns:
        The lines.

    Raises:
        ValueError: If D has no names, or not this one.

    Example:

    >>> D = GroundMatrix.from_importance({"sky": 1, "tree": 1, "car": 3})
    >>> print("\n".join(explain(D, "car")))
    A pixel of car costs
      3 taken for sky, tree
    A pixel taken for car costs
      1 where it is sky, tree
    Deciding by D, car is chosen from a probability of
      0.25 against sky, tree
    """
    (own,) = positions([name], ground.classes)
    assert ground.classes is not None
    missed, invented = ground.values[own], ground.values[:, own]
    both = missed + invented
    chosen = np.divide(
        invented, both, out=np.full(len(ground), 0.5), where=both > 0
    )
    names = ground.classes
    return [
        f"A pixel of {name} costs",
        *_levels(names, own, missed, "taken for"),
        f"A pixel taken for {name} costs",
        *_levels(names, own, invented, "where it is"),
        f"Deciding by D, {name} is chosen from a probability of",
        *_levels(names, own, chosen.round(3), "against"),
    ]


def _levels(
    names: tuple[str, ...],
    own: int,
    figures: npt.NDArray[np.float64],
    verb: str,
) -> Iterator[str]:
    """A line for each figure, the largest first."""
    others = np.arange(len(names)) != own
    for figure in np.unique(figures[others])[::-1]:
        alike = np.flatnonzero(others & (figures == figure))
        listed = ", ".join(names[place] for place in alike)
        yield f"  {figure:.4g} {verb} {listed}"


def shares(
    ground: GroundMatrix, counts: npt.ArrayLike, most: int = 10
) -> list[Share]:
    """Returns the confusions that a model's severity comes from.

    Args:
        ground: D, with names.
        counts: Pixels `[N, N]`, rows truth, in D's order.
        most: How many to return at most.

    Returns:
        The costliest in sum first; none that never happened or costs nothing.

    Raises:
        ValueError: If D has no names, or the shapes differ.

    Example:

    >>> D = GroundMatrix.from_importance({"sky": 1, "tree": 1, "car": 3})
    >>> [found] = shares(D, [[9, 2, 0], [0, 9, 0], [0, 4, 5]], most=1)
    >>> found.true, found.predicted, found.pixels, round(found.share, 2)
    ('car', 'tree', 4, 0.86)
    """
    pixels = np.asarray(counts)
    if ground.classes is None or pixels.shape != ground.values.shape:
        raise ValueError(
            "Invalid value for argument `counts`. Expected pixels "
            f"{list(ground.values.shape)} for a matrix with class names. "
            f"Received: shape {list(pixels.shape)}, classes={ground.classes}."
        )
    costs = ground.values * pixels
    worst = np.argsort(-costs, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(worst, costs.shape)
    return [
        Share(
            ground.classes[row],
            ground.classes[column],
            float(ground.values[row, column]),
            int(pixels[row, column]),
            float(costs[row, column] / costs.sum()),
        )
        for row, column in zip(rows, columns, strict=True)
        if costs[row, column] > 0
    ]


def propose(
    classes: ClassSet,
    severities: Mapping[str, float] | None = None,
    within: float = 0.5,
) -> GroundMatrix:
    """Returns a first matrix to edit: what losing a pixel of a class costs.

    `D[true, predicted] = severities[true]`, times `within` if both are of one
    importance group. How often classes are confused is no part of it: training
    and measuring see that.

    Args:
        classes: The class set.
        severities: By class, or by importance group as text; a class' own
            comes before its group's. Defaults to the group's number.
        within: Share of it that a confusion inside the group costs.

    Returns:
        The matrix.

    Raises:
        ValueError: If a key is neither a class nor a group, or a cost is
            negative or not finite.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> D = propose(CAMVID, {"4": 6, "pedestrian": 10})
    >>> [D.cost(name, "car") for name in ("pedestrian", "bicyclist", "sky")]
    [5.0, 3.0, 1.0]
    """
    given = dict(severities or {})
    groups = [str(level) for level in classes.levels]
    for key in given:
        if key not in classes.names and key not in groups:
            raise ValueError(
                "Invalid value for argument `severities`. Expected some of "
                f"the groups {groups} and the classes {list(classes.names)}. "
                f"Received: {key!r}."
            )
        if not 0 <= given[key] < np.inf:
            raise ValueError(
                "Invalid value for argument `severities`. Expected finite "
                f"costs >= 0. Received: {key}={given[key]}."
            )
    rows = [
        given.get(name, given.get(str(group), float(group)))
        for name, group in zip(classes.names, classes.groups, strict=True)
    ]
    alike = GroundMatrix.severity_aware(
        classes, dict.fromkeys(classes.levels, 1.0), within
    )
    return GroundMatrix(alike.values * np.reshape(rows, [-1, 1]), classes.names)
