import itertools

import numpy as np
import pytest

from wseg_tf.palettes import distance, palette, seen


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
