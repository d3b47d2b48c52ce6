"""The options of augmentation: how training frames are varied."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """How training frames are varied. The defaults change nothing.

    Args:
        flip: Probability of a left-right flip, 0..1.
        scale: Smallest and largest zoom; below 1 the frame shrinks and void
            surrounds it, above 1 a part of it fills the crop.
        rotation: Largest turn to either side, degrees.
        brightness: Largest change of brightness, as a share of 255.
        contrast: Largest change of contrast, as a share of it.
        saturation: Largest change of saturation, as a share of it.
        rare_classes: Ids of classes to place crops on.
        rare: Probability that a crop is placed on a pixel of a class of
            `rare_classes`, chosen evenly among those in the frame.

    Raises:
        ValueError: If a value is out of its range.
    """

    flip: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    rare_classes: tuple[int, ...] = ()
    rare: float = 0.0

    def __post_init__(self) -> None:
        """Refuses values out of their range."""
        shares = ("flip", "brightness", "contrast", "saturation", "rare")
        for name in shares:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(
                    f"Invalid value for argument `{name}`. Expected 0..1. "
                    f"Received: {name}={value}."
                )
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                "Invalid value for argument `scale`. Expected a smallest and "
                f"a largest zoom above 0. Received: scale={self.scale}."
            )
        if not 0 <= self.rotation <= 180:
            raise ValueError(
                "Invalid value for argument `rotation`. Expected 0..180 "
                f"degrees. Received: rotation={self.rotation}."
            )
        if self.rare > 0 and not self.rare_classes:
            raise ValueError(
                "Invalid value for argument `rare_classes`. Expected a class "
                f"where rare={self.rare}. Received: none."
            )
