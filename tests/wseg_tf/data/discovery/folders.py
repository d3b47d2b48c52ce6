"""Folders of images and labels, laid out in many ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = (12, 16)
Ids = npt.NDArray[np.int64]


def photograph(path: Path, seed: int = 0, size: tuple[int, ...] = SIZE) -> Path:
    """Writes noise, which no label is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def areas(*values: int) -> Ids:
    """Returns stripes of each value, of different heights."""
    rows = np.repeat(values, [1 + k % 3 for k in range(len(values))])
    height = max(SIZE[0], len(rows))
    padded = np.concatenate([rows, np.full(height - len(rows), values[0])])
    return np.repeat(padded[:, None], SIZE[1], axis=1)


def ids(path: Path, values: Ids) -> Path:
    """Writes ids as a grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint8 if values.max() < 256 else np.uint16
    Image.fromarray(values.astype(kind)).save(path)
    return path


def with_palette(
    path: Path, values: Ids, palette: list[tuple[int, ...]]
) -> Path:
    """Writes ids as a PNG with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values.astype(np.uint8), mode="P")
    picture.putpalette([channel for colour in palette for channel in colour])
    picture.save(path)
    return path


def painted(path: Path, values: Ids, palette: list[tuple[int, ...]]) -> Path:
    """Writes the colours of ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(palette, np.uint8)[values]).save(path)
    return path
