import io
import re

import keras
import numpy as np
from rich.console import Console

from pipeline.commands.progress import ProgressBar
from wseg_tf.training.observers import Epoch, Plan


def test_the_bar_shows_loss_and_iou_where_it_was_left() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    bar = ProgressBar(console)
    plan = Plan("tune (2/2)", "mixture", epochs=3, steps=4, epoch=1, step=2,
                rows=[])  # fmt: skip
    bar.begin(plan)
    bar.step(3, 0.5)
    bar.step(4, 0.25)
    row = {"loss": 0.375, "mean_iou": 0.5, "critical_iou": 0.125}
    model = keras.Sequential()
    bar.epoch(Epoch(plan, 2, row, [row], np.eye(11, dtype=int), model, False))
    bar.step(1, 0.75)
    bar.end()
    # What stands on the screen at the end, without colours.
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    last = [line for line in shown.splitlines() if line.strip()][-1]
    assert "tune (2/2)" in last
    assert "9/12" in last
    assert "epoch 3/3 loss 0.7500, mIoU 0.500, critical 0.125" in last
