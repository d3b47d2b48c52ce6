"""The options of augmentation: how training frames are drawn and varied."""

from __future__ import annotations

from dataclasses import dataclass

from wseg_tf.ranges import bounded, check_ranges


@dataclass(frozen=True)
class Augmentation:
    """How training frames are drawn and varied. The defaults change nothing.

    Args:
        flip: Probability of a left-right flip, 0..1.
        scale: Smallest and largest zoom; below 1 the frame shrinks and void
            surrounds it, above 1 a part of it fills the crop.
        rotation: Largest turn to either side, degrees.
        brightness: Largest change of brightness, as a share of 255.
        contrast: Largest change of contrast, as a share of it.
        saturation: Largest change of saturation, as a share of it.
        rare_classes: Ids of classes to place crops on, or to draw frames by.
        rare: Probability that a crop is placed on a pixel of a class of
            `rare_classes`, chosen evenly among those in the frame.
        rare_images: Share of an epoch that is drawn from the frames that show
            a class of `rare_classes`: a class evenly, then a frame that shows
            it. The rest is drawn evenly from all frames.

    Raises:
        ValueError: If a value is out of its range.
    """

    flip: float = bounded(0.0, 0, 1)
    scale: tuple[float, float] = bounded((1.0, 1.0), above=0, most=64)
    rotation: float = bounded(0.0, 0, 180)
    brightness: float = bounded(0.0, 0, 1)
    contrast: float = bounded(0.0, 0, 1)
    saturation: float = bounded(0.0, 0, 1)
    rare_classes: tuple[int, ...] = bounded((), 0)
    rare: float = bounded(0.0, 0, 1)
    rare_images: float = bounded(0.0, 0, 1)

    def __post_init__(self) -> None:
        """Refuses values out of their range."""
        check_ranges(self)
        if self.scale[0] > self.scale[1]:
            raise ValueError(
                "Invalid value for argument `scale`. Expected a smallest and "
                f"a largest zoom. Received: scale={self.scale}."
            )
        for name in ("rare", "rare_images"):
            if getattr(self, name) > 0 and not self.rare_classes:
                raise ValueError(
                    "Invalid value for argument `rare_classes`. Expected a "
                    f"class where {name}={getattr(self, name)}. "
                    "Received: none."
                )
