"""Narrower and wider versions of a network."""

from __future__ import annotations


def scaled_channels(channels: int, width: float) -> int:
    """Returns a number of channels times `width`, a multiple of 8, at least 8.

    Args:
        channels: Channels at width 1, a multiple of 8.
        width: Factor, above 0.

    Returns:
        The number of channels.

    Raises:
        ValueError: If `width` is not above 0.

    Example:

    >>> [scaled_channels(64, width) for width in (1.0, 0.5, 0.3, 0.01)]
    [64, 32, 16, 8]
    """
    if not width > 0:
        raise ValueError(
            "Invalid value for argument `width`. Expected a factor above 0. "
            f"Received: width={width}."
        )
    return max(8, 8 * round(channels * width / 8))
