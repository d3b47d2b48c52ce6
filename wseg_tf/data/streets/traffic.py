"""What moves in a street: cars, vans, buses, pedestrians, bicyclists."""

from __future__ import annotations

import math
from enum import Enum

from wseg_tf.classes import Colour
from wseg_tf.data.streets.stage import (
    BICYCLIST,
    CAR,
    NEAREST,
    PEDESTRIAN,
    Point,
    Stage,
    face,
    ground,
    shade,
    shift,
    upright,
    wall,
)


class Heading(Enum):
    """Which way something points, seen from the camera."""

    AWAY = "away"
    TOWARDS = "towards"
    ACROSS = "across"


# Half of the cars are as dark or as grey as the road.
PAINTS: tuple[Colour, ...] = (
    (44, 46, 52),
    (76, 78, 82),
    (112, 114, 118),
    (168, 170, 172),
    (212, 212, 210),
    (38, 52, 96),
    (130, 36, 36),
    (50, 78, 68),
)
# Clothes take their colours from facades, trunks and poles.
CLOTHES: tuple[Colour, ...] = (
    (50, 48, 54),
    (92, 74, 62),
    (118, 104, 92),
    (62, 72, 96),
    (136, 60, 54),
    (150, 146, 140),
    (70, 82, 62),
)
SKINS: tuple[Colour, ...] = ((206, 164, 138), (150, 108, 84), (98, 70, 54))
HELMETS: tuple[Colour, ...] = ((60, 58, 62), (196, 190, 180), (150, 50, 44))
TYRE: Colour = (30, 30, 32)
WINDOW: Colour = (52, 60, 70)
TAIL_LIGHT: Colour = (240, 40, 30)
HEADLIGHT: Colour = (255, 244, 214)


def draw_car(stage: Stage, x: float, z: float, heading: Heading) -> None:
    """Draws a car, or now and then a van or a bus, in perspective."""
    paint = stage.choose(PAINTS)
    kind = stage.uniform(0, 1)
    if heading is Heading.ACROSS:
        _draw_profile(stage, x, z, paint)
    elif kind < 0.86:
        _draw_body(stage, x, z, heading, paint, (1.78, 4.2, 1.45), 0.86)
    elif kind < 0.97:
        _draw_body(stage, x, z, heading, paint, (1.95, 5.0, 2.15), 1.1)
    else:
        _draw_body(stage, x, z, heading, paint, (2.5, 9.0, 3.0), 1.2)


def _draw_body(
    stage: Stage,
    x: float,
    z: float,
    heading: Heading,
    paint: Colour,
    size: tuple[float, float, float],
    waist: float,
) -> None:
    """Draws a car along the street: a body, and a cabin above its waist."""
    wide, long, high = size
    z = max(z, NEAREST)
    left, right, back = x - wide / 2, x + wide / 2, z + long
    tall = high > 1.8
    shadow = ground((left - 0.2, right + 0.2), (z - 0.25, back + 0.2))
    stage.polygon(shadow, (22, 22, 26), alpha=170)
    side = left if x > 0 else right
    darker = shade(paint, 0.8)
    stage.polygon(
        ground((left, right), (z, back), waist), shift(paint, 30), CAR
    )
    # The cabin stands on the body, set in from its ends unless it is a van.
    ends = (0.0, 0.0) if tall else (0.6, 0.9)
    low_near, low_far = z + ends[0] * 0.6, back - ends[1] * 1.1
    top_near, top_far = z + ends[0] * 1.5, back - ends[1] * 1.9
    inset = 0.0 if tall else 0.14
    roof_side = side + (inset if x > 0 else -inset)
    cabin: list[Point] = [(side, waist, low_near), (side, waist, low_far)]
    cabin += [(roof_side, high, top_far), (roof_side, high, top_near)]
    stage.polygon(cabin, darker, CAR)
    glass = [
        (px + (side - px) * 0.12, waist + (py - waist) * 0.84 + 0.04, pz)
        for px, py, pz in cabin
    ]
    stage.polygon(glass, shade(WINDOW, 1.25))
    stage.polygon(wall(side, (z, back), (0.28, waist)), darker, CAR)
    roof = ground((left + inset, right - inset), (top_near, top_far), high)
    stage.polygon(roof, shift(paint, 34), CAR)
    rear: list[Point] = [(left, waist, low_near), (right, waist, low_near)]
    rear += [(right - inset, high, top_near), (left + inset, high, top_near)]
    stage.polygon(rear, paint, CAR)
    pane: list[Point] = [
        (left + 0.16, waist + 0.05, low_near),
        (right - 0.16, waist + 0.05, low_near),
        (right - inset - 0.1, high - 0.09, top_near),
        (left + inset + 0.1, high - 0.09, top_near),
    ]
    stage.polygon(pane, WINDOW)
    stage.polygon(face((left, right), z, (0.3, waist)), paint, CAR)
    for wheel in (z + long * 0.2, z + long * 0.8):
        _draw_wheel(stage, side, wheel)
    for tyre in (left + 0.02, right - 0.26):
        box = face((tyre, tyre + 0.24), z, (0, 0.32))
        stage.polygon(box, TYRE, CAR)
    stage.polygon(face((left + 0.1, right - 0.1), z, (0.3, 0.44)), darker)
    plate = face((x - 0.26, x + 0.26), z, (0.46, 0.58))
    stage.polygon(plate, (216, 208, 160))
    _draw_lights(stage, (left, right), z, waist, heading)


def _draw_lights(
    stage: Stage,
    x: tuple[float, float],
    z: float,
    waist: float,
    heading: Heading,
) -> None:
    away = heading is Heading.AWAY
    colour = shade(TAIL_LIGHT, 0.72) if away else shift(HEADLIGHT, -20)
    low, high = waist - 0.28, waist - 0.1
    for left in (x[0] + 0.06, x[1] - 0.34):
        stage.polygon(face((left, left + 0.28), z, (low, high)), colour)
        centre = (left + 0.14, (low + high) / 2, z)
        if away:
            stage.lamp(centre, 0.13, TAIL_LIGHT)
        else:
            stage.lamp(centre, 0.2, HEADLIGHT)


def _draw_wheel(stage: Stage, x: float, z: float, radius: float = 0.32) -> None:
    rim: list[Point] = []
    for step in range(12):
        angle = step * math.pi / 6
        up = radius + radius * math.sin(angle)
        rim.append((x, up, z + radius * math.cos(angle)))
    stage.polygon(rim, TYRE, CAR)


def _draw_profile(stage: Stage, x: float, z: float, paint: Colour) -> None:
    """Draws a car that crosses the street, seen from its side."""
    flip = 1 if stage.chance(0.5) else -1
    stage.polygon(
        ground((x - 2.3, x + 2.3), (z - 0.2, z + 1.9)), (22, 22, 26), alpha=170
    )
    body = [(-2.1, 0.3), (-2.1, 0.75), (-1.25, 0.9), (-0.7, 1.42), (0.9, 1.44)]
    body += [(1.6, 0.95), (2.1, 0.88), (2.1, 0.3)]
    glass = [(-1.0, 0.92), (-0.6, 1.34), (0.82, 1.36), (1.35, 0.95)]
    outline = [(flip * across, up) for across, up in body]
    stage.polygon(upright(x, z, outline), paint, CAR)
    sill = face((x - 2.05, x + 2.05), z, (0.3, 0.42))
    stage.polygon(sill, shade(paint, 0.7))
    panes = [(flip * across, up) for across, up in glass]
    stage.polygon(upright(x, z, panes), shade(WINDOW, 1.2))
    pillar = face((x + flip * 0.1 - 0.05, x + flip * 0.1 + 0.05), z, (0.9, 1.4))
    stage.polygon(pillar, paint)
    for wheel in (-1.3, 1.35):
        hub = (x + flip * wheel, 0.32, z)
        stage.disc(hub, 0.34, TYRE, CAR)
        stage.disc(hub, 0.17, (140, 142, 144))


def draw_pedestrian(stage: Stage, x: float, z: float, high: float) -> None:
    """Draws someone on foot, `high` metres tall, in mid-stride."""
    coat, trousers = stage.choose(CLOTHES), stage.choose(CLOTHES)
    skin, hair = stage.choose(SKINS), stage.choose(CLOTHES)
    stride = stage.uniform(-0.16, 0.16) * high
    shadow = ground((x - 0.3, x + 0.3), (z - 0.15, z + 0.3))
    stage.polygon(shadow, (30, 30, 34), alpha=120)
    hip, shoulder = high * 0.5, high * 0.83
    for foot in (-stride, stride):
        leg = [(-0.1, hip), (0.1, hip), (foot + 0.08, 0.0), (foot - 0.08, 0.0)]
        stage.polygon(upright(x, z, leg), trousers, PEDESTRIAN)
    for hand in (-0.3 - stride * 0.4, 0.3 - stride * 0.4):
        arm = [(x + hand * 0.7, shoulder - 0.05, z), (x + hand, hip, z)]
        stage.line(arm, 0.11, shade(coat, 0.85), PEDESTRIAN)
    hem = hip - (high * 0.14 if stage.chance(0.4) else 0.02)
    torso = [(-0.21, hem), (-0.25, shoulder - 0.06), (-0.1, shoulder + 0.03)]
    torso += [(0.1, shoulder + 0.03), (0.25, shoulder - 0.06), (0.21, hem)]
    stage.polygon(upright(x, z, torso), coat, PEDESTRIAN)
    head = (x, high * 0.92, z)
    stage.disc(head, high * 0.075, skin, PEDESTRIAN)
    stage.disc((x, high * 0.95, z), high * 0.062, hair)
    if stage.chance(0.3):
        bag = face((x + 0.16, x + 0.42), z, (hip - 0.2, hip + 0.2))
        stage.polygon(bag, stage.choose(CLOTHES), PEDESTRIAN)


def draw_bicyclist(stage: Stage, x: float, z: float, heading: Heading) -> None:
    """Draws someone on a bicycle; bicycle and rider are one class."""
    coat, trousers = stage.choose(CLOTHES), stage.choose(CLOTHES)
    skin, helmet = stage.choose(SKINS), stage.choose(HELMETS)
    shadow = ground((x - 0.35, x + 0.35), (z - 0.3, z + 0.9))
    stage.polygon(shadow, (30, 30, 34), alpha=120)
    if heading is Heading.ACROSS:
        _draw_crossing_bicycle(stage, x, z, coat, trousers)
        flip = 1 if stage.chance(0.5) else -1
        head = (x + 0.34 * flip, 1.62, z)
        torso = [(-0.32, 0.9), (-0.08, 0.86), (0.36, 1.4), (0.2, 1.52)]
        arm = [(x + flip * 0.26, 1.36, z), (x + flip * 0.5, 1.02, z)]
        stage.line(arm, 0.1, shade(coat, 0.85), BICYCLIST)
        leaning = [(flip * across, up) for across, up in torso]
        stage.polygon(upright(x, z, leaning), coat, BICYCLIST)
    else:
        stage.disc((x, 0.34, z), 0.34, TYRE, BICYCLIST, squeeze=0.16)
        bars = [(x - 0.28, 1.02, z), (x + 0.28, 1.02, z)]
        stage.line(bars, 0.06, TYRE, BICYCLIST)
        for leg, knee in ((-0.16, 0.42), (0.16, 0.62)):
            limb = [(x + leg * 0.7, 1.0, z), (x + leg, knee - 0.1, z)]
            stage.line(limb, 0.15, trousers, BICYCLIST)
        torso = [(-0.19, 0.92), (-0.24, 1.42), (-0.1, 1.54), (0.1, 1.54)]
        torso += [(0.24, 1.42), (0.19, 0.92)]
        stage.polygon(upright(x, z, torso), coat, BICYCLIST)
        for arm_side in (-1, 1):
            arm = [(x + arm_side * 0.24, 1.4, z), (x + arm_side * 0.3, 1.02, z)]
            stage.line(arm, 0.1, shade(coat, 0.85), BICYCLIST)
        head = (x, 1.66, z)
        lamp = TAIL_LIGHT if heading is Heading.AWAY else HEADLIGHT
        stage.lamp((x, 0.8, z), 0.06, lamp)
    stage.disc(head, 0.12, skin, BICYCLIST)
    top = (head[0], head[1] + 0.06, z)
    stage.disc(top, 0.13, helmet, BICYCLIST)


def _draw_crossing_bicycle(
    stage: Stage, x: float, z: float, coat: Colour, trousers: Colour
) -> None:
    frame = shade(coat, 0.6)
    for hub in (-0.52, 0.52):
        # Labels cover the whole wheel, as annotators draw it.
        centre = (x + hub, 0.34, z)
        stage.disc(centre, 0.35, TYRE, BICYCLIST, alpha=255)
        stage.disc(centre, 0.26, (104, 104, 106))
    for start, end in (
        ((-0.52, 0.34), (-0.2, 0.86)),
        ((-0.2, 0.86), (0.38, 0.84)),
        ((0.0, 0.3), (0.38, 0.84)),
        ((0.38, 0.98), (0.52, 0.34)),
    ):
        bar = [(x + start[0], start[1], z), (x + end[0], end[1], z)]
        stage.line(bar, 0.05, frame, BICYCLIST)
    for foot in (-0.02, 0.14):
        leg = [(x - 0.2, 0.92, z), (x + foot + 0.1, 0.62, z)]
        leg += [(x + foot, 0.22, z)]
        stage.line(leg, 0.14, trousers, BICYCLIST)
