import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.models.small import images
from wseg_tf.models.preprocessing import (
    CropToImage,
    PadToMultiple,
    ScaleImage,
    SubtractMean,
    Upsample,
)


def test_mean_is_that_of_keras_applications():
    image = images(2, 5, 7, 3)
    expected = keras.applications.vgg16.preprocess_input(
        image.astype(np.float32)
    )
    np.testing.assert_allclose(SubtractMean()(image), expected, rtol=1e-6)


@pytest.mark.parametrize("layer", [ScaleImage, SubtractMean])
def test_integers_and_floats_are_the_same_image(layer):
    image = images(1, 3, 3, 3)
    np.testing.assert_array_equal(
        layer()(image), layer()(image.astype(np.float32))
    )


@pytest.mark.parametrize(
    ("size", "extra", "padded"),
    [((9, 16), 0, (16, 16)), ((9, 16), 1, (9, 17)), ((1, 7), 1, (1, 9))],
)
@pytest.mark.parametrize("is_static", [True, False])
def test_padding_is_undone_by_the_crop(size, extra, padded, is_static):
    shape = [1, *size, 2] if is_static else [None, None, None, 2]
    pad, crop = PadToMultiple(8, extra=extra), CropToImage()

    @tf.function(input_signature=[tf.TensorSpec(shape)])
    def both(image):
        larger = pad(image)
        return larger, crop([larger, image])

    image = np.random.default_rng(0).normal(size=[1, *size, 2])
    larger, same = both(image.astype(np.float32))
    assert larger.shape == (1, *padded, 2)
    np.testing.assert_array_equal(same, image.astype(np.float32))
    assert np.abs(larger).sum() == pytest.approx(np.abs(same).sum())


def test_upsampling_is_that_of_tensorflow():
    cells = np.random.default_rng(0).normal(size=[2, 3, 5, 4])
    np.testing.assert_allclose(
        Upsample(4)(cells.astype(np.float32)),
        tf.image.resize(cells, [12, 20]),
        rtol=1e-5,
        atol=1e-6,
    )


def test_aligned_upsampling_keeps_the_cells_themselves():
    cells = np.random.default_rng(0).normal(size=[2, 3, 5, 4])
    large = Upsample(8, align_corners=True)(cells.astype(np.float32))
    assert large.shape == (2, 17, 33, 4)
    np.testing.assert_allclose(large[:, ::8, ::8], cells, rtol=1e-5, atol=1e-6)
