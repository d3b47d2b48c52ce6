"""Independent answers: linear programs, in float64."""

import numpy as np
import ot
from scipy.optimize import linprog


def histograms(random, pixels, classes, kind):
    """Rows that sum to 1: dense, peaked, or with most entries exactly 0."""
    if kind == "dense":
        rows = random.dirichlet(np.ones(classes), pixels)
    else:
        rows = np.exp(3 * random.normal(size=(pixels, classes)))
        if kind == "pruned":
            rows[rows < np.sort(rows, axis=1)[:, -3:-2]] = 0.0
        rows /= rows.sum(1, keepdims=True)
    return rows.astype(np.float32)


def wasserstein(source, target, values):
    """The exact distance of each row."""
    cost = np.ascontiguousarray(np.asarray(values, np.float64).T)
    source, target = (np.asarray(x, np.float64) for x in (source, target))
    source = source / source.sum(1, keepdims=True)
    target = target / target.sum(1, keepdims=True)
    return np.array(
        [ot.emd2(*pair, cost) for pair in zip(source, target, strict=True)]
    )


def partial(source, target, values):
    """Eq. 1 as it stands, for rows of unequal masses."""
    classes = len(values)
    cost = np.asarray(values, np.float64).T.ravel()
    leaving = np.kron(np.eye(classes), np.ones((1, classes)))
    entering = np.kron(np.ones((1, classes)), np.eye(classes))
    found = []
    for s, t in zip(np.float64(source), np.float64(target), strict=True):
        moved = min(s.sum(), t.sum()) * (1 - 1e-7)
        program = linprog(
            cost,
            A_ub=np.vstack([leaving, entering]),
            b_ub=np.concatenate([s, t]),
            A_eq=np.ones((1, classes**2)),
            b_eq=[moved],
        )
        assert program.success, program.message
        found.append(program.fun)
    return np.array(found)
