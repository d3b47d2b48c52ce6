"""Photographs of real size, for `benchmarks.sizing`: frames of CamVid enlarged.

python -m benchmarks.photographs CAMVID OUT [--count 8]

Frames of 480x360 are cropped to 2:1 and enlarged to 2048x1024 by cubic splines,
their labels by the nearest pixel. An enlarged frame is smoother than a camera's
and its PNG smaller: normal noise is added to each pixel, as much as makes a PNG
of 2.3 MB, the mean of Cityscapes'. `OUT` is in CamVid's layout, as `val`.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 2048, 1024
MEGABYTES = 2.3
NOISE = 8.0  # The most that is tried, of 255.
_STEPS = 6


def enlarge(path: Path, method: Image.Resampling) -> Image.Image:
    """Returns the middle of an image, of half its width in height, enlarged.

    Args:
        path: The image.
        method: How pixels between are found.
    """
    with Image.open(path) as image:
        width, height = image.size
        top = (height - width // 2) // 2
        box = 0, top, width, top + width // 2
        return image.crop(box).resize(SIZE, method)


def photograph(image: Image.Image, seed: int) -> bytes:
    """Returns a PNG of about `MEGABYTES` of an image with noise.

    Args:
        image: The image.
        seed: Draws the noise.
    """
    pixels = np.asarray(image.convert("RGB"), np.float32)
    noise = np.random.default_rng(seed).normal(size=pixels.shape)
    least, most, content = 0.0, NOISE, b""
    for _ in range(_STEPS):
        amount = (least + most) / 2
        noisy = np.clip(np.rint(pixels + amount * noise), 0, 255)
        file = io.BytesIO()
        Image.fromarray(noisy.astype(np.uint8)).save(file, "PNG")
        content = file.getvalue()
        if len(content) < MEGABYTES * 1e6:
            least = amount
        else:
            most = amount
    return content


def main() -> None:
    """Writes the photographs and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    frames = sorted((options.camvid / "val").glob("*.png"))
    for part in ("val", "valannot"):
        (options.out / part).mkdir(parents=True)
    sizes = []
    # Of all the drive, not neighbours.
    for k in range(options.count):
        frame = frames[k * len(frames) // options.count]
        label = options.camvid / "valannot" / frame.name
        content = photograph(enlarge(frame, Image.Resampling.BICUBIC), k)
        (options.out / "val" / frame.name).write_bytes(content)
        own = enlarge(label, Image.Resampling.NEAREST)
        own.save(options.out / "valannot" / frame.name)
        sizes.append(len(content) / 1e6)
    print(f"{len(sizes)} PNGs of {min(sizes):.2f} to {max(sizes):.2f} MB")


if __name__ == "__main__":
    main()
