from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = (6, 8)
FRAMES = {
    "train": ("A_1", "A_2", "A_3", "B_é 1", "B_2"),
    "val": ("C_1", "C [2]"),
}


@pytest.fixture
def street_folder(tmp_path: Path) -> Path:
    """CamVid's layout, in a path with spaces; no two frames are alike."""
    random = np.random.default_rng(0)
    folder = tmp_path / "mes données [1]"
    for split, names in FRAMES.items():
        for name in names:
            image = random.integers(0, 256, (*SIZE, 3), np.uint8)
            label = random.integers(0, 12, SIZE, np.uint8)
            label[0, 0] = 3
            for place, pixels in ((split, image), (f"{split}annot", label)):
                (folder / place).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / place / f"{name}.png")
    return folder
