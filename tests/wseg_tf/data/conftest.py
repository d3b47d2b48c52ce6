import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def make_png():
    """Writes a PNG of a value or of an array; makes its folders."""

    def write(path, pixels=0, size=(4, 6), mode="L"):
        pixels = np.asarray(pixels, np.uint8)
        if pixels.ndim == 0:
            pixels = np.full(size if mode == "L" else (*size, 3), pixels)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        return str(path)

    return write


@pytest.fixture
def camvid_folder():
    """The real CamVid beside the repository, where there is one."""
    folder = Path(__file__).parents[4] / "shared" / "data" / "camvid"
    if not folder.is_dir():
        pytest.skip("no CamVid in ../shared/data/camvid")
    return str(folder)
