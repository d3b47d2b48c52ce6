"""Colours for classes, apart for readers who see colours differently too."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
Values = npt.NDArray[np.float64]

# What dichromats see of linear RGB: Machado, Oliveira and Fernandes, A
# Physiologically-based Model for Simulation of Color Vision Deficiency, IEEE
# TVCG 2009, severity 1.0.
DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
_XYZ = [  # of linear sRGB, divided by the white point D65
    [0.4339530, 0.3762196, 0.1898274],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0177579, 0.1094767, 0.8727654],
]
_STEPS = 11  # of each channel, among which colours are chosen
_LIGHTNESS = (25.0, 90.0)  # neither black nor white: void and paper are

# What `distance` must be for a reader to tell a critical class from any other,
# and other classes from each other: seven times, and once, what is noticed.
CRITICAL_APART, APART = 14.0, 2.0


def palette(count: int) -> tuple[Colour, ...]:
    """Returns colours of which each is as far from those before as can be.

    The distance of two colours is the least, over normal sight and the three
    dichromacies, of their Euclidean distance in CIELAB.

    Args:
        count: How many; 1 to 1,000.

    Returns:
        RGB colours, 0..255; the first ones do not depend on `count`.

    Raises:
        ValueError: If there are not as many colours.

    Example:

    >>> len(set(palette(66)))
    66
    >>> palette(3) == palette(66)[:3]
    True
    """
    candidates = _candidates()
    if not 1 <= count <= len(candidates):
        raise ValueError(
            "Invalid value for argument `count`. Expected 1 to "
            f"{len(candidates)}. Received: count={count}."
        )
    return tuple(
        (int(red), int(green), int(blue))
        for red, green, blue in candidates[_order()[:count]]
    )


def distance(first: Colour, second: Colour) -> float:
    """Returns how far apart two colours are, to whoever sees them worst.

    Args:
        first: RGB, 0..255.
        second: The same.

    Returns:
        The least Euclidean distance in CIELAB over normal sight and the three
        dichromacies; about 2 is just noticeable.

    Example:

    >>> round(distance((0, 0, 0), (255, 255, 255)))
    100
    """
    one, other = seen(np.array([first, second], np.float64))
    return float(np.linalg.norm(one - other, axis=-1).min())


def seen(colours: Values) -> Values:
    """Returns colours as CIELAB, by normal sight and each dichromacy.

    Args:
        colours: RGB `[N, 3]`, 0..255.

    Returns:
        L, a, b `[N, 4, 3]`.
    """
    share = colours / 255.0
    linear = np.where(
        share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4
    )
    views = [np.eye(3), *(np.array(each) for each in DEFICIENCIES.values())]
    found = np.stack([linear @ view.T for view in views], axis=1).clip(0, 1)
    relative = found @ np.array(_XYZ).T
    root = np.where(
        relative > 216 / 24389,
        np.cbrt(relative),
        (24389 / 27 * relative + 16) / 116,
    )
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@functools.lru_cache(maxsize=64)
def told_apart(
    colours: tuple[Colour, ...], critical: tuple[int, ...] = ()
) -> tuple[Colour, ...]:
    """Returns colours that everybody can tell apart, near those given.

    A colour is kept if its `distance` from those before it is `CRITICAL_APART`
    or more where one of the two is critical, and `APART` elsewhere; if not,
    the nearest one that keeps these distances takes its place. Critical ones
    come first, so they are kept where they can be.

    Args:
        colours: RGB, 0..255.
        critical: Positions of the critical ones. None by default.

    Returns:
        As many colours. Where there are too many for these distances, some are
        as far apart as can be had.

    Example:

    >>> green, red = (64, 64, 0), (128, 0, 0)
    >>> round(distance(green, red))
    6
    >>> told_apart((green, red), critical=(0,))
    ((64, 64, 0), (178, 51, 51))
    """
    own = seen(np.array(colours, np.float64))
    candidates = seen(_candidates())
    chosen = [*colours]
    # How far each candidate is from what is placed, beyond what it must be.
    spare = np.full([2, len(candidates)], np.inf)
    placed: list[Values] = []
    needs: list[tuple[float, float]] = []
    order = [*critical, *(i for i in range(len(colours)) if i not in critical)]
    for index in order:
        is_critical = int(index in critical)
        view = own[index]
        if placed:
            apart = _apart(np.stack(placed), view)
            if (apart < [both[is_critical] for both in needs]).any():
                room = spare[is_critical]
                far = np.linalg.norm(candidates[:, 0] - view[0], axis=-1)
                far = np.where(room >= 0, far, np.inf)
                best = int(
                    far.argmin() if np.isfinite(far).any() else room.argmax()
                )
                view = candidates[best]
                red, green, blue = (int(c) for c in _candidates()[best])
                chosen[index] = (red, green, blue)
        placed.append(view)
        # Beside an ordinary one, and beside a critical one.
        need = (CRITICAL_APART if is_critical else APART, CRITICAL_APART)
        needs.append(need)
        apart = _apart(candidates, view)
        spare = np.minimum(spare, apart - np.array(need)[:, None])
    return tuple(chosen)


def _apart(views: Values, view: Values) -> Values:
    """The distances of colours, as `seen` gives them, from another."""
    least: Values = np.linalg.norm(views - view, axis=-1).min(axis=-1)
    return least


@functools.cache
def _candidates() -> Values:
    channel = np.linspace(0, 255, _STEPS).round()
    grid = np.stack(np.meshgrid(channel, channel, channel, indexing="ij"), -1)
    colours = grid.reshape(-1, 3)
    lightness = seen(colours)[:, 0, 0]
    least, most = _LIGHTNESS
    chosen: Values = colours[(lightness >= least) & (lightness <= most)]
    return chosen


@functools.cache
def _order() -> list[int]:
    """Farthest-point order of the candidates, after a strong blue."""
    views = seen(_candidates())
    blue = np.abs(_candidates() - [0, 102, 204]).sum(axis=-1).argmin()
    order = [int(blue)]
    nearest = np.full(len(views), np.inf)
    while len(order) < len(views):
        nearest = np.minimum(nearest, _apart(views, views[order[-1]]))
        nearest[order] = -np.inf
        order.append(int(nearest.argmax()))
    return order
