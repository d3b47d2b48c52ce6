"""Ground matrices from a few numbers: weights, groups, trees, positions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Costs = float | Mapping[Hashable, float]
Edge = tuple[str, float, float]


def importance(weights: Sequence[float] | Array) -> Array:
    """Returns `D[j, i] = w[j]` off the diagonal: importance-aware, a star.

    Args:
        weights: A weight `>= 0` per class: what missing it costs.

    Returns:
        float64 `[N, N]`.
    """
    column = np.asarray(weights, np.float64).reshape(-1, 1)
    return np.asarray(column * (1 - np.eye(len(column))), np.float64)


def grouped(groups: Sequence[Hashable], within: Costs, across: Costs) -> Array:
    """Returns costs by the group of the truth: severity-aware, a tree.

    Args:
        groups: The group of each class.
        within: Cost of a confusion inside the group of the truth: one for all
            groups, or one per group.
        across: Cost of a confusion with another group, likewise.

    Returns:
        float64 `[N, N]`.
    """
    inside = np.array([_cost("within", within, group) for group in groups])
    outside = np.array([_cost("across", across, group) for group in groups])
    same = np.array([[a == b for b in groups] for a in groups])
    values = np.where(same, inside[:, None], outside[:, None])
    np.fill_diagonal(values, 0.0)
    return values


def _cost(argument: str, costs: Costs, group: Hashable) -> float:
    if not isinstance(costs, Mapping):
        return float(costs)
    if group not in costs:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected a cost for "
            f"group {group!r}. Received: {argument}={dict(costs)}."
        )
    return float(costs[group])


def tree(edges: Mapping[str, Edge]) -> tuple[Array, tuple[str, ...]]:
    """Returns path costs between the leaves of a rooted tree.

    Args:
        edges: For every node but the root `(parent, up, down)`: the cost of a
            unit of mass going up to the parent, and down from it.

    Returns:
        float64 `[N, N]`, `D[true, predicted]` the cost of the path predicted
        -> true, and the names of the leaves in the order of `edges`.

    Raises:
        ValueError: If the edges make no tree.
    """
    parents = {parent for parent, _, _ in edges.values()}
    leaves = tuple(name for name in edges if name not in parents)
    roots = sorted(parents - edges.keys())
    if len(roots) != 1:
        raise ValueError(
            "Invalid value for argument `edges`. Expected one root, a parent "
            f"without an edge of its own. Received: roots={roots}."
        )
    paths = {leaf: _path_up(leaf, edges) for leaf in leaves}
    values = np.zeros((len(leaves), len(leaves)))
    for j, true in enumerate(leaves):
        for i, predicted in enumerate(leaves):
            up = [n for n in paths[predicted] if n not in paths[true]]
            down = [n for n in paths[true] if n not in paths[predicted]]
            values[j, i] = sum(edges[n][1] for n in up)
            values[j, i] += sum(edges[n][2] for n in down)
    return values, leaves


def _path_up(leaf: str, edges: Mapping[str, Edge]) -> list[str]:
    path = [leaf]
    while edges[path[-1]][0] in edges:
        path.append(edges[path[-1]][0])
        if len(path) > len(edges):
            raise ValueError(
                "Invalid value for argument `edges`. Expected a tree. "
                f"Received: a cycle above {leaf!r}."
            )
    return path


def line(positions: Sequence[float] | Array) -> Array:
    """Returns `D[j, i] = |x[i] - x[j]|`.

    Args:
        positions: The position of each class on a line.

    Returns:
        float64 `[N, N]`.
    """
    place = np.asarray(positions, np.float64).reshape(-1)
    return np.abs(place[:, None] - place[None, :])
