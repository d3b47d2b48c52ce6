"""Nothing of the size of an image is computed on the host of a GPU.

TensorFlow's wheels hold the kernels of GPUs, so that their registry tells, on
any machine, where each operation of a graph would run.
"""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from wseg_tf import losses
from wseg_tf.classes import CITYSCAPES
from wseg_tf.decisions import decide
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics.tensors import count_confusion
from wseg_tf.transport import products, soft

CLASSES = len(CITYSCAPES)
SHAPE = (2, 24, 32)
PIXELS = 2 * 24 * 32
OPTIONS = {"from_logits": True, "ignore_class": 255}
SEVERITY = GroundMatrix.severity_aware(CITYSCAPES)
LINE = GroundMatrix.from_line(np.arange(float(CLASSES)))
# Run by the runtime itself, wherever their tensors are.
ANYWHERE = {"If", "StatelessIf", "Placeholder"}

pytestmark = pytest.mark.skipif(
    not tf.test.is_built_with_cuda(), reason="TensorFlow without GPU kernels"
)


def host_operations(step, *arguments):
    """Returns the operations that a GPU leaves to the host, of any size."""
    graph = step.get_concrete_function(*arguments).graph
    graphs = [graph]
    found = []
    while graphs:
        graph = graphs.pop()
        graphs += [
            graph._get_function(name).graph
            for name in graph._functions
            if graph._get_function(name) is not None
        ]
        found += [each for each in graph.get_operations() if on_host(each)]
    return sorted({f"{each.type} of {each.name}" for each in found})


def on_host(operation):
    """Whether an operation reads or writes pixels in the host's memory."""
    definition = operation.op_def
    tensors = [*operation.inputs, *operation.outputs]
    arguments = [*definition.input_arg, *definition.output_arg]
    named = zip(tensors, names(arguments, operation), strict=True)
    large = {name for tensor, name in named if is_large(tensor)}
    if not large or operation.type in ANYWHERE:
        return False
    fit = [
        kernel
        for kernel in kernels.get_registered_kernels_for_op(
            operation.type
        ).kernel
        if kernel.device_type in ("GPU", "DEFAULT") and fits(kernel, operation)
    ]
    return all(large & set(kernel.host_memory_arg) for kernel in fit)


def names(arguments, operation):
    """Returns an argument's name for each tensor; a list has many."""
    found = []
    for argument in arguments:
        count = 1
        if argument.number_attr:
            count = operation.get_attr(argument.number_attr)
        elif argument.type_list_attr:
            count = len(operation.get_attr(argument.type_list_attr))
        found += [argument.name] * count
    return found


def is_large(tensor):
    """Whether a tensor has a number a pixel, or may have."""
    if tensor.dtype in (tf.resource, tf.variant):
        return False
    count = tensor.shape.num_elements()
    return count is None or count >= PIXELS


def fits(kernel, operation):
    """Whether a kernel takes the types of an operation."""
    return all(
        operation.node_def.attr[each.name].type in each.allowed_values.list.type
        for each in kernel.constraint
    )


def step_of(loss):
    @tf.function
    def step(y_true, y_pred):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred)
        return value, tape.gradient(value, y_pred)

    return step


ENTROPY = losses.CrossEntropyLoss(**OPTIONS)
WASSERSTEIN = losses.WassersteinLoss(SEVERITY, **OPTIONS)
OF_LABELS = {
    "wasserstein": WASSERSTEIN,
    "log link": losses.WassersteinLoss(SEVERITY, link="log", **OPTIONS),
    "cross-entropy": ENTROPY,
    "of probabilities": losses.CrossEntropyLoss(ignore_class=255),
    "weighted": losses.CrossEntropyLoss([2.0] * CLASSES, **OPTIONS),
    "mixture": losses.MixtureLoss([(1.0, ENTROPY), (0.2, WASSERSTEIN)]),
    "focal": losses.FocalLoss(**OPTIONS),
    "importance-aware": losses.ImportanceAwareLoss(CITYSCAPES, **OPTIONS),
    "dice": losses.WassersteinDiceLoss(SEVERITY, **OPTIONS),
    "lovasz": losses.LovaszSoftmaxLoss([2.0] * CLASSES, **OPTIONS),
    "lovasz by image": losses.LovaszSoftmaxLoss(by_image=True, **OPTIONS),
}
OF_DISTRIBUTIONS = {
    "tree": WASSERSTEIN,
    "star": losses.WassersteinLoss(
        GroundMatrix.importance_aware(CITYSCAPES), **OPTIONS
    ),
    "line": losses.WassersteinLoss(LINE, **OPTIONS),
    "cross-entropy": ENTROPY,
}
LOGITS = tf.TensorSpec([*SHAPE, CLASSES])


@pytest.mark.parametrize("dtype", [tf.int32, tf.uint8])
@pytest.mark.parametrize("name", OF_LABELS)
def test_losses_of_labels(name, dtype):
    step = step_of(OF_LABELS[name])
    assert host_operations(step, tf.TensorSpec(SHAPE, dtype), LOGITS) == []


@pytest.mark.parametrize("is_rounded", [False, True])
@pytest.mark.parametrize("name", OF_DISTRIBUTIONS)
def test_losses_of_distributions(name, is_rounded, monkeypatch):
    monkeypatch.setattr(products, "are_rounded", lambda: is_rounded)
    soft._compiled.cache_clear()
    step = step_of(OF_DISTRIBUTIONS[name])
    assert host_operations(step, LOGITS, LOGITS) == []
    soft._compiled.cache_clear()


@pytest.mark.parametrize("ground", [None, SEVERITY])
def test_confusion(ground):
    @tf.function
    def count(labels, logits, weight):
        return count_confusion(
            labels, decide(logits, ground), CLASSES, 255, weight
        )

    labels = tf.TensorSpec(SHAPE, tf.int32)
    assert host_operations(count, labels, LOGITS, tf.TensorSpec(SHAPE)) == []


def test_int32_is_found_on_the_host():
    @tf.function
    def shifted(labels):
        return labels + 1

    found = host_operations(shifted, tf.TensorSpec(SHAPE, tf.int32))
    assert found == ["AddV2 of add", "Identity of Identity"]
