"""Labels of every dtype are read exactly; what is no class is refused."""

import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.class_ids import checked_void, read_ids, refuse_unknown

DTYPES = [
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"),
    *("uint64", "float16", "bfloat16", "float32", "float64"),
]
# Of three classes: labels that are none, as wide as each dtype can hold them.
BAD = {
    "int8": [3, -1, -128],
    "uint8": [3, 255],
    "int32": [3, -1, 2**31 - 1, -(2**31)],
    "uint32": [3, 2**32 - 1, 2**31],
    "int64": [3, -1, 2**32, 2**32 + 2, -(2**63), 2**63 - 1],
    "uint64": [3, 2**32 + 1, 2**63, 2**64 - 1],
    "float16": [0.5, np.nan, np.inf, -1.0],
    "float32": [1.5, np.nan, -np.inf, 3.0, 1e30, -0.25],
    "float64": [2 + 1e-9, np.nan, np.inf, 2.0**32, -(2.0**63)],
}
CASES = [(dtype, label) for dtype, labels in BAD.items() for label in labels]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_reads_alike(dtype):
    labels = tf.cast(tf.constant([[0, 2], [9, 1]]), dtype)
    assert read_ids(labels, 3, 9).numpy().tolist() == [[0, 2], [4, 1]]
    assert read_ids(labels, 3, 2).numpy().tolist() == [[0, 4], [3, 1]]


def test_booleans_are_classes_0_and_1():
    assert read_ids(tf.constant([True, False]), 2).numpy().tolist() == [1, 0]


@pytest.mark.parametrize(("dtype", "label"), CASES)
@pytest.mark.parametrize("void", [None, 255, -1, 0])
def test_a_label_that_is_no_class_is_unknown(dtype, label, void):
    if label == void:
        pytest.skip("void")
    labels = tf.constant(np.array([1, label], dtype))
    for jit in (False, True):
        run = tf.function(lambda y: read_ids(y, 3, void), jit_compile=jit)
        assert run(labels).numpy().tolist() == [1, 3]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array([0, 2**32 + 2, 7]), r"\[4294967298, 7\]"),
        (np.array([np.nan, 1, 0.5]), r"\[nan, 0.5\]"),
        (np.array([1, -3], np.int32), r"\[-3\]"),
    ],
)
def test_what_is_refused_is_shown_as_it_came(labels, said):
    def run(labels):
        return refuse_unknown(labels, read_ids(labels, 3, 255), 3, 255)

    with pytest.raises(ValueError, match=f"ignore_class=255.*Received: {said}"):
        run(tf.constant(labels))
    first = said[2:-2].split(",")[0]
    with pytest.raises(tf.errors.InvalidArgumentError, match=first):
        tf.function(run)(tf.constant(labels))


def test_texts_are_no_labels():
    with pytest.raises(ValueError, match=r"`y_true`.*dtype=string"):
        read_ids(tf.constant(["car"]), 3)


@pytest.mark.parametrize(
    "given", [255.0, "255", [2, 255], True, 2**31, float("nan"), b"255"]
)
def test_what_is_no_void_label_is_refused(given):
    with pytest.raises(ValueError, match=r"`ignore_class`\. Expected one int"):
        checked_void(given)


def test_integers_of_numpy_are_void_labels():
    assert type(checked_void(np.uint8(255))) is int
    assert checked_void(-1) == -1
    assert checked_void(None) is None
