"""What a street is drawn on: a camera, and an image with its labels.

World coordinates are metres: `x` to the right of the camera, `y` up from the
ground, `z` ahead. Objects are painted from far to near.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from wseg_tf.classes import CAMVID, Colour

(
    SKY,
    BUILDING,
    POLE,
    ROAD,
    SIDEWALK,
    TREE,
    SIGN,
    FENCE,
    CAR,
    PEDESTRIAN,
    BICYCLIST,
) = range(len(CAMVID))
VOID = CAMVID.void

# The image is drawn at twice its size and averaged down: smooth edges.
OVERSAMPLING = 2
NEAREST = 1.2  # metres; nothing is drawn closer than this
SKY_BASE: Colour = (200, 210, 220)  # stands for the sky until it is lit
HAZE: Colour = (196, 202, 208)
HAZE_DISTANCE = 170.0  # metres until haze takes 63 % of a colour

Point = tuple[float, float, float]
Flat = tuple[float, float]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along the street.

    Args:
        focal: Focal length, in drawn pixels.
        centre: Column of the vanishing point, in drawn pixels.
        horizon: Row of the vanishing point, in drawn pixels.
        height: Height above the ground, metres.
    """

    focal: float
    centre: float
    horizon: float
    height: float

    def project(self, point: Point) -> Flat:
        """Returns the drawn pixel (column, row) of a point of the world."""
        x, y, z = point
        scale = self.focal / max(z, NEAREST)
        return self.centre + x * scale, self.horizon + (self.height - y) * scale


class Stage:
    """An image, its labels and its lamps, painted together.

    Args:
        height: Image height, pixels.
        width: Image width, pixels.
        camera: The camera.
        random: The source of all that varies in this scene.
    """

    def __init__(
        self,
        height: int,
        width: int,
        camera: Camera,
        random: np.random.Generator,
    ) -> None:
        self.size = (height, width)
        self.camera = camera
        self.random = random
        drawn = (width * OVERSAMPLING, height * OVERSAMPLING)
        self._image = Image.new("RGB", drawn, SKY_BASE)
        self._labels = Image.new("L", drawn, SKY)
        self._lamps = Image.new("RGB", drawn, 0)
        self._draw_image = ImageDraw.Draw(self._image, "RGBA")
        self._draw_labels = ImageDraw.Draw(self._labels)
        self._draw_lamps = ImageDraw.Draw(self._lamps)

    def uniform(self, low: float, high: float) -> float:
        """Returns a random number between two bounds."""
        return low + (high - low) * float(self.random.random())

    def chance(self, probability: float) -> bool:
        """Returns True with a probability."""
        return bool(self.random.random() < probability)

    def choose(self, colours: Sequence[Colour], jitter: float = 14) -> Colour:
        """Returns one of the colours, varied a little."""
        colour = colours[int(self.random.integers(len(colours)))]
        return shift(colour, self.uniform(-jitter, jitter))

    def polygon(
        self,
        points: Iterable[Point],
        colour: Colour,
        label: int | None = None,
        alpha: int = 255,
    ) -> None:
        """Fills a polygon of the world; without a label, in the image only."""
        points = list(points)
        depth = sum(point[2] for point in points) / len(points)
        flat = [self.camera.project(point) for point in points]
        self.fill(flat, hazy(colour, depth), label, alpha)

    def fill(
        self,
        flat: Sequence[Flat],
        colour: Colour,
        label: int | None = None,
        alpha: int = 255,
    ) -> None:
        """Fills a polygon of drawn pixels."""
        self._draw_image.polygon(flat, fill=(*colour, alpha))
        if label is not None:
            self._draw_labels.polygon(flat, fill=label)
            self._draw_lamps.polygon(flat, fill=0)

    def line(
        self,
        points: Sequence[Point],
        thickness: float,
        colour: Colour,
        label: int | None = None,
        alpha: int = 255,
    ) -> None:
        """Draws a line of the world, `thickness` in metres.

        A labelled line is at least one pixel of the final image wide.
        """
        depth = sum(point[2] for point in points) / len(points)
        flat = [self.camera.project(point) for point in points]
        drawn = thickness * self.camera.focal / max(depth, NEAREST)
        least = 1 if label is None else OVERSAMPLING
        width = max(least, round(drawn))
        fill = (*hazy(colour, depth), alpha)
        self._draw_image.line(flat, fill=fill, width=width)
        if label is not None:
            self._draw_labels.line(flat, fill=label, width=width)
            self._draw_lamps.line(flat, fill=0, width=width)

    def disc(
        self,
        centre: Point,
        radius: float,
        colour: Colour,
        label: int | None = None,
        alpha: int = 255,
        squeeze: float = 1.0,
    ) -> None:
        """Fills a disc that faces the camera; `squeeze` scales its width."""
        column, row = self.camera.project(centre)
        drawn = radius * self.camera.focal / max(centre[2], NEAREST)
        wide = drawn * squeeze
        box = (column - wide, row - drawn, column + wide, row + drawn)
        fill = (*hazy(colour, centre[2]), alpha)
        self._draw_image.ellipse(box, fill=fill)
        if label is not None:
            self._draw_labels.ellipse(box, fill=label)
            self._draw_lamps.ellipse(box, fill=0)

    def lamp(self, centre: Point, radius: float, colour: Colour) -> None:
        """Adds a light that shows when it is dark."""
        column, row = self.camera.project(centre)
        drawn = max(1.0, radius * self.camera.focal / max(centre[2], NEAREST))
        box = (column - drawn, row - drawn, column + drawn, row + drawn)
        self._draw_lamps.ellipse(box, fill=colour)

    def lit(self, points: Iterable[Point], colour: Colour) -> None:
        """Adds a polygon that shines when it is dark."""
        flat = [self.camera.project(point) for point in points]
        self._draw_lamps.polygon(flat, fill=colour)

    def image(self) -> npt.NDArray[np.float32]:
        """Returns the painted image, averaged down: float32 `[H, W, 3]`."""
        return np.asarray(self._image.reduce(OVERSAMPLING), np.float32)

    def lamps(self) -> Image.Image:
        """Returns the lamps, averaged down."""
        return self._lamps.reduce(OVERSAMPLING)

    def sky_share(self) -> npt.NDArray[np.float32]:
        """Returns the share of each pixel that is sky, `[H, W]` in 0..1."""
        sky = self._labels.point([255] + [0] * 255)
        return np.asarray(sky.reduce(OVERSAMPLING), np.float32) / 255

    def labels(self) -> npt.NDArray[np.uint8]:
        """Returns the class ids, uint8 `[H, W]`; never averaged."""
        return np.array(self._labels)[::OVERSAMPLING, ::OVERSAMPLING]


def shift(colour: Colour, amount: float) -> Colour:
    """Returns a colour made lighter or darker by an amount of grey."""
    red, green, blue = (
        int(min(255, max(0, channel + amount))) for channel in colour
    )
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """Returns a colour times a factor."""
    red, green, blue = (
        int(min(255, max(0, channel * factor))) for channel in colour
    )
    return red, green, blue


def hazy(colour: Colour, depth: float) -> Colour:
    """Returns a colour as seen through the haze of a distance in metres."""
    clear = math.exp(-depth / HAZE_DISTANCE)
    red, green, blue = (
        int(channel * clear + grey * (1 - clear))
        for channel, grey in zip(colour, HAZE, strict=True)
    )
    return red, green, blue


def upright(x: float, z: float, flat: Iterable[Flat]) -> list[Point]:
    """Stands a flat outline (metres from its foot) up at a place."""
    return [(x + across, up, z) for across, up in flat]


def wall(
    x: float, z: tuple[float, float], y: tuple[float, float]
) -> list[Point]:
    """Returns a rectangle along the street: x fixed, z and y ranges."""
    (near, far), (low, high) = z, y
    return [(x, low, near), (x, high, near), (x, high, far), (x, low, far)]


def face(
    x: tuple[float, float], z: float, y: tuple[float, float]
) -> list[Point]:
    """Returns a rectangle that faces the camera: z fixed."""
    (left, right), (low, high) = x, y
    return [(left, low, z), (left, high, z), (right, high, z), (right, low, z)]


def ground(
    x: tuple[float, float], z: tuple[float, float], y: float = 0.0
) -> list[Point]:
    """Returns a level rectangle at a height."""
    (left, right), (near, far) = x, z
    return [(left, y, near), (left, y, far), (right, y, far), (right, y, near)]
