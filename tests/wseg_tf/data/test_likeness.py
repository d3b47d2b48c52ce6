"""What is one picture to an eye is one, and what is another is another."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wseg_tf.data.likeness import find_alike
from wseg_tf.data.pairs import Pair
from wseg_tf.data.streets import draw_scene

NUMBER = 12


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [
        Image.fromarray(draw_scene(seed, 180, 240)[0]) for seed in range(NUMBER)
    ]


def written(
    folder: Path, pictures: list[Image.Image], **how: int
) -> list[Pair]:
    folder.mkdir()
    pairs = []
    for number, picture in enumerate(pictures):
        stream = io.BytesIO()
        picture.save(stream, "JPEG" if how else "PNG", **how)
        path = folder / f"{number}.png"
        path.write_bytes(stream.getvalue())
        pairs.append(Pair(str(number), str(path), "", "train", "A", "own"))
    return pairs


def test_an_image_is_known_again_whatever_it_was_saved_as(
    scenes: list[Image.Image], tmp_path: Path
) -> None:
    learned = written(tmp_path / "learned", scenes)
    half = [each.resize((120, 90), Image.Resampling.LANCZOS) for each in scenes]
    dark = [
        each.point([k * 9 // 10 for k in range(256)] * 3) for each in scenes
    ]
    for name, pictures, how in (
        ("again", scenes, {"quality": 50}),
        ("half", half, {"quality": 90}),
        ("dark", dark, {}),
    ):
        judged = written(tmp_path / name, pictures, **how)
        found = {a.name: b.name for a, b in find_alike(judged, learned)}
        assert found == {pair.name: pair.name for pair in judged}


def test_another_street_is_another_image(
    scenes: list[Image.Image], tmp_path: Path
) -> None:
    first = written(tmp_path / "first", scenes[: NUMBER // 2])
    others = written(tmp_path / "others", scenes[NUMBER // 2 :])
    assert [*find_alike(first, others, threads=2)] == []
    noise = np.random.default_rng(0).integers(0, 256, [90, 90, 3], np.uint8)
    own = written(tmp_path / "noise", [Image.fromarray(noise)])
    assert [*find_alike(own, first)] == []
