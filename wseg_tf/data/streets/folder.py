"""Street scenes as a folder in CamVid's layout."""

from __future__ import annotations

import io
import json
import posixpath
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from wseg_tf.data.checks import DataError
from wseg_tf.data.streets.scene import draw_scene
from wseg_tf.filesystems import whole_folder
from wseg_tf.json_files import read_json

# Raise it when the same seed would draw another picture.
DRAWING = 1
DESCRIPTOR = "streets.json"
FRAMES_PER_DRIVE = 8

DEFAULT_COUNTS = {"train": 96, "val": 32}


def write_streets(
    folder: str,
    counts: Mapping[str, int] | None = None,
    size: tuple[int, int] = (180, 240),
    seed: int = 0,
    look: str = "day",
) -> str:
    """Writes street scenes as PNGs in CamVid's layout.

    `train/NAME.png` is an image, `trainannot/NAME.png` its class ids. A name
    is a drive and a frame, `S003_00027.png`, and no drive is in two splits.
    The folder appears whole or not at all, and is left alone when it holds
    the same scenes already.

    Args:
        folder: Where to write; must not exist, or be empty, or hold the same
            scenes.
        counts: Number of scenes per split. Defaults to 96 in `train` and 32
            in `val`. Changing one count leaves the scenes of the other splits
            as they are.
        size: Height and width of the images, pixels.
        seed: Another seed gives other scenes.
        look: `"day"` or `"dusk"`; both have the same labels.

    Returns:
        The folder.

    Raises:
        DataError: If the folder holds something else.
        ValueError: If a count is below 1, or an argument of `draw_scene` is
            out of its range.
    """
    import tensorflow as tf

    gfile = tf.io.gfile
    counts = dict(DEFAULT_COUNTS if counts is None else counts)
    for split, count in counts.items():
        if count < 1:
            raise ValueError(
                "Invalid value for argument `counts`. Expected at least 1 "
                f"scene in each split. Received: {split}={count}."
            )
    folder = folder.rstrip("/")
    descriptor = {
        "drawing": DRAWING,
        "counts": counts,
        "size": list(size),
        "seed": seed,
        "look": look,
    }
    if gfile.exists(folder) and gfile.listdir(folder):
        _check_same(folder, descriptor)
        return folder
    with whole_folder(folder) as unfinished:
        for split in counts:
            gfile.makedirs(posixpath.join(unfinished, split))
            gfile.makedirs(posixpath.join(unfinished, f"{split}annot"))
        for split, name, drive, scene in _frames(counts, seed):
            image, labels = draw_scene(scene, *size, look=look, drive=drive)
            for place, pixels in ((split, image), (f"{split}annot", labels)):
                path = posixpath.join(unfinished, place, name)
                with gfile.GFile(path, "wb") as file:
                    file.write(_png(pixels))
        path = posixpath.join(unfinished, DESCRIPTOR)
        with gfile.GFile(path, "w") as file:
            file.write(json.dumps(descriptor, indent=2) + "\n")
    return folder


def _frames(
    counts: Mapping[str, int], seed: int
) -> Iterator[tuple[str, str, int, int]]:
    """Yields split, file name, drive seed and scene seed of every frame."""
    drives = 0
    for split, count in counts.items():
        # At least two drives in a split, so that it can be split by drive.
        length = min(FRAMES_PER_DRIVE, max(1, (count + 1) // 2))
        for index in range(count):
            key = [seed, zlib.crc32(split.encode()), index // length]
            drive = _number(key)
            name = f"S{drives + index // length:03d}_{index:05d}.png"
            yield split, name, drive, _number([*key, index])
        drives += -(-count // length)


def _number(key: list[int]) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def _check_same(folder: str, descriptor: Mapping[str, object]) -> None:
    import tensorflow as tf

    gfile = tf.io.gfile
    path = posixpath.join(folder, DESCRIPTOR)
    if not gfile.exists(path):
        raise DataError(
            f"{folder} is not empty and holds no {DESCRIPTOR}. Expected a new "
            "or an empty folder, or one that holds these street scenes."
        )
    found = read_json(path, dict[str, Any])
    for key, expected in descriptor.items():
        if found.get(key) != expected:
            raise DataError(
                f"{folder} holds other street scenes. Expected "
                f"{key}={expected}. Found: {key}={found.get(key)}. Choose "
                "another folder, or delete this one."
            )


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
