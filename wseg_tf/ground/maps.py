"""The maps f(d) of Liu et al. (AAAI 2020, Eqs. 3-5), applied to costs."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def power(distances: Array, exponent: float) -> Array:
    """Returns `d ** exponent` (Eq. 3).

    Args:
        distances: Costs `>= 0`, any shape.
        exponent: `p >= 1`, so that f is convex.

    Returns:
        An array of the same shape.

    Raises:
        ValueError: If `exponent < 1`, or it is not finite.

    Example:

    >>> power(np.array([0.0, 3.0]), 2)
    array([0., 9.])
    """
    if not (np.isfinite(exponent) and exponent >= 1):
        raise ValueError(
            "Invalid value for argument `exponent`. Expected a finite number "
            f">= 1. Received: exponent={exponent}."
        )
    return np.asarray(distances**exponent, np.float64)


def huber(distances: Array, tau: float) -> Array:
    """Returns `d^2` up to `tau`, then the line `tau * (2 d - tau)` (Eq. 4).

    Continuous, with a continuous slope, at `tau`.

    Args:
        distances: Costs `>= 0`, any shape.
        tau: Where the parabola becomes a line, `> 0`, in units of d. It warns
            when `tau >= max(d)`: the map is then the plain square.

    Returns:
        An array of the same shape.

    Raises:
        ValueError: If `tau <= 0`, or it is not finite.

    Example:

    >>> huber(np.array([1.0, 2.0, 4.0]), tau=2.0)
    array([ 1.,  4., 12.])
    """
    if not (np.isfinite(tau) and tau > 0):
        raise ValueError(
            "Invalid value for argument `tau`. Expected a finite number > 0. "
            f"Received: tau={tau}."
        )
    largest = float(np.max(distances))
    if tau >= largest:
        warnings.warn(
            f"Huber's tau={tau} changes nothing: no cost is above it (the "
            f"largest is {largest:g}), so the map is the square.",
            stacklevel=3,
        )
    square, line = distances**2, tau * (2 * distances - tau)
    return np.where(distances <= tau, square, line)


def step(distances: Array) -> Array:
    """Returns 1 where `d != 0` (Eq. 5), so every confusion costs the same.

    Args:
        distances: Costs `>= 0`, any shape.

    Returns:
        An array of the same shape.

    Example:

    >>> step(np.array([0.0, 0.5, 4.0]))
    array([0., 1., 1.])
    """
    return np.where(distances != 0, 1.0, 0.0)
