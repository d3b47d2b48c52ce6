import pytest

from tests.wseg_tf.models.small import NAMES, OPTIONS
from wseg_tf.models import describe, summary_text


def test_fcn32s_flops_by_hand():
    # 3 convolutions at stride 1, 2 and so on would be long; at width 0.05
    # VGG16's channels are 8, 8, 16, 24, 24 and fc6 and fc7 have 208.
    blocks = [(3, 8, 2), (8, 8, 2), (8, 16, 3), (16, 24, 3), (24, 24, 3)]
    products, size = 0, 64
    for inputs, channels, count in blocks:
        kernels = 9 * channels * (inputs + (count - 1) * channels)
        products += size**2 * kernels
        size //= 2
    products += size**2 * (49 * 24 * 208 + 208 * 208 + 208 * 5)
    found = describe("fcn32s", 5, size=(64, 64), width=0.05)
    assert found.flops == 2 * products


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_described(name):
    found = describe(name, 3, size=(32, 32), **OPTIONS[name])
    assert found.name == name
    assert found.parameters > 0
    assert found.flops > found.parameters
    assert found.output_stride in (8, 16, 32)


def test_summary_ends_with_the_parameters():
    assert "Total params" in summary_text("fcn32s", 2, width=0.05)
