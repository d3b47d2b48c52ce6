"""One street: what stands where, drawn from far to near."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from wseg_tf.data.streets.look import LOOKS, light
from wseg_tf.data.streets.scenery import (
    FAR,
    draw_building,
    draw_fence,
    draw_ground,
    draw_lamp_post,
    draw_side_road,
    draw_sign,
    draw_skyline,
    draw_traffic_light,
    draw_tree,
)
from wseg_tf.data.streets.stage import (
    BUILDING,
    FENCE,
    NEAREST,
    OVERSAMPLING,
    ROAD,
    SIDEWALK,
    SKY,
    TREE,
    VOID,
    Camera,
    Stage,
    ground,
    shift,
)
from wseg_tf.data.streets.traffic import (
    Heading,
    draw_bicyclist,
    draw_car,
    draw_pedestrian,
)

Image = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]

SMALLEST = 32  # pixels; below it nothing can be recognised
_STUFF = (SKY, BUILDING, ROAD, SIDEWALK, TREE, FENCE)


@dataclass(frozen=True)
class _Street:
    """What the frames of one drive share, in metres."""

    camera_height: float
    horizon: float  # share of the image height
    road: tuple[float, float]  # x of the kerbs
    pavement: float
    built: tuple[float, float]  # share of houses, left and right
    sunny: tuple[float, float]  # brightness of the facades
    hood: float  # share of the image height that the car's own hood hides


def draw_scene(
    seed: int,
    height: int,
    width: int,
    look: str = "day",
    drive: int | None = None,
) -> tuple[Image, Labels]:
    """Draws a street in the eleven CamVid classes.

    The same arguments give the same bytes. Both looks of a scene have the
    same labels. Frames of one drive share their camera, their weather and the
    shape of their street, as the frames of a real drive do.

    Args:
        seed: Names the scene, >= 0.
        height: Image height in pixels, >= 32.
        width: Image width in pixels, >= 32.
        look: `"day"`, or `"dusk"`: darker, tinted, noisy, with lamps lit.
        drive: Names the drive, >= 0. Defaults to a drive of the scene's own.

    Returns:
        A tuple of the RGB image, uint8 `[height, width, 3]`, and the class
        ids, uint8 `[height, width]` with 11 for void.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> image, labels = draw_scene(seed=7, height=48, width=64)
    >>> image.shape, labels.shape, int(labels.max()) <= 11
    ((48, 64, 3), (48, 64), True)
    """
    _check(seed, height, width, look, drive)
    rig_key = [1, seed, 0] if drive is None else [1, drive, 1]
    rig = np.random.default_rng(rig_key)
    world = np.random.default_rng([2, seed, *rig_key])
    street = _street(rig)
    stage = _stage(height, width, street, world)
    _populate(stage, street)
    _draw_hood(stage, street.hood)
    labels = _with_void_borders(stage.labels(), world)
    frame = np.random.default_rng([3, seed, *rig_key, LOOKS.index(look)])
    return light(stage, labels, look, rig, frame), labels


def _check(
    seed: int, height: int, width: int, look: str, drive: int | None
) -> None:
    for name, value, least in (
        ("seed", seed, 0),
        ("drive", 0 if drive is None else drive, 0),
        ("height", height, SMALLEST),
        ("width", width, SMALLEST),
    ):
        if value < least:
            raise ValueError(
                f"Invalid value for argument `{name}`. Expected at least "
                f"{least}. Received: {name}={value}."
            )
    if look not in LOOKS:
        raise ValueError(
            f"Invalid value for argument `look`. Expected one of {LOOKS}. "
            f"Received: look={look!r}."
        )


def _street(rig: np.random.Generator) -> _Street:
    """Draws what a drive's frames share."""
    lane = float(rig.uniform(2.8, 3.6))
    own = float(rig.uniform(1.3, 2.8))  # from the camera to its own kerb
    sides = [-own - lane * 0.2, 2 * lane - own]
    if rig.random() < 0.5:
        sides = [-sides[1], -sides[0]]
    bright, dark = rig.uniform(1.0, 1.15), rig.uniform(0.62, 0.9)
    sunny = (bright, dark) if rig.random() < 0.5 else (dark, bright)
    return _Street(
        camera_height=float(rig.uniform(1.25, 1.75)),
        horizon=float(rig.uniform(0.44, 0.54)),
        road=(float(sides[0]), float(sides[1])),
        pavement=float(rig.uniform(2.2, 3.6)),
        built=(float(rig.uniform(0.35, 0.9)), float(rig.uniform(0.35, 0.9))),
        sunny=(float(sunny[0]), float(sunny[1])),
        hood=float(rig.uniform(0.02, 0.05)) if rig.random() < 0.3 else 0.0,
    )


def _stage(
    height: int, width: int, street: _Street, world: np.random.Generator
) -> Stage:
    tall, wide = height * OVERSAMPLING, width * OVERSAMPLING
    camera = Camera(
        focal=1.05 * tall,
        centre=wide * (0.5 + float(world.uniform(-0.09, 0.09))),
        horizon=tall * (street.horizon + float(world.uniform(-0.015, 0.015))),
        height=street.camera_height,
    )
    return Stage(height, width, camera, world)


def _populate(stage: Stage, street: _Street) -> None:
    """Draws the street from its far end to the camera."""
    draw_skyline(stage)
    draw_ground(stage, street.road, street.pavement)
    for side in (-1, 1):
        _draw_side(stage, street, side)
    things: list[tuple[float, Callable[[], None]]] = []
    _place_furniture(stage, street, things)
    _place_traffic(stage, street, things)
    things.sort(key=lambda thing: -thing[0])
    for _, draw in things:
        draw()


def _draw_side(stage: Stage, street: _Street, side: int) -> None:
    """Draws the houses and gardens along one side, from far to near."""
    index = (side + 1) // 2
    kerb = street.road[index]
    front = kerb + side * street.pavement
    z, plots = NEAREST, []
    while z < FAR:
        long = stage.uniform(6, 15) * (1 + z / 90)
        plots.append((z, min(z + long, FAR)))
        z += long
    for near, far in reversed(plots):
        draw = stage.uniform(0, 1)
        if draw < street.built[index]:
            high = stage.uniform(5, 13)
            sunny = street.sunny[index]
            draw_building(stage, front, side, (near, far), high, sunny)
        elif draw < 0.93 or near < 8:
            _draw_garden(stage, front, side, (near, far))
        else:
            end = min(far, near + 7)
            draw_side_road(stage, kerb, side, (near, end))


def _draw_garden(
    stage: Stage, front: float, side: int, z: tuple[float, float]
) -> None:
    """Draws grass, a hedge or trees, and often a fence before them."""
    near, far = z
    ends = sorted((front, side * 60.0))
    grass = shift((104, 118, 66), stage.uniform(-16, 12))
    stage.polygon(ground((ends[0], ends[1]), z), grass, TREE)
    foot = far
    while foot > near + 1:
        x = front + side * stage.uniform(1.5, 9)
        draw_tree(stage, x, foot, stage.uniform(2.5, 8.5))
        foot -= stage.uniform(1.5, 4.5) * (1 + near / 40)
    if stage.chance(0.75):
        high = stage.uniform(0.9, 1.7)
        draw_fence(stage, front + side * 0.1, (near, far), high)


def _place_furniture(
    stage: Stage,
    street: _Street,
    things: list[tuple[float, Callable[[], None]]],
) -> None:
    """Places lamp posts, signs, traffic lights, street trees, railings."""

    def place(z: float, draw: Callable[[], None]) -> None:
        things.append((z, draw))

    for side in (-1, 1):
        kerb = street.road[(side + 1) // 2]
        x = kerb + side * 0.5
        z = stage.uniform(5, 16)
        while z < 70:
            place(z, partial(draw_lamp_post, stage, x, z, side))
            z += stage.uniform(14, 26)
        for _ in range(int(stage.random.integers(1, 5))):
            z = stage.uniform(5, 34)
            at = kerb + side * stage.uniform(0.35, 0.9)
            place(z, partial(draw_sign, stage, at, z))
        if stage.chance(0.45):
            z = stage.uniform(7, 24)
            place(z, partial(draw_traffic_light, stage, x, z))
        if stage.chance(0.45):
            z = stage.uniform(5, 14)
            while z < 80:
                at, high = kerb + side * 1.0, stage.uniform(4, 7.5)
                place(z, partial(draw_tree, stage, at, z, high))
                z += stage.uniform(8, 16)
        if stage.chance(0.4):
            near = stage.uniform(4, 14)
            span = (near, near + stage.uniform(4, 16))
            at = kerb + side * 0.25
            place(span[1], partial(draw_fence, stage, at, span, 1.05))


def _place_traffic(
    stage: Stage,
    street: _Street,
    things: list[tuple[float, Callable[[], None]]],
) -> None:
    """Places cars, pedestrians and bicyclists."""
    left, right = street.road

    def car(x: float, z: float, heading: Heading) -> None:
        things.append((z, lambda: draw_car(stage, x, z, heading)))

    def pedestrian(x: float, z: float) -> None:
        high = stage.uniform(1.5, 1.92) * (0.7 if stage.chance(0.1) else 1)
        things.append((z, lambda: draw_pedestrian(stage, x, z, high)))

    def bicyclist(x: float, z: float, heading: Heading) -> None:
        things.append((z, lambda: draw_bicyclist(stage, x, z, heading)))

    ways = (Heading.AWAY, Heading.TOWARDS)
    for side, kerb in ((-1, left), (1, right)):
        if abs(kerb) > 2.6 and stage.chance(0.75):  # room to park
            z = stage.uniform(4, 14)
            while z < 70:
                if stage.chance(0.7):
                    way = ways[int(stage.random.integers(2))]
                    car(kerb - side * 1.1, z, way)
                z += stage.uniform(5.2, 9)
    ours = -0.2 if abs(left) < abs(right) else 0.2
    theirs = (left + right) + (0.3 if left + right < 0 else -0.3)
    if stage.chance(0.75):
        car(ours, stage.uniform(6, 28), Heading.AWAY)
    for _ in range(int(stage.random.integers(0, 4))):
        car(theirs * 0.8, stage.uniform(6, 40), Heading.TOWARDS)
    if stage.chance(0.15):
        car(stage.uniform(left, right), stage.uniform(12, 28), Heading.ACROSS)
    for side, kerb in ((-1, left), (1, right)):
        for _ in range(int(stage.random.integers(1, 4))):
            x = kerb + side * stage.uniform(0.3, street.pavement - 0.3)
            z = 4.5 + 20 * stage.uniform(0, 1) ** 1.4
            pedestrian(x, z)
            if stage.chance(0.35):
                pedestrian(x + 0.6, z + stage.uniform(-0.2, 0.4))
    if stage.chance(0.35):
        z = stage.uniform(6, 16)
        for _ in range(int(stage.random.integers(1, 4))):
            pedestrian(stage.uniform(left, right), z + stage.uniform(-1, 1))
    for side, kerb in ((-1, left), (1, right)):
        if stage.chance(0.6):
            x = kerb - side * stage.uniform(0.4, 0.8)
            bicyclist(x, stage.uniform(4.5, 16), ways[(side + 1) // 2])
    if stage.chance(0.4):
        x = stage.uniform(left, right)
        bicyclist(x, stage.uniform(5.5, 15), Heading.ACROSS)


def _draw_hood(stage: Stage, share: float) -> None:
    """Hides the lowest rows behind the car's own hood, which is void."""
    if not share:
        return
    height, width = (OVERSAMPLING * pixels for pixels in stage.size)
    top = height * (1 - share)
    edge = [(0, height), (0, top + height * share * 0.6), (width * 0.3, top)]
    edge += [(width * 0.7, top), (width, top + height * share * 0.6)]
    stage.fill([*edge, (width, height)], (36, 38, 44), VOID)


def _with_void_borders(labels: Labels, world: np.random.Generator) -> Labels:
    """Leaves some borders between wide things unlabelled, as people do."""
    wide = np.isin(labels, _STUFF)
    border = np.zeros(labels.shape, bool)
    across = (labels[:, 1:] != labels[:, :-1]) & wide[:, 1:] & wide[:, :-1]
    down = (labels[1:] != labels[:-1]) & wide[1:] & wide[:-1]
    border[:, 1:] |= across
    border[1:] |= down
    blocks = world.random((8, 8)) < 0.6
    height, width = labels.shape
    rows = np.arange(height) * 8 // height
    columns = np.arange(width) * 8 // width
    return np.where(
        border & blocks[rows][:, columns], np.uint8(VOID), labels
    ).astype(np.uint8)
