"""One door to all solvers: the exact one if D's structure has one."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from wseg_tf.ground import GroundMatrix, Line, Tree
from wseg_tf.transport import pot
from wseg_tf.transport.general import Sinkhorn, general_cost
from wseg_tf.transport.line import line_cost
from wseg_tf.transport.partial import partial_tree_cost
from wseg_tf.transport.tree import tree_cost

SOLVERS = ("auto", "tree", "line", "sinkhorn", "pot")
STRUCTURES = {"star": "tree", "none": "sinkhorn"}


def choose_solver(ground: GroundMatrix, solver: str = "auto") -> str:
    """Returns the solver for soft targets.

    Args:
        ground: The ground matrix.
        solver: `"auto"`, or one by name: `"tree"` and `"line"` are exact and
            need that structure, `"sinkhorn"` takes any matrix, and so does
            `"pot"`, which needs POT and is no part of `"auto"`.

    Returns:
        `"tree"`, `"line"`, `"sinkhorn"` or `"pot"`.

    Raises:
        ValueError: If there is no such solver, or D lacks the structure.

    Example:

    >>> choose_solver(GroundMatrix([[0, 1, 4], [1, 0, 1], [4, 1, 0]]))
    'line'
    """
    check_solver(ground, solver)
    if solver != "auto":
        return solver
    return STRUCTURES.get(ground.kind, ground.kind)


def check_solver(ground: GroundMatrix, solver: str) -> None:
    """Refuses a solver that there is not, or that D is not made for.

    D's structure is looked for only if the solver needs one.

    Args:
        ground: The ground matrix.
        solver: See `choose_solver`.

    Raises:
        ValueError: If there is no such solver, or D lacks the structure.
    """
    if solver not in SOLVERS:
        raise ValueError(
            f"Invalid value for argument `solver`. Expected one of {SOLVERS}. "
            f"Received: solver={solver!r}."
        )
    if solver == "pot" and not pot.is_installed():
        raise ValueError(
            "Invalid value for argument `solver`. Expected POT to be installed "
            "(`pip install POT`). Received: solver='pot', and no package `ot`."
        )
    if solver in ("auto", "sinkhorn", "pot"):
        return
    if solver != STRUCTURES.get(ground.kind, ground.kind):
        raise ValueError(
            f"Invalid value for argument `solver`. This ground matrix has the "
            f"structure {ground.kind!r}. Received: solver={solver!r}."
        )


def wasserstein(
    source: tf.Tensor,
    target: tf.Tensor,
    ground: GroundMatrix,
    solver: str = "auto",
    partial: bool = False,
    sinkhorn: Sinkhorn | None = None,
) -> tf.Tensor:
    """Returns the Wasserstein distance of each row (Eq. 1).

    Args:
        source: s, float32 `[P, N]`, the predicted masses, `>= 0`.
        target: t, float32 `[P, N]`, the masses of the target, `>= 0`.
        ground: D, rows truth.
        solver: See `choose_solver`. Defaults to `"auto"`.
        partial: Whether masses may differ, as in Eq. 1: only the smaller one
            moves, along the cheapest plan. In closed form on trees (a star is
            one) unless they are deep and all their costs differ; other
            matrices, lines too, get a class of zero cost that takes the
            difference, which spoils their structure, and the general solver.
            Defaults to False: row sums must be equal.
        sinkhorn: For the general solver. Defaults to None: `Sinkhorn()`.

    Returns:
        float32 `[P]`, with gradients for both masses.

    Raises:
        ValueError: See `choose_solver`.

    Example:

    >>> D = GroundMatrix([[0, 1], [4, 0]])
    >>> s, t = tf.constant([[0.75, 0.25]]), tf.constant([[0.25, 0.75]])
    >>> float(wasserstein(s, t, D)[0])
    2.0
    >>> float(wasserstein(s, 0.5 * t, D, partial=True)[0])
    0.5
    """
    chosen = choose_solver(ground, solver)
    structure, values = ground.structure, ground.values
    if partial:
        if chosen == "tree" and isinstance(structure, Tree):
            exact = partial_tree_cost(source, target, structure)
            if exact is not None:
                return exact
        difference = tf.reduce_sum(source - target, axis=-1, keepdims=True)
        source = tf.concat([source, tf.nn.relu(-difference)], axis=-1)
        target = tf.concat([target, tf.nn.relu(difference)], axis=-1)
        values = np.pad(values, [[0, 1], [0, 1]])
        chosen = "pot" if chosen == "pot" else "sinkhorn"
    if chosen == "tree" and isinstance(structure, Tree):
        return tree_cost(source, target, structure)
    if chosen == "line" and isinstance(structure, Line):
        return line_cost(source, target, structure, values)
    how = sinkhorn or Sinkhorn()
    return general_cost(source, target, values, how, by_pot=chosen == "pot")
