"""How a street is lit: by day, or at dusk. Labels do not depend on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from wseg_tf.data.streets.stage import (
    BUILDING,
    FENCE,
    ROAD,
    SIDEWALK,
    SKY_BASE,
    TREE,
    VOID,
    Stage,
)

Pixels = npt.NDArray[np.float32]

LOOKS = ("day", "dusk")


def light(
    stage: Stage,
    labels: npt.NDArray[np.uint8],
    look: str,
    rig: np.random.Generator,
    frame: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Returns the image of a painted stage under a light.

    Args:
        stage: The painted stage.
        labels: Its class ids, `[H, W]`: each class has its texture.
        look: `"day"` or `"dusk"`.
        rig: Varies what a drive's frames share: weather, white balance.
        frame: Varies what each frame has of its own: clouds, noise.

    Returns:
        The image, uint8 `[H, W, 3]`.
    """
    image = stage.image() * _texture(labels, frame)[..., None]
    brightness = np.float32(rig.uniform(0.86, 1.12))
    balance = rig.uniform(0.95, 1.05, 3).astype(np.float32)
    overcast = np.float32(rig.random())
    noise = np.float32(rig.uniform(1.5, 4.0))
    blur = float(rig.uniform(0.0, 0.5))
    sky = stage.sky_share()[..., None]
    horizon = stage.camera.horizon / 2 / stage.size[0]
    clouds = _coarse(stage.size, 6, frame)[..., None]
    if look == "day":
        above = _sky_by_day(stage.size, horizon, overcast) + 16 * clouds
        image = image + sky * (above - _colour(SKY_BASE))
        image = image * brightness * balance
    else:
        above = _sky_at_dusk(stage.size, horizon) + 12 * clouds
        ground = _darken(image, stage.size, horizon)
        image = ground * (1 - sky) + sky * (above * np.float32(0.9))
        image = image * (0.8 + 0.25 * brightness) * balance
        image = image + _lamplight(stage.lamps())
        noise = noise + 5
    grain = frame.standard_normal(image.shape, np.float32)
    finished = _to_bytes(image + noise * grain)
    if blur > 0.15:
        soft = Image.fromarray(finished).filter(ImageFilter.GaussianBlur(blur))
        finished = np.asarray(soft, np.uint8)
    return finished


def _texture(
    labels: npt.NDArray[np.uint8], random: np.random.Generator
) -> Pixels:
    """Returns factors about 1: rough leaves, grainy asphalt, flat glass."""
    fine = np.full(256, 0.03, np.float32)
    fine[[TREE, FENCE, ROAD, SIDEWALK]] = (0.15, 0.06, 0.022, 0.03)
    coarse = np.full(256, 0.04, np.float32)
    coarse[[TREE, BUILDING, ROAD, VOID]] = (0.1, 0.04, 0.025, 0.0)
    grain = random.standard_normal(labels.shape, np.float32)
    stains = _coarse((labels.shape[0], labels.shape[1]), 12, random)
    return np.float32(1) + fine[labels] * grain + coarse[labels] * stains


def _coarse(
    size: tuple[int, int], cells: int, random: np.random.Generator
) -> Pixels:
    """Returns smooth noise of about unit size, `[H, W]`."""
    grid = random.standard_normal((cells, cells), np.float32)
    height, width = size
    smooth = Image.fromarray(grid).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(smooth, np.float32)


def _rise(size: tuple[int, int], horizon: float) -> Pixels:
    """Returns height above the horizon, `[H, 1, 1]`: 0 there, 1 at the top."""
    rows = (np.arange(size[0], dtype=np.float32) + 0.5) / size[0]
    rise = np.clip((horizon - rows) / horizon, 0, 1)
    return rise[:, None, None].astype(np.float32)


def _sky_by_day(
    size: tuple[int, int], horizon: float, overcast: np.float32
) -> Pixels:
    rise = _rise(size, horizon)
    clear = _colour((224, 232, 238)) * (1 - rise)
    clear = clear + _colour((120, 166, 218)) * rise
    cloudy = _colour((222, 224, 226)) - 22 * rise
    sky: Pixels = clear * (1 - overcast) + cloudy * overcast
    return sky


def _sky_at_dusk(size: tuple[int, int], horizon: float) -> Pixels:
    rise = np.sqrt(_rise(size, horizon))
    low, high = _colour((236, 150, 92)), _colour((52, 58, 104))
    sky: Pixels = low * (1 - rise) + high * rise
    return sky


def _darken(image: Pixels, size: tuple[int, int], horizon: float) -> Pixels:
    """Takes most light and contrast away; what is left is blue, or amber."""
    grey = image.mean(axis=-1, keepdims=True)
    muted = grey + 0.6 * (image - grey)
    amber = np.exp(-5 * _rise(size, horizon))
    cast = _colour((0.36, 0.37, 0.48)) * (1 - 0.45 * amber)
    cast = cast + _colour((0.42, 0.32, 0.26)) * (0.45 * amber)
    lifted: Pixels = muted * cast + _colour((12, 11, 17))
    return lifted


def _lamplight(lamps: Image.Image) -> Pixels:
    """Returns the lamps with a halo around each, `[H, W, 3]`."""
    sharp = np.asarray(lamps, np.float32)
    radius = max(1.0, lamps.height / 60)
    halo = lamps.filter(ImageFilter.GaussianBlur(radius))
    return 0.72 * sharp + 1.1 * np.asarray(halo, np.float32)


def _colour(channels: tuple[float, float, float]) -> Pixels:
    return np.array(channels, np.float32)


def _to_bytes(image: Pixels) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
