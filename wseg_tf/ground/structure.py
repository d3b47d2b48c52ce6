"""The structure of a ground matrix, found from its values.

An exact Wasserstein distance costs O(N) a pixel when the classes sit on a tree
or on a line, and a general solver otherwise. Two facts make both easy to find:

1. On balanced masses, adding `h[i] - h[j]` to `D[j, i]` adds the constant
   `<h, s - t>` to every transport plan. So only the symmetric part of D needs a
   structure, if the rest is such a difference of potentials.
2. A symmetric matrix is the distance between leaves of a tree iff the depths of
   lowest common ancestors, seen from any leaf, nest (Buneman 1971).

Nothing found is trusted: it is used only if D can be rebuilt from it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# What is rebuilt must be D to this share of its largest entry: a few float32
# roundings. Depths closer than the second are one depth.
REBUILT_WITHIN = 1e-6
SAME_DEPTH_WITHIN = 3e-7
# Of so many classes, a part of what is rebuilt within the first cannot miss by
# more than this: 11 x 11 mixed differences of four entries each.
FEW, NEARLY_WITHIN = 12, 1e-3


@dataclass(frozen=True, eq=False)
class Tree:
    """Classes on a tree, `D[true, predicted]` the cost of predicted -> true.

    With S and T the masses of s and t below each edge,
    `W(s, t) = sum(up * relu(S - T) + down * relu(T - S))`.

    Args:
        members: bool `[E, N]`, the classes below each edge.
        up: `[E]`, cost of a unit of mass leaving the part below the edge.
        down: `[E]`, cost of a unit entering it. One of the two may be
            negative, never their sum.
    """

    members: npt.NDArray[np.bool_]
    up: Array
    down: Array

    def __post_init__(self) -> None:
        """Keeps what a solver was compiled for from being changed."""
        for name in ("members", "up", "down"):
            own = np.array(getattr(self, name))
            own.setflags(write=False)
            object.__setattr__(self, name, own)

    @property
    def kind(self) -> str:
        """`"star"` if every edge ends in a class, else `"tree"`."""
        return "star" if np.all(self.members.sum(1) == 1) else "tree"

    def matrix(self) -> Array:
        """Returns the ground matrix `[N, N]` that this tree defines."""
        inside = self.members.astype(np.float64)
        # From each class to the root and back, but for what both ways share.
        shared = (inside * (self.up + self.down)[:, None]).T @ inside
        ends = (inside.T @ self.down)[:, None] + inside.T @ self.up
        return np.asarray(ends - shared, np.float64)


@dataclass(frozen=True, eq=False)
class Line:
    """Classes in an order in which D is a Monge array.

    `D[j, i] + D[j', i'] <= D[j', i] + D[j, i']` for `j < j'`, `i < i'` in that
    order, as for `f(|x_i - x_j|)` with f convex. The monotone coupling, which
    never lets two masses cross, is then optimal (Hoffman 1963).

    Args:
        order: The class ids from one end of the line to the other.
    """

    order: tuple[int, ...]

    @property
    def kind(self) -> str:
        """`"line"`."""
        return "line"


Structure = Tree | Line


def find_structure(values: Array) -> Structure | None:
    """Returns the structure of a ground matrix, if it has one.

    Args:
        values: `[N, N]`, finite, `>= 0`, zero diagonal; rows are truth.

    Returns:
        A `Tree` (a star is one) if the classes sit on a tree, else a `Line` if
        D is Monge in some order, else None. Each rebuilds D to
        `REBUILT_WITHIN * max(D)`.

    Example:

    >>> find_structure(np.array([[0.0, 1, 1], [2, 0, 2], [3, 3, 0]])).kind
    'star'
    >>> position = np.array([0.0, 3, 1])
    >>> find_structure((position[:, None] - position) ** 2).order
    (0, 2, 1)
    """
    return find_tree(values) or find_line(values)


def find_tree(values: Array) -> Tree | None:
    """Returns the tree whose leaf-to-leaf costs are `values`, if there is one.

    Args:
        values: As for `find_structure`.

    Returns:
        The `Tree`, without edges that cost nothing, or None.
    """
    count, scale = len(values), float(values.max(initial=0.0))
    lengths = (values + values.T) / 2
    # D[j, i] - D[i, j] = h[i] - h[j]; rows average to h minus a constant.
    potential = (values - values.T).mean(axis=0)
    depth = (lengths[:1] + lengths[:, :1] - lengths) / 2  # seen from class 0
    tolerance = SAME_DEPTH_WITHIN * scale
    edges = _nested(depth, tolerance)
    if edges is None:
        return None
    members = np.zeros((count + len(edges), count), bool)
    members[np.arange(count), np.arange(count)] = True
    total = np.zeros(count + len(edges))
    for row, (part, length) in enumerate(edges):
        if len(part) == 1:
            total[part[0]] += length
        elif len(part) == count - 1:  # All but class 0: the edge above it.
            total[0] += length
        else:
            members[count + row, part] = True
            total[count + row] = length
    difference = np.zeros_like(total)
    difference[:count] = potential / 2
    up, down = (total + difference), (total - difference)
    used = (np.abs(up) > tolerance) | (np.abs(down) > tolerance)
    used &= members.any(1)
    tree = Tree(members[used], *_shift_up(members[used], up[used], down[used]))
    rebuilt = np.abs(tree.matrix() - values).max(initial=0.0)
    return tree if rebuilt <= REBUILT_WITHIN * scale else None


def _shift_up(
    members: npt.NDArray[np.bool_], up: Array, down: Array
) -> tuple[Array, Array]:
    """Moves cost between leaf edges, where it can, until none is negative."""
    leaves = members.sum(1) == 1
    if leaves.sum() == members.shape[1]:
        # Every path has one leaf edge up and one down: up + c, down - c.
        shift = -float(up[leaves].min())
        up = up + np.where(leaves, shift, 0.0)
        down = down - np.where(leaves, shift, 0.0)
    return up, down


def _nested(
    depth: Array, tolerance: float
) -> list[tuple[npt.NDArray[np.intp], float]] | None:
    """Returns (classes below, length) of each edge of a tree rooted at class 0.

    None if the depths do not nest.

    Args:
        depth: `[N, N]`, depth of the lowest common ancestor; the diagonal holds
            the depth of the classes themselves.
        tolerance: Depths this close are equal.
    """
    order, joined = _by_nearness(depth[1:, 1:])
    own = np.diagonal(depth)
    edges = []
    waiting = [(0, len(order), 0.0)] if len(order) else []
    while waiting:
        start, stop, above = waiting.pop()
        part, joins = order[start:stop] + 1, joined[start + 1 : stop]
        level = float(min(own[part].min(), joins.min(initial=np.inf)))
        if level > above + tolerance:
            edges.append((part, level - above))
        else:
            level = above
        if len(part) == 1:
            continue
        cuts = start + 1 + np.flatnonzero(joins <= level + tolerance)
        if len(cuts) == 0:  # Two classes part here, yet others join them.
            return None
        ends = [start, *map(int, cuts), stop]
        waiting += [(*pair, level) for pair in itertools.pairwise(ends)]
    return edges


def _by_nearness(depth: Array) -> tuple[npt.NDArray[np.intp], Array]:
    """Returns an order in which classes that share an ancestor are neighbours.

    It is Prim's: each class is the one with the deepest ancestor in common
    with any before. So the parts below a depth are intervals, cut where a class
    joins at no more than that depth.

    Args:
        depth: `[M, M]`.

    Returns:
        The order, and the depth at which each class joins.
    """
    count = len(depth)
    order = np.zeros(count, np.intp)
    joined = np.zeros(count)
    nearest = np.full(count, -np.inf)
    for place in range(1, count):
        last = order[place - 1]
        nearest = np.maximum(nearest, depth[last])
        nearest[order[:place]] = -np.inf
        order[place] = np.argmax(nearest)
        joined[place] = nearest[order[place]]
    return order, joined


def find_line(values: Array) -> Line | None:
    """Returns an order of the classes in which `values` is Monge.

    Args:
        values: As for `find_structure`.

    Returns:
        The `Line`, or None if no candidate order passes. The candidates are
        the given order and, for every class that may be an end of the line,
        the order of distances from it.
    """
    lengths, count = values + values.T, len(values)
    few = np.unique(np.linspace(0, count - 1, FEW).astype(int))
    nearly = NEARLY_WITHIN * float(values.max(initial=0.0))
    # A Monge array's lengths add up to no more than the whole, so the largest
    # one is from end to end.
    farthest = lengths.max(axis=1)
    is_end = farthest >= (1 - NEARLY_WITHIN) * farthest.max()
    candidates = [np.arange(count)]
    candidates += [
        np.argsort(lengths[end], kind="stable")
        for end in np.argsort(-farthest, kind="stable")
        if is_end[end]
    ]
    for order in candidates:
        # A part of a Monge array is one: most orders fall at a first look.
        part = values[np.ix_(order[few], order[few])]
        if is_monge(part, nearly) and is_monge(values[np.ix_(order, order)]):
            ends_first = order if order[0] < order[-1] else order[::-1]
            return Line(tuple(int(each) for each in ends_first))
    return None


def is_monge(values: Array, within: float | None = None) -> bool:
    """Returns whether a Monge array lies near `values`.

    Args:
        values: `[N, N]`.
        within: How near. Defaults to None: `REBUILT_WITHIN` of the largest.

    Returns:
        Whether clipping the wrong-signed mixed differences to 0 and summing
        them up again gives `values` back.
    """
    mixed = np.diff(np.diff(values, axis=0), axis=1)
    clipped = np.cumsum(np.cumsum(np.minimum(mixed, 0), axis=0), axis=1)
    kept = np.cumsum(np.cumsum(mixed, axis=0), axis=1)
    error = np.abs(clipped - kept).max(initial=0.0)
    if within is None:
        within = REBUILT_WITHIN * float(values.max(initial=0.0))
    return bool(error <= within)
