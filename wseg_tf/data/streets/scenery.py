"""The still parts of a street: ground, buildings, fences, trees, poles."""

from __future__ import annotations

from wseg_tf.classes import Colour
from wseg_tf.data.streets.stage import (
    BUILDING,
    FENCE,
    NEAREST,
    POLE,
    ROAD,
    SIDEWALK,
    SIGN,
    TREE,
    Stage,
    face,
    ground,
    shade,
    shift,
    upright,
    wall,
)

FAR = 140.0  # metres; where the street ends

# Facades share their colours with poles, fences and clothes.
FACADES: tuple[Colour, ...] = (
    (138, 92, 74),
    (158, 128, 100),
    (176, 160, 136),
    (122, 116, 112),
    (196, 188, 172),
    (104, 82, 76),
)
SHOPS: tuple[Colour, ...] = (
    (150, 44, 40),
    (34, 70, 124),
    (40, 104, 74),
    (196, 164, 70),
    (70, 62, 66),
)
LEAVES: tuple[Colour, ...] = ((72, 92, 48), (88, 104, 56), (98, 96, 62))
BARK: tuple[Colour, ...] = ((84, 70, 58), (104, 94, 84))
METAL: tuple[Colour, ...] = ((96, 98, 100), (136, 138, 138), (70, 72, 74))
GLASS: tuple[Colour, ...] = ((58, 66, 78), (92, 104, 118), (44, 48, 56))
SIGNS: tuple[Colour, ...] = (
    (190, 44, 42),
    (36, 80, 160),
    (214, 184, 60),
    (226, 224, 218),
    (44, 118, 76),
)
LAMP_LIGHT: Colour = (255, 214, 150)


def draw_skyline(stage: Stage) -> None:
    """Draws what stands at the end of the street."""
    x = -FAR
    while x < FAR:
        width = stage.uniform(10, 26)
        if stage.chance(0.5):
            high = stage.uniform(6, 20)
            colour = stage.choose(FACADES)
            box = face((x, x + width), FAR + 20, (0, high))
            stage.polygon(box, colour, BUILDING)
        else:
            for _ in range(4):
                centre = (x + stage.uniform(0, width), 3.0, FAR + 20)
                colour = stage.choose(LEAVES)
                stage.disc(centre, stage.uniform(4, 8), colour, TREE)
        x += width


def draw_ground(
    stage: Stage, road: tuple[float, float], pavement: float
) -> None:
    """Draws road, markings and a pavement on either side.

    Args:
        stage: Where to draw.
        road: x of the left and the right kerb, metres.
        pavement: Width of the pavements, metres.
    """
    grey = stage.uniform(72, 110)
    asphalt = shift((int(grey), int(grey), int(grey + 4)), 0)
    warm = int(grey + stage.uniform(12, 46))
    paving = (warm, int(warm * 0.97), int(warm * 0.91))
    depth = (NEAREST, FAR + 20)
    stage.polygon(ground((-400, 400), depth), shift(paving, -8), SIDEWALK)
    left, right = road
    stage.polygon(ground(road, depth), asphalt, ROAD)
    for kerb, outwards in ((left, -1), (right, 1)):
        edge = sorted((kerb, kerb + outwards * 0.18))
        stage.polygon(
            ground((edge[0], edge[1]), depth), shift(paving, 26), SIDEWALK
        )
        for joint in range(3, 40, 2):
            ends = [(kerb, 0, joint), (kerb + outwards * pavement, 0, joint)]
            stage.line(ends, 0.04, shift(paving, -22), alpha=150)
        along = kerb + outwards * pavement / 2
        lengthwise = [(along, 0.0, NEAREST), (along, 0.0, 60.0)]
        stage.line(lengthwise, 0.02, shift(paving, -22), alpha=150)
    for _ in range(int(stage.random.integers(1, 5))):
        x, z = stage.uniform(left, right - 1), stage.uniform(4, 30)
        patch = ground((x, x + stage.uniform(0.5, 2.5)), (z, z * 1.3))
        stage.polygon(patch, shift(asphalt, stage.uniform(-24, 16)), alpha=160)
    _draw_markings(stage, road)


def _draw_markings(stage: Stage, road: tuple[float, float]) -> None:
    left, right = road
    paint = shift((206, 206, 200), stage.uniform(-30, 20))
    middle = (left + right) / 2
    start = stage.uniform(1.5, 6)
    for dash in range(12):
        z = start + dash * 6
        stripe = ground((middle - 0.07, middle + 0.07), (z, z + 2.6))
        stage.polygon(stripe, paint, alpha=210)
    if stage.chance(0.5):
        yellow = (188, 164, 84)
        for x in (left + 0.3, right - 0.45):
            edge = ground((x, x + 0.12), (NEAREST, 70))
            stage.polygon(edge, yellow, alpha=180)
    if stage.chance(0.25):
        z = stage.uniform(7, 18)
        x = left + 0.3
        while x < right - 0.6:
            bar = ground((x, x + 0.5), (z, z + 2.6))
            stage.polygon(bar, paint, alpha=200)
            x += 1.0


def draw_side_road(
    stage: Stage, kerb: float, side: int, z: tuple[float, float]
) -> None:
    """Draws a road that joins from one side (-1 left, 1 right)."""
    ends = sorted((kerb - side * 0.1, side * 60.0))
    asphalt = stage.choose([(100, 100, 104)])
    stage.polygon(ground((ends[0], ends[1]), z), asphalt, ROAD)


def draw_building(
    stage: Stage,
    x: float,
    side: int,
    z: tuple[float, float],
    high: float,
    sunny: float,
) -> None:
    """Draws a house whose facade lines the street.

    Args:
        stage: Where to draw.
        x: x of the facade, metres.
        side: -1 left of the street, 1 right.
        z: Near and far end of the facade, metres.
        high: Height, metres.
        sunny: Brightness of the facade, a factor.
    """
    near, far = z
    colour = shade(stage.choose(FACADES), sunny)
    ends = sorted((x, x + side * 12.0))
    gable = face((ends[0], ends[1]), near, (0, high))
    stage.polygon(gable, shade(colour, 0.84), BUILDING)
    if stage.chance(0.4):
        ridge = high + stage.uniform(1, 2.5)
        roof = [(x, high, near), (x, high, far)]
        roof += [(x + side * 4, ridge, far), (x + side * 4, ridge, near)]
        stage.polygon(roof, shade((120, 84, 74), sunny), BUILDING)
        peak = [(x, high, near), (x + side * 4, ridge, near)]
        peak += [(x + side * 8, high, near)]
        stage.polygon(peak, shade(colour, 0.8), BUILDING)
    stage.polygon(wall(x, z, (0, high)), colour, BUILDING)
    cornice = wall(x, z, (high - 0.35, high))
    stage.polygon(cornice, shift(colour, 24))
    floor, bay = stage.uniform(2.8, 3.4), stage.uniform(2.2, 3.2)
    glass = stage.choose(GLASS)
    shop = stage.chance(0.5)
    for storey in range(1 if shop else 0, int(high / floor)):
        low = storey * floor + 0.9
        for window in range(int((far - near) / bay)):
            start = near + window * bay + 0.6
            if start < NEAREST:
                continue
            pane = wall(x, (start, start + bay * 0.5), (low, low + 1.5))
            stage.polygon(pane, shade(glass, sunny))
            if stage.chance(0.3):
                stage.lit(pane, (220, 170, 96))
    if shop:
        front = wall(x, (near + 0.3, far - 0.3), (0.5, 2.3))
        stage.polygon(front, shade(stage.choose(GLASS), sunny))
        if stage.chance(0.6):
            stage.lit(front, (150, 124, 84))
        board = wall(x, (near + 0.2, far - 0.2), (2.4, 3.0))
        stage.polygon(board, shade(stage.choose(SHOPS), sunny))


def draw_fence(
    stage: Stage, x: float, z: tuple[float, float], high: float
) -> None:
    """Draws railings or a wooden fence along the street."""
    near, far = z
    railings = stage.chance(0.6)
    colour = stage.choose(METAL if railings else FACADES)
    panel = wall(x, z, (0, high))
    if railings:
        stage.polygon(panel, shift(colour, 30), FENCE, alpha=110)
    else:
        stage.polygon(panel, colour, FENCE)
    step = 0.5 if railings else 0.9
    posts = min(40, int((far - near) / step))
    for post in range(posts):
        foot = near + post * step
        ends = [(x, 0.0, foot), (x, high, foot)]
        stage.line(ends, 0.05, shift(colour, -26))
    for rail in (high * 0.12, high * 0.97):
        bar = wall(x, z, (rail - 0.04, rail + 0.04))
        stage.polygon(bar, shift(colour, -26))


def draw_tree(stage: Stage, x: float, z: float, high: float) -> None:
    """Draws a tree: trunk and a crown of leaves, or bare branches."""
    bark = stage.choose(BARK)
    crown = high * stage.uniform(0.28, 0.36)
    middle = high - crown
    stage.line([(x, 0, z), (x, middle, z)], high * 0.035, bark, TREE)
    bare = stage.chance(0.25)
    leaves = bark if bare else stage.choose(LEAVES)
    for blob in range(13):
        centre = (
            x + stage.uniform(-0.8, 0.8) * crown,
            middle + stage.uniform(-0.75, 0.7) * crown,
            z,
        )
        lighter = shift(leaves, blob * 2.5 - 18 + stage.uniform(-9, 9))
        radius = crown * stage.uniform(0.3, 0.5)
        alpha = 130 if bare else 255
        stage.disc(centre, radius, lighter, TREE, alpha)
    if bare:
        for _ in range(12):
            tip = x + stage.uniform(-1, 1) * crown
            top = middle + stage.uniform(-0.2, 0.9) * crown
            twig = [(x, middle * 0.8, z), (tip, top, z)]
            stage.line(twig, 0.06, shift(bark, -20))


def draw_lamp_post(stage: Stage, x: float, z: float, side: int) -> None:
    """Draws a street lamp whose arm reaches over the road."""
    metal = stage.choose(METAL)
    high = stage.uniform(5.5, 8)
    thick = stage.uniform(0.13, 0.2)
    stage.line([(x, 0, z), (x, high, z)], thick, metal, POLE)
    tip = x - side * 1.3
    stage.line([(x, high, z), (tip, high + 0.2, z)], 0.1, metal, POLE)
    stage.lamp((tip, high + 0.1, z), 0.22, LAMP_LIGHT)


def draw_sign(stage: Stage, x: float, z: float) -> None:
    """Draws a traffic sign on its post, from its front or its back."""
    metal = stage.choose(METAL)
    high = stage.uniform(2.2, 3.0)
    stage.line([(x, 0, z), (x, high, z)], 0.09, metal, POLE)
    colour = stage.choose(SIGNS)
    inner = shift((216, 214, 208), stage.uniform(-16, 16))
    if stage.chance(0.2):
        colour, inner = shift(metal, 22), shift(metal, 30)
    size = stage.uniform(0.36, 0.52)
    shape = int(stage.random.integers(3))
    if shape == 0:
        stage.disc((x, high, z), size, colour, SIGN)
        stage.disc((x, high, z), size * 0.62, inner)
    elif shape == 1:
        triangle = [(-size, -size * 0.7), (0, size), (size, -size * 0.7)]
        raised = [(across, high + up) for across, up in triangle]
        stage.polygon(upright(x, z, raised), colour, SIGN)
        core = [(across * 0.5, high + up * 0.5) for across, up in triangle]
        stage.polygon(upright(x, z, core), inner)
    else:
        wide, tall = size * stage.uniform(0.9, 1.7), size
        board = face((x - wide, x + wide), z, (high - tall, high + tall))
        stage.polygon(board, colour, SIGN)
        text = face((x - wide * 0.7, x + wide * 0.7), z, (high, high + 0.14))
        stage.polygon(text, inner)


def draw_traffic_light(stage: Stage, x: float, z: float) -> None:
    """Draws a traffic light; like the published labels, a sign."""
    stage.line([(x, 0, z), (x, 2.6, z)], 0.13, (62, 64, 66), POLE)
    box = face((x - 0.2, x + 0.2), z, (2.4, 3.4))
    stage.polygon(box, (34, 34, 36), SIGN)
    shining = int(stage.random.integers(3))
    colours: tuple[Colour, ...] = ((222, 50, 40), (224, 160, 40), (60, 200, 90))
    for light, colour in enumerate(colours):
        centre = (x, 3.2 - light * 0.3, z)
        on = light == shining
        stage.disc(centre, 0.11, colour if on else shade(colour, 0.3))
        if on:
            stage.lamp(centre, 0.13, colour)
