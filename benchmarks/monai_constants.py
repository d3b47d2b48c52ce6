"""Prints MONAI's values for tests/wseg_tf/losses/test_dice.py.

.venv-peers/bin/python -m benchmarks.monai_constants
"""

import monai
import numpy as np
import torch

random = np.random.default_rng(7)
labels = random.integers(0, 4, (3, 5, 6))
logits = random.normal(size=(3, 5, 6, 4)).astype(np.float32)
# Every other class is as far from class 0 as can be: there MONAI's background
# term, which takes 1 for D[truth, 0], is the paper's. It scales D to 1 itself.
ground = np.array([[0, 5, 5, 5], [5, 0, 2, 3], [5, 2.5, 0, 1], [5, 4, 1.5, 0]])

loss = monai.losses.GeneralizedWassersteinDiceLoss(ground, reduction="none")
values = loss(
    torch.from_numpy(logits).movedim(-1, 1), torch.from_numpy(labels)[:, None]
)
print(monai.__version__, [round(float(value), 7) for value in values])
