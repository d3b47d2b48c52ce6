"""README's lines of Keras train as they are written, on Keras 2 and 3."""

import re
from pathlib import Path

import keras
import numpy as np

README = Path(__file__).parents[2] / "README.md"


def test_the_three_lines_train() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (lines,) = (block for block in blocks if "model.compile(" in block)
    keras.utils.set_random_seed(0)
    layers = [keras.Input([8, 8, 3]), keras.layers.Conv2D(11, 1)]
    model = keras.Sequential(layers)
    exec(lines, {"model": model})
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 12, [4, 8, 8])  # 11 is void.
    images = np.eye(12, 3)[labels].astype("float32")
    history = model.fit(images, labels, epochs=20, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < history[0]
