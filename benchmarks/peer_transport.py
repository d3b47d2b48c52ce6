"""The peers of `benchmarks.transport`, in the peers' environment.

All get an entropy weight of 0.1 and the balanced masses in float64 or, where
it is faster, float32; costs run from source to target, so they are D's
transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import geomloss.ot
import jax
import jax.numpy as jnp
import numpy as np
import ot
import ott
import torch
from ott.geometry import geometry
from ott.solvers import linear

EPSILON = 0.1
Work = Callable[[], Any]


def pot(arrays: Any, iterations: int, method: str, pixels: int) -> Work:
    """POT's batched solver over NumPy, the fastest of its backends here."""
    source, target = arrays["source"][:pixels], arrays["target"][:pixels]
    cost = np.repeat(arrays["ground"].T[None], pixels, axis=0)

    def run() -> Any:
        with np.errstate(divide="ignore"):
            return ot.batch.solve_batch(
                cost,
                EPSILON,
                source,
                target,
                max_iter=iterations,
                tol=0.0,
                method=method,
            ).value_linear

    return run


def of_geomloss(arrays: Any, iterations: int, pixels: int) -> Work:
    """The batched solver of geomloss over explicit costs."""
    source, target, cost = (
        torch.from_numpy(np.ascontiguousarray(array)).float()
        for array in (
            arrays["source"][:pixels],
            arrays["target"][:pixels],
            np.repeat(arrays["ground"].T[None], pixels, axis=0),
        )
    )

    def run() -> Any:
        plan = geomloss.ot.solve_batch(
            cost, reg=EPSILON, a=source, b=target, max_iter=iterations
        ).plan
        return (plan * cost).sum((1, 2)).numpy()

    return run


def of_ott(arrays: Any, iterations: int, gradient: bool = False) -> Work:
    """OTT in kernel mode, compiled over the batch, one shared cost."""
    geom = geometry.Geometry(jnp.array(arrays["ground"].T), epsilon=EPSILON)
    source, target = jnp.array(arrays["source"]), jnp.array(arrays["target"])

    def solve(s: Any, t: Any) -> Any:
        return linear.solve(
            geom,
            s,
            t,
            lse_mode=False,
            threshold=0.0,
            min_iterations=iterations,
            max_iterations=iterations,
        )

    def primal(s: Any, t: Any) -> Any:
        return solve(s, t).primal_cost

    def objective(s: Any, t: Any) -> Any:
        return solve(s, t).reg_ot_cost

    one = jax.value_and_grad(objective) if gradient else primal
    compiled = jax.jit(jax.vmap(one))

    def run() -> Any:
        return jax.block_until_ready(compiled(source, target))

    return run


def cases(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the peers' work by name, and each one's worst error."""
    work: dict[str, Work] = {}
    for iterations in (50, 200):
        n = iterations
        work |= {
            f"POT, solve_batch, {n}": pot(arrays, n, "auto", 128),
            f"POT, kernel mode, {n}": pot(arrays, n, "sinkhorn", 512),
            f"geomloss, solve_batch, {n}": of_geomloss(arrays, n, 32),
            f"OTT, kernel mode, {n}": of_ott(arrays, n),
        }
    work["OTT, kernel mode, 1000"] = of_ott(arrays, 1000)
    facts: dict[str, Any] = {
        "POT": ot.__version__,
        "geomloss": geomloss.__version__,
        "OTT": ott.__version__,
        "jax": jax.__version__,
    }
    absent, kept = {}, {}
    exact = arrays["exact"]
    for name, run in work.items():
        try:
            found = np.asarray(run())[: len(exact)]
        except Exception as error:
            absent[name] = f"{type(error).__name__}: {error}"[:120]
            continue
        kept[name] = run
        error = np.abs(found / exact[: len(found)] - 1)
        facts[f"worst relative error, {name}"] = float(error.max())
    kept["OTT, kernel mode, 200, and gradient"] = of_ott(arrays, 200, True)
    return {"cases": kept, "facts": facts, "absent": absent}
