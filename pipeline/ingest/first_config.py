"""The first configuration of a folder: what a person would write, to edit."""

from __future__ import annotations

import json
import math
import os
from collections import Counter

from wseg_tf.data.discovery import Discovery, describe
from wseg_tf.data.discovery.text import critical_classes, summary
from wseg_tf.filesystems import is_remote

_LONGEST_SIDE, _MULTIPLE, _BATCH = 512, 32, 4
_TEXT = """\
# A first configuration of {path}:
# {summary}.
# Names, groups and critical classes are in {data}; edit them there, then:
#
#   wseg data check {path} --dataset {data}
#   wseg run {config}

name: {name}
root: runs

data:
  dataset: {dataset}
  path: {path}
  train: {train}
  eval: {eval}
{third}
training:
  model: enet
  # Images are resized to this; they are {height}x{width} (height x width).
  height: {small_height}
  width: {small_width}
  batch: {batch}
  seed: 0
  # D: losing a pixel costs the number of its class' group; taking it for
  # another class of its group, half of that. Other costs, one for each group
  # from the least important on: severities: [1, 2, 10].
  ground:
    preset: severity_aware
    within: 0.5
  augmentation: {{flip: 0.5, scale: [0.75, 1.5], brightness: 0.1}}
  stages:
    - name: pretrain
      loss: cross_entropy
      balance: logarithmic
      epochs: {epochs}
      learning_rate: 1.0e-3
    - name: fine-tune
      loss: mixture
      weight: 0.5
      balance: logarithmic
      epochs: {fine_epochs}
      learning_rate: 3.0e-4

# A model is pushed if every rule holds (docs/gate.md). These are a start: raise
# them to what your robot needs.
gate:
{shared}  rules:
    # Calling everything `{commonest}` reaches {constant:.3f}.
    - {{metric: mean_iou, floor: {floor:.2f}}}
    # No worse than the model that was pushed before.
    - {{metric: mean_iou, allowed_loss: 0.05}}
{critical}"""
_SHARED = """\
  # These drives are in both splits, which flatters a model: {drives}.
  allow_shared: [drive]
"""
_THIRD = """\
  # Nothing reads {unread}. Judge on images that chose nothing, where you choose
  # epochs or weights (training.select) by those of {eval}:
  # validation: {eval}
  # eval: {other}
"""
_CRITICAL = """\
    # Each class that must not be missed.
    - {{metric: iou/critical, floor: 0.05}}
    - {{metric: iou/critical, allowed_loss: 0.10}}
"""
_NO_CRITICAL = """\
    # With critical classes (`critical` in {data}), demand each of them:
    # - {{metric: iou/critical, floor: 0.05}}
    # - {{metric: iou/critical, allowed_loss: 0.10}}
"""
# Steps that a first training takes, about.
_STEPS, _LONGEST = 3000, 200
_HIGHEST_FLOOR = 0.95


def first_files(found: Discovery, out: str) -> dict[str, str]:
    """Returns the files that let a folder be checked and run.

    Args:
        found: What `discover` returned.
        out: Path of the configuration; the other lies beside it.

    Returns:
        Texts by path: the configuration and the description of the data.
    """
    data = f"{os.path.splitext(out)[0]}-data.yaml"
    return {
        out: _config(found, out, os.path.basename(data)),
        data: describe(found),
    }


def _config(found: Discovery, out: str, data: str) -> str:
    folder = found.folder
    path = folder if is_remote(folder) else os.path.abspath(folder)
    height, width = found.size
    small_height, small_width = _small(height, width)
    commonest, constant = _constant(found)
    images = sum(found.contents[found.train].sizes.values())
    epochs = math.ceil(_STEPS / max(1, images / _BATCH))
    epochs = min(max(epochs, 4), _LONGEST)
    shared = found.shared_drives
    critical = _CRITICAL if critical_classes(found) else _NO_CRITICAL
    return _TEXT.format(
        summary=summary(found),
        data=data,
        dataset=_quoted(data),
        config=os.path.basename(out),
        name=_quoted(found.name),
        path=_quoted(path),
        train=_quoted(found.train),
        eval=_quoted(found.eval),
        third=_third(found),
        height=height,
        width=width,
        small_height=small_height,
        small_width=small_width,
        batch=_BATCH,
        epochs=epochs,
        fine_epochs=epochs // 4,
        shared=_SHARED.format(drives=", ".join(shared)) if shared else "",
        commonest=commonest,
        constant=constant,
        floor=min(math.ceil(100 * constant + 1) / 100, _HIGHEST_FLOOR),
        critical=critical.format(data=data),
    )


def _quoted(text: str) -> str:
    """Returns a text as YAML reads it, whatever is in it."""
    return json.dumps(text, ensure_ascii=False)


def _third(found: Discovery) -> str:
    """Returns what a configuration says of the splits it leaves out."""
    own = (found.train, found.eval)
    unread = [_quoted(each) for each in found.contents if each not in own]
    if not unread:
        return ""
    return _THIRD.format(
        unread=", ".join(unread), eval=_quoted(found.eval), other=unread[0]
    )


def _small(height: int, width: int) -> tuple[int, int]:
    """Returns a size of the same shape that two cores can train at."""
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    return (
        max(_MULTIPLE, round(height * scale / _MULTIPLE) * _MULTIPLE),
        max(_MULTIPLE, round(width * scale / _MULTIPLE) * _MULTIPLE),
    )


def _constant(found: Discovery) -> tuple[str, float]:
    """Returns the commonest class, and the mean IoU of it everywhere."""
    pixels: Counter[str] = Counter()
    for value, count in found.contents[found.eval].pixels.items():
        name = found.meaning.names[value]
        if name in found.meaning.classes.names:
            pixels[name] += count
    name, count = pixels.most_common(1)[0]
    return name, count / sum(pixels.values()) / len(pixels)
