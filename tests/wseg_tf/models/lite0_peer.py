"""EfficientNet-Lite0 in PyTorch's own operations, and what it answers.

    python -m tests.wseg_tf.models.lite0_peer [WEIGHTS.pth]

Without weights it writes the fixtures of `data/`: small files of PyTorch in
both formats, and features of a network whose weights `state` draws, so that
tests need neither PyTorch nor ImageNet's weights. With a file it says by how
much our features differ from PyTorch's (both must be installed).
"""

import json
import sys
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
FEATURES = DATA / "lite0_features.json"
SIZE = (64, 96)
# Kernel, repeats, channels, expansion, stride of each stage.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
# The last block before each stride grows, from 0: P2, P3 and P4.
LEVELS = {2: "P2", 4: "P3", 10: "P4"}


def blocks():
    before = 32
    for kernel, repeats, channels, expansion, stride in STAGES:
        for place in range(repeats):
            yield kernel, before, channels, expansion, 1 if place else stride
            before = channels


def state(seed=0):
    """Draws weights by PyTorch's names; later layers depend on all before."""
    random = np.random.default_rng(seed)
    arrays = {}

    def convolution(name, *shape):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        arrays[f"{name}.weight"] = random.normal(0, scale, shape)

    def normalisation(name, channels):
        arrays[f"{name}.weight"] = random.uniform(0.7, 1.3, channels)
        arrays[f"{name}.bias"] = random.uniform(-0.3, 0.3, channels)
        arrays[f"{name}.running_mean"] = random.uniform(-0.2, 0.2, channels)
        arrays[f"{name}.running_var"] = random.uniform(0.5, 1.5, channels)
        arrays[f"{name}.num_batches_tracked"] = np.array(7)

    convolution("_conv_stem", 32, 3, 3, 3)
    normalisation("_bn0", 32)
    for place, (kernel, before, channels, expansion, _) in enumerate(blocks()):
        name, inner = f"_blocks.{place}", before * expansion
        if expansion > 1:
            convolution(f"{name}._expand_conv", inner, before, 1, 1)
            normalisation(f"{name}._bn0", inner)
        convolution(f"{name}._depthwise_conv", inner, 1, kernel, kernel)
        normalisation(f"{name}._bn1", inner)
        convolution(f"{name}._project_conv", channels, inner, 1, 1)
        normalisation(f"{name}._bn2", channels)
    convolution("_conv_head", 1280, 320, 1, 1)
    normalisation("_bn1", 1280)
    arrays["_fc.weight"] = random.normal(size=(1000, 1280))
    arrays["_fc.bias"] = random.normal(size=1000)
    return {
        name: array.astype("i8" if array.ndim == 0 else "f4")
        for name, array in arrays.items()
    }


def image():
    return np.random.default_rng(1).integers(0, 256, (1, *SIZE, 3), np.uint8)


def torch_features(tensors):
    """Runs the published network; its convolutions pad as TensorFlow's do."""
    import torch
    from torch.nn import functional

    def convolve(x, name, stride=1, groups=1):
        kernel = tensors[f"{name}.weight"]
        size = kernel.shape[-1]
        pad = []
        for length in (x.shape[3], x.shape[2]):
            whole = max((-(-length // stride) - 1) * stride + size - length, 0)
            pad += [whole // 2, whole - whole // 2]
        x = functional.pad(x, pad)
        return functional.conv2d(x, kernel, stride=stride, groups=groups)

    def normalise(x, name):
        mean, variance, weight, bias = (
            tensors[f"{name}.{each}"]
            for each in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, weight, bias, eps=1e-3)

    x = torch.tensor(image().transpose(0, 3, 1, 2).astype("f4"))
    x = convolve((x - 127) / 128, "_conv_stem", 2)
    x = functional.relu6(normalise(x, "_bn0"))
    found = {}
    for place, (_, before, channels, expansion, stride) in enumerate(blocks()):
        name, given = f"_blocks.{place}", x
        if expansion > 1:
            x = convolve(x, f"{name}._expand_conv")
            x = functional.relu6(normalise(x, f"{name}._bn0"))
        x = convolve(x, f"{name}._depthwise_conv", stride, x.shape[1])
        x = functional.relu6(normalise(x, f"{name}._bn1"))
        x = normalise(convolve(x, f"{name}._project_conv"), f"{name}._bn2")
        if stride == 1 and before == channels:
            x = x + given
        if place in LEVELS:
            found[LEVELS[place]] = x
    x = normalise(convolve(x, "_conv_head"), "_bn1")
    found["P5"] = functional.relu6(x)
    return {
        level: value.numpy().transpose(0, 2, 3, 1)
        for level, value in found.items()
    }


def our_features(path):
    """Returns the same of our network, once it has read a file."""
    import keras

    from wseg_tf.models import build, import_imagenet
    from wseg_tf.models.feature_pyramid import efficientnet_lite0

    model = build("fpn_efficientnet_lite0", 3)
    report = import_imagenet(model, path)
    levels = efficientnet_lite0().pyramid_level_inputs
    names = ("P2", "P3", "P4", "P5")
    encoder = keras.Model(
        model.input,
        [model.get_layer(f"encoder_{levels[name]}").output for name in names],
    )
    values = encoder(image(), training=False)
    return dict(zip(names, map(np.asarray, values), strict=True)), report


def some(values):
    """Chooses numbers that a wrong layer, order or padding would change."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // 12)][:12]


def write_fixtures():
    import torch

    tensors = {name: torch.tensor(array) for name, array in state().items()}
    found = torch_features(tensors)
    content = {
        level: {
            "mean": float(values.mean()),
            "deviation": float(values.std()),
            "some": [round(float(value), 6) for value in some(values)],
        }
        for level, values in found.items()
    }
    FEATURES.write_text(json.dumps(content, indent=1) + "\n")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) - 3.5
    kinds = {
        "module.rows": base[1:3],
        "module.turned": base.t(),
        "module.half": base[0].half(),
        "module.brain": base[0].bfloat16(),
        "module.double": base[0].double(),
        "module.long": torch.tensor([2**40, -1]),
        "module.bool": torch.tensor([True, False]),
        "module.scalar": torch.tensor(2.5),
    }
    for kind, is_zip in (("zip", True), ("legacy", False)):
        torch.save(
            {"epoch": 3, "state_dict": kinds},
            DATA / f"tensors_{kind}.pth",
            _use_new_zipfile_serialization=is_zip,
        )


def main():
    if len(sys.argv) < 2:
        write_fixtures()
        return
    import torch

    theirs = torch_features(torch.load(sys.argv[1], map_location="cpu"))
    ours, report = our_features(sys.argv[1])
    print(f"matched {len(report.matched)}, unused {report.unused}")
    for level, values in theirs.items():
        error = np.abs(ours[level] - values).max()
        print(f"{level}: {error:.1e} of {np.abs(values).max():.1e}")


if __name__ == "__main__":
    main()
