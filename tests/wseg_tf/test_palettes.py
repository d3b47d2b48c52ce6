import itertools
from typing import Any

import numpy as np
import pytest

from wseg_tf.classes import CAMVID, CLASS_SETS, class_set
from wseg_tf.palettes import (
    APART,
    CRITICAL_APART,
    Colour,
    distance,
    palette,
    seen,
    told_apart,
)


@pytest.mark.parametrize(("count", "least"), [(8, 30), (19, 18), (66, 8)])
def test_colours_are_apart_for_everybody(count: int, least: float) -> None:
    pairs = itertools.combinations(palette(count), 2)
    assert min(distance(*pair) for pair in pairs) > least


def test_cielab_is_that_of_the_standard() -> None:
    # Of sRGB's red, green and blue under D65 (Lindbloom's calculator).
    primaries = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255.0]])
    expected = [
        [53.24, 80.09, 67.20],
        [87.73, -86.18, 83.18],
        [32.30, 79.19, -107.86],
    ]
    np.testing.assert_allclose(seen(primaries)[:, 0], expected, atol=0.05)


def test_red_and_green_are_closer_to_dichromats() -> None:
    normal, other = seen(np.array([[200, 0, 0], [110, 110, 0.0]]))
    apart = np.linalg.norm(normal - other, axis=-1)
    assert apart[2] < apart[0] / 2  # deuteranopia
    assert distance((200, 0, 0), (110, 110, 0)) == pytest.approx(apart.min())


def test_there_are_as_many_as_can_be_told() -> None:
    with pytest.raises(ValueError, match="`count`"):
        palette(0)
    with pytest.raises(ValueError, match="`count`"):
        palette(2000)


def vienot(colour: Colour) -> np.ndarray[Any, Any]:
    """What a deuteranope sees, by Vienot, Brettel and Mollon (1999)."""
    linear = (np.array(colour) / 255) ** 2.2
    long, _, short = [
        [17.8824, 43.5161, 4.11935],
        [3.45565, 27.1554, 3.86714],
        [0.0299566, 0.184309, 1.46709],
    ] @ linear  # fmt: skip
    seen_middle = 0.494207 * long + 1.24827 * short
    found: np.ndarray[Any, Any] = [
        [0.0809444479, -0.130504409, 0.116721066],
        [-0.0102485335, 0.0540193266, -0.113614708],
        [-0.000365296938, -0.00412161469, 0.693511405],
    ] @ np.array([long, seen_middle, short])  # fmt: skip
    return 255 * found.clip(0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("name", CLASS_SETS)
def test_critical_classes_are_told_apart_whoever_looks(name: str) -> None:
    own = class_set(name)
    views = seen(np.array(own.drawn, np.float64))
    apart = np.linalg.norm(views[:, None] - views, axis=-1).min(axis=-1)
    np.fill_diagonal(apart, np.inf)
    critical = [own.index(each) for each in own.critical]
    assert apart[critical].min() >= CRITICAL_APART
    assert apart.min() >= APART
    # By another model of what is seen, nearly as much.
    simulated = np.array([vienot(colour) for colour in own.drawn])
    other = seen(simulated)[:, 0]
    between = np.linalg.norm(other[critical, None] - other, axis=-1)
    between[range(len(critical)), critical] = np.inf
    assert between.min() > 10


def test_pedestrian_and_building_were_alike_and_are_not() -> None:
    pair = [CAMVID.index("pedestrian"), CAMVID.index("building")]
    assert distance(*(CAMVID.colours[i] for i in pair)) < 7
    assert distance(*(CAMVID.drawn[i] for i in pair)) >= CRITICAL_APART


def test_colours_that_can_be_told_apart_stay() -> None:
    good = palette(19)
    assert told_apart(good, (3, 7)) == good
    changed = [
        name
        for name, own, drawn in zip(
            CAMVID.names, CAMVID.colours, CAMVID.drawn, strict=True
        )
        if own != drawn
    ]
    assert changed == ["building"]


def test_sets_that_differ_by_colours_alone_are_drawn_apart() -> None:
    # They are equal, so nothing may be remembered by set.
    rows = [{"name": "a", "group": 2}, {"name": "b", "colour": [9, 9, 200]}]
    one = class_set({"classes": rows})
    other = class_set(
        {"classes": [rows[0], {"name": "b", "colour": [200] * 3}]}
    )
    assert one == other
    assert one.drawn != other.drawn


def test_more_classes_than_colours_are_drawn_all_the_same() -> None:
    assert len(told_apart(((0, 0, 0),) * 1100, (7,))) == 1100
