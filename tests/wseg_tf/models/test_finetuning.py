import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.models.small import NAMES, images, small
from wseg_tf.models import (
    LayerwiseAdam,
    LayerwiseAdamW,
    LayerwiseSGD,
    freeze_batch_norm,
    freeze_encoder,
)
from wseg_tf.models.finetuning import own_multipliers


def train_once(model, optimizer):
    """Trains a step; returns by how much each weight moved, by its name."""
    before = {w.name + str(i): w.numpy() for i, w in enumerate(model.weights)}
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # One step is not worth a graph.
    )
    model.train_on_batch(images(2, 32, 32, 3), images(2, 32, 32) % 3)
    after = {w.name + str(i): w.numpy() for i, w in enumerate(model.weights)}
    return {name: after[name] - before[name] for name in before}


@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_an_encoder_and_a_head(name):
    model = small(name)
    parts = {
        layer.name.split("_")[0] for layer in model.layers if layer.weights
    }
    assert {"encoder", "head"} <= parts <= {"encoder", "decoder", "head"}


def test_frozen_encoder_stays_with_its_statistics():
    model = small("segnet")
    frozen = set(freeze_encoder(model))
    weights = {
        layer.name: layer.get_weights()
        for layer in model.layers
        if layer.weights
    }
    train_once(model, keras.optimizers.SGD(0.1))
    for name, before in weights.items():
        after = model.get_layer(name).get_weights()
        same = all(map(np.array_equal, before, after))
        assert same == (name in frozen), name
    assert len(frozen) == 26  # 13 convolutions and their normalisations.


def test_frozen_batch_norm_keeps_all_it_has():
    model = small("segnet")
    frozen = freeze_batch_norm(model)
    before = [model.get_layer(name).get_weights() for name in frozen]
    moved = train_once(model, keras.optimizers.SGD(0.1))
    after = [model.get_layer(name).get_weights() for name in frozen]
    assert all(
        np.array_equal(a, b)
        for one, two in zip(before, after, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert any(np.abs(change).max() > 0 for change in moved.values())


@pytest.mark.skipif("deeplab_v3plus" not in NAMES, reason="needs KerasCV")
def test_batch_norm_inside_a_backbone_is_found():
    model = small("deeplab_v3plus")
    assert "post_bn" in freeze_batch_norm(model)


@pytest.mark.parametrize(
    ("layerwise", "plain"),
    [
        (LayerwiseSGD, keras.optimizers.SGD),
        (LayerwiseAdam, keras.optimizers.Adam),
        (LayerwiseAdamW, keras.optimizers.AdamW),
    ],
)
def test_head_moves_ten_times_as_far(layerwise, plain):
    weights = small("fcn32s").get_weights()
    moves = []
    for optimizer in (layerwise(1e-3), plain(1e-3)):
        keras.utils.set_random_seed(0)
        model = small("fcn32s")
        model.set_weights(weights)
        before = {
            layer.name: layer.get_weights()
            for layer in model.layers
            if layer.weights
        }
        train_once(model, optimizer)
        moves.append(
            {
                name: model.get_layer(name).get_weights()[0] - values[0]
                for name, values in before.items()
            }
        )
    for name, ours in moves[0].items():
        factor = 10 if name.startswith("head") else 1
        np.testing.assert_allclose(
            ours, factor * moves[1][name], rtol=1e-2, atol=2e-5
        )


def test_longest_beginning_counts():
    optimizer = LayerwiseSGD(
        0.1, multipliers={"encoder": 0.0, "encoder_block5": 2.0}
    )
    model = small("fcn32s")
    found = {
        getattr(v, "path", v.name).split("/")[0]: optimizer.multiplier(v)
        for v in model.trainable_variables
    }
    assert found["encoder_block4_conv1"] == 0
    assert found["encoder_block5_conv1"] == 2
    assert found["head_fc7_score"] == 1


def test_optimizer_is_saved_with_the_model(tmp_path):
    model = small("fcn32s")
    train_once(model, LayerwiseAdamW(1e-3, multipliers={"head": 3.0}))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is LayerwiseAdamW
    assert loaded.optimizer.multipliers == {"head": 3.0}
    assert int(tf.convert_to_tensor(loaded.optimizer.iterations)) == 1


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("encodr", "did you mean 'encoder'"),
        ("encoder_blok5_conv1", "did you mean 'encoder_block5_conv1'"),
        ("zzz", r"there are \['encoder', 'head'\]"),
    ],
)
def test_a_multiplier_that_fits_nothing_is_refused(start, said):
    model = small("fcn32s")
    with pytest.raises(ValueError, match=said):
        own_multipliers(model, {"head": 3.0, start: 0.5})
    optimizer = LayerwiseSGD(0.1, multipliers={start: 0.5})
    with pytest.raises(ValueError, match=said):
        optimizer.build(model.trainable_variables)


def test_a_multiplier_of_what_is_frozen_is_refused():
    model = small("fcn32s")
    freeze_encoder(model)
    with pytest.raises(ValueError, match="one that is trained"):
        own_multipliers(model, {"encoder": 0.1})


def nested():
    """A network whose encoder is a model of its own, as KerasCV's are."""
    image = keras.Input([None, None, 3])
    first = keras.layers.Conv2D(4, 1, name="stem")(image)
    second = keras.layers.Conv2D(4, 1, name="stage")(first)
    encoder = keras.Model(image, second, name="encoder")
    image = keras.Input([None, None, 3])
    head = keras.layers.Conv2D(2, 1, name="head")(encoder(image))
    return keras.Model(image, head)


def test_multipliers_fit_a_model_in_the_model():
    model = nested()
    own = own_multipliers(
        model, {"encoder": 0.5, "encoder/stem": 0.25, "head": 2.0}
    )
    optimizer = LayerwiseSGD(0.1, multipliers=own)
    optimizer.build(model.trainable_variables)
    found = {
        getattr(v, "path", v.name).split("/")[0]: optimizer.multiplier(v)
        for v in model.trainable_variables
    }
    assert found == {"stem": 0.25, "stage": 0.5, "head": 2.0}
    with pytest.raises(ValueError, match="Expected beginnings"):
        LayerwiseSGD(multipliers={"encoder": 0.5}).build(
            model.trainable_variables
        )


@pytest.mark.skipif("deeplab_v3plus" not in NAMES, reason="needs KerasCV")
def test_the_encoder_of_deeplab_v3plus_has_its_multiplier():
    model = small("deeplab_v3plus")
    optimizer = LayerwiseSGD(
        multipliers=own_multipliers(model, {"encoder": 0.1})
    )
    factors = [optimizer.multiplier(v) for v in model.trainable_variables]
    inside = len(model.get_layer("encoder").trainable_variables)
    assert factors.count(0.1) == inside > 100
    assert factors.count(1.0) == len(factors) - inside > 0


def test_layers_of_a_sequential_network_are_found_by_their_names():
    layers = [keras.layers.Conv2D(2, 1, name=each) for each in ("body", "head")]
    model = keras.Sequential([keras.Input([4, 4, 3]), *layers], name="own")
    own = own_multipliers(model, {"head": 10.0})
    optimizer = LayerwiseSGD(1e-3, multipliers=own)
    optimizer.build(model.trainable_variables)
    for layer, factor in zip(layers, (1.0, 10.0), strict=True):
        found = [optimizer.multiplier(each) for each in layer.variables]
        assert found == [factor, factor]
