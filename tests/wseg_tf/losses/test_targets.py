import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.losses.reduction import reduce
from wseg_tf.losses.targets import PixelLoss, flatten

LOGITS = np.zeros((1, 2, 2, 3), np.float32)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
@pytest.mark.parametrize("axis", [False, True])
def test_class_ids_are_read_from_the_shape_whatever_the_dtype(dtype, axis):
    labels = np.array([[[0, 2], [255, 1]]]).astype(dtype)
    labels = labels[..., None] if axis else labels
    pixels = flatten(labels, LOGITS, 255)
    assert pixels.labels.numpy().tolist() == [0, 2, 4, 1]
    assert pixels.valid.numpy().tolist() == [True, True, False, True]
    assert pixels.distributions is None
    assert pixels.shape.numpy().tolist() == [1, 2, 2]


@pytest.mark.parametrize("dtype", ["int32", "float16", "float32"])
def test_distributions_are_read_from_the_shape_whatever_the_dtype(dtype):
    target = np.zeros((1, 2, 2, 3))
    target[0, 0, 0, 1] = target[0, 1, 1, 0] = 1
    pixels = flatten(target.astype(dtype), LOGITS, 255)
    assert pixels.labels is None
    assert pixels.distributions.dtype == tf.float32
    assert pixels.valid.numpy().tolist() == [True, False, False, True]


def test_a_distribution_on_the_ignored_class_alone_is_void():
    target = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    target[1] = [0.5, 0.5, 0.0]
    pixels = flatten(target, np.zeros((3, 3)), ignore_class=0)
    assert pixels.valid.numpy().tolist() == [False, True, True]


def test_a_distribution_that_is_nan_is_not_void():
    target = np.full((1, 3), np.nan, np.float32)
    for run in (flatten, tf.function(flatten)):
        assert run(target, np.zeros((1, 3))).valid.numpy().tolist() == [True]


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        ((1, 2, 3), (1, 2, 2, 3)),
        ((1, 2, 2, 4), (1, 2, 2, 3)),
        ((2, 2), (1, 2, 2, 3)),
        ((4,), (4,)),
        ((4, 1), (4, 1)),
        ((), ()),
    ],
)
def test_shapes_that_do_not_fit_are_refused(labels, predictions):
    with pytest.raises(ValueError, match="Invalid shape for argument"):
        flatten(np.zeros(labels), np.zeros(predictions))


@pytest.mark.parametrize("bad", [3, -1, 254])
def test_a_label_nobody_knows_is_loud_everywhere(bad):
    labels = np.array([[[0, 2], [255, bad]]], np.int32)

    def run(labels, logits):
        pixels = flatten(labels, logits, 255)
        table = tf.constant([[0.0]] * 3 + [[np.nan], [0.0]])
        return reduce(pixels.look_up(table)[:, 0], pixels)

    with pytest.raises(ValueError, match=rf"Received: \[{bad}\]"):
        run(labels, LOGITS)
    said = rf"(?s)Invalid label.*Received:\D*{bad}\b"
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        tf.function(run)(tf.constant(labels), tf.constant(LOGITS))
    compiled = tf.function(run, jit_compile=True)
    assert np.isnan(compiled(tf.constant(labels), tf.constant(LOGITS)))


@pytest.mark.parametrize("void", [-1, 0, 2, 3, 255])
@pytest.mark.parametrize("jit", [False, True])
def test_any_label_can_be_the_ignored_one(void, jit):
    labels = np.array([[[0, 2], [void, 1]]], np.int32)
    run = tf.function(
        lambda labels: flatten(labels, LOGITS, void)[1:4:2], jit_compile=jit
    )
    given, valid = run(labels)
    expected = [4 if label == void else label for label in labels.ravel()]
    assert given.numpy().tolist() == expected
    assert valid.numpy().tolist() == [label != 4 for label in expected]


def test_void_without_an_ignored_class_is_a_bad_label():
    with pytest.raises(ValueError, match=r"ignore_class=None.*\[255\]"):
        flatten([[[0, 2], [255, 1]]], LOGITS)


@pytest.fixture
def pixels():
    return flatten([[[0, 2], [9, 1]]], LOGITS, 9)


LOSSES = tf.constant([1.0, 2.0, 100.0, 6.0])


def test_reductions_leave_void_out(pixels):
    assert float(reduce(LOSSES, pixels)) == 3.0
    assert float(reduce(LOSSES, pixels, reduction="sum")) == 9.0
    for none in ("none", None):
        losses = reduce(LOSSES, pixels, reduction=none)
        assert losses.numpy().tolist() == [[[1.0, 2.0], [0.0, 6.0]]]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (2.0, 6.0),
        ([2.0], 6.0),
        ([[[1.0, 0.0], [5.0, 0.5]]], 4 / 3),
        ([[[[1.0], [0.0]], [[5.0], [0.5]]]], 4 / 3),
    ],
)
def test_weights_are_by_pixel_image_or_batch(pixels, weight, expected):
    loss = reduce(LOSSES, pixels, np.array(weight, np.float32))
    assert float(loss) == pytest.approx(expected)


def test_weights_by_image_align_on_the_batch():
    pixels = flatten(np.zeros((2, 2), int), np.zeros((2, 2, 3)))
    losses = tf.constant([1.0, 1.0, 3.0, 3.0])
    weighted = reduce(losses, pixels, [1.0, 10.0], "none")
    assert weighted.numpy().tolist() == [[1.0, 1.0], [30.0, 30.0]]


def test_weights_of_too_many_axes_are_refused(pixels):
    with pytest.raises(ValueError, match="`sample_weight`"):
        reduce(LOSSES, pixels, np.ones((1, 2, 2, 3), np.float32))


def test_nan_in_void_does_not_spread(pixels):
    losses = tf.constant([1.0, 2.0, np.nan, 6.0])
    assert float(reduce(losses, pixels)) == 3.0


def test_a_batch_all_void_is_zero():
    pixels = flatten([[[9, 9], [9, 9]]], LOGITS, 9)
    assert float(reduce(LOSSES, pixels)) == 0.0


def test_an_unknown_reduction_is_refused(pixels):
    with pytest.raises(ValueError, match="`reduction`"):
        reduce(LOSSES, pixels, reduction="mean_of_means")
    with pytest.raises(ValueError, match="`reduction`"):
        PixelLoss(reduction="median")


@pytest.mark.parametrize("name", ["mean", "auto", "sum_over_batch_size"])
def test_keras_names_of_the_mean(pixels, name):
    assert float(reduce(LOSSES, pixels, 2.0, name)) == 6.0


def test_the_mean_by_weights(pixels):
    name = "mean_with_sample_weight"
    weight = np.float32([[[1.0, 0.0], [5.0, 3.0]]])
    found = float(reduce(LOSSES, pixels, weight, name))
    assert found == pytest.approx((1 + 3 * 6) / 4)
    assert float(reduce(LOSSES, pixels, None, name)) == 3.0
    assert float(reduce(LOSSES, pixels, 0 * weight, name)) == 0.0


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_weights_of_unknown_rank(pixels, rank):
    weight = tf.fill([1, 2, 2, 1][:rank], 2.0)
    spec = tf.TensorSpec(None)

    @tf.function(input_signature=[spec])
    def run(weight):
        return reduce(LOSSES, flatten([[[0, 2], [9, 1]]], LOGITS, 9), weight)

    assert float(run(weight)) == 6.0


UNKNOWN = [tf.TensorShape(None), [None] * 3, [None] * 4]


@pytest.mark.parametrize("shape", UNKNOWN)
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
def test_labels_of_unknown_shape(shape, dtype):
    labels = np.array([[[0, 2], [9, 1]]]).astype(dtype)
    if tf.TensorShape(shape).rank == 4:
        labels = labels[..., None]

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype)])
    def run(labels):
        pixels = flatten(labels, LOGITS, 9)
        if pixels.labels is None:
            return pixels.distributions, pixels.valid
        return tf.one_hot(tf.cast(pixels.labels, tf.int32), 3), pixels.valid

    shares, valid = run(labels)
    assert shares.numpy().tolist() == np.eye(5)[[0, 2, 4, 1], :3].tolist()
    assert valid.numpy().tolist() == [True, True, False, True]
    bad = labels.copy()
    bad.flat[0] = 7
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid label"):
        run(bad)


def test_distributions_of_unknown_shape():
    target = np.float32([[[[0, 0.5, 0.5], [1, 0, 0]], [[0, 0, 0], [0, 1, 0]]]])
    for shape in (None, [None] * 4):
        spec = tf.TensorSpec(shape, tf.float32)
        run = tf.function(
            lambda t: flatten(t, LOGITS)[2:4], input_signature=[spec]
        )
        shares, valid = run(target)
        assert shares.numpy().tolist() == target.reshape(4, 3).tolist()
        assert valid.numpy().tolist() == [True, True, False, True]


@pytest.mark.parametrize("shape", [(2, 1, 3), (3, 2, 1), (6,), (1, 6)])
def test_shapes_that_do_not_fit_when_a_graph_runs_are_refused(shape):
    logits = np.zeros((1, 2, 3, 4), np.float32)
    for labels in (None, [None] * len(shape)):
        if labels is not None and len(shape) != 3:
            continue
        signature = [
            tf.TensorSpec(labels, tf.int32),
            tf.TensorSpec([None, None, None, 4]),
        ]
        run = tf.function(lambda *a: flatten(*a)[1], input_signature=signature)
        assert run(np.zeros((1, 2, 3), np.int32), logits).shape == [6]
        with pytest.raises(tf.errors.InvalidArgumentError, match="`y_true`"):
            run(np.zeros(shape, np.int32), logits)
