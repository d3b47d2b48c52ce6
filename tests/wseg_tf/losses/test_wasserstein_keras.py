import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.losses.test_wasserstein import VOID, batch
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.losses import WassersteinLoss
from wseg_tf.transport import Sinkhorn

SEVERITY = GroundMatrix.severity_aware(CAMVID)


def small_model(policy="float32"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    hidden = keras.layers.Conv2D(8, 3, padding="same", dtype=policy)(inputs)
    logits = keras.layers.Conv2D(11, 1, dtype=policy)(hidden)
    return keras.Model(inputs, logits)


@pytest.mark.parametrize("target", ["labels", "axis", "soft"])
@pytest.mark.parametrize("jit", [False, True])
def test_compile_and_fit(jit, target):
    _, labels, soft = batch(shape=(4, 6, 5))
    y = {"labels": labels, "axis": labels[..., None], "soft": soft}[target]
    x = np.random.default_rng(1).normal(size=(4, 6, 5, 3)).astype("float32")
    model = small_model()
    loss = WassersteinLoss(SEVERITY, from_logits=True, ignore_class=VOID)
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=jit)
    before = model.evaluate(x, y, verbose=0)
    assert before == pytest.approx(float(loss(y, model(x))), rel=1e-4)
    model.fit(x, y, epochs=8, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_policy_trains(policy):
    _, labels, _ = batch(shape=(1, 3, 3))
    model = small_model(policy)
    loss = WassersteinLoss(SEVERITY, from_logits=True, ignore_class=VOID)
    model.compile(keras.optimizers.SGD(0.1), loss)
    history = model.fit(
        np.ones((1, 3, 3, 3), "float32"), labels, epochs=1, verbose=0
    )
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize("link", ["linear", "log"])
@pytest.mark.parametrize("target", ["labels", "soft"])
def test_eager_graph_and_xla_agree(target, link):
    logits, labels, soft = batch()
    y = {"labels": labels, "soft": soft}[target]
    loss = WassersteinLoss(SEVERITY, True, VOID, link=link)

    def run(y_true, y_pred):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred)
        return value, tape.gradient(value, y_pred)

    arguments = tf.constant(y), tf.constant(logits)
    value, gradient = run(*arguments)
    for jit in (False, True):
        other = tf.function(run, jit_compile=jit)(*arguments)
        assert float(other[0]) == pytest.approx(float(value), rel=1e-5)
        np.testing.assert_allclose(other[1], gradient, atol=1e-5)


def test_unknown_batch_and_image_sizes():
    logits, labels, soft = batch()
    loss = WassersteinLoss(SEVERITY, True, VOID)
    spec = tf.TensorSpec([None, None, None, 11])
    by_id = tf.function(
        loss,
        input_signature=[tf.TensorSpec([None, None, None], tf.int32), spec],
    )
    assert float(by_id(labels, logits)) == pytest.approx(
        float(loss(labels, logits))
    )
    by_share = tf.function(loss, input_signature=[spec, spec])
    assert float(by_share(soft, logits)) == pytest.approx(
        float(loss(soft, logits))
    )


def test_every_setting_survives_a_config():
    loss = WassersteinLoss(
        SEVERITY.power(2),
        from_logits=True,
        ignore_class=11,
        reduction="sum",
        name="severity",
        link="log",
        solver="sinkhorn",
        partial=True,
        sinkhorn=Sinkhorn(0.3, 70, 1e-4, 5),
    )
    saved = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(saved)
    assert again.get_config() == loss.get_config()
    assert again.ground == loss.ground
    assert again.ground.classes == CAMVID.names
    assert again.solver == "sinkhorn"
    assert isinstance(again, WassersteinLoss)
    assert again.sinkhorn == Sinkhorn(0.3, 70, 1e-4, 5)
    # As earlier versions saved it, and as plain JSON.
    old = json.loads(json.dumps(loss.get_config()))
    old |= old.pop("sinkhorn")
    assert WassersteinLoss.from_config(old).get_config() == loss.get_config()


def test_a_saved_model_keeps_its_loss(tmp_path):
    _, labels, _ = batch(shape=(1, 3, 3))
    x = np.ones((1, 3, 3, 3), "float32")
    model = small_model()
    model.compile("sgd", WassersteinLoss(SEVERITY, True, VOID, link="log"))
    before = model.evaluate(x, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, labels, verbose=0) == pytest.approx(before)
    assert again.loss.get_config() == model.loss.get_config()


REPLICAS = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
from wseg_tf.losses import CrossEntropyLoss, MixtureLoss, WassersteinLoss

labels = np.array([[0, 9, 9, 9], [0, 1, 2, 1]])  # One valid pixel, then four.
x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
loss = WassersteinLoss([[0, 1, 2], [4, 0, 4], [1, 3, 0]], True, 9)

# Soft targets, of which the same pixels have none.
soft = np.append(np.eye(3), np.zeros((7, 3)), axis=0)[labels]
soft = (0.7 * soft + 0.1 * (labels < 9)[..., None]).astype("float32")

# A sum and a mean, which Keras 2 scales by the number of replicas alone.
total = CrossEntropyLoss(None, True, 9, "sum")
mixture = MixtureLoss([(0.1, total), (1.0, loss)])

def trained(strategy, labels, loss):
    with strategy.scope():
        layer = keras.layers.Dense(3, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((4, 3)), layer])
        model.compile(keras.optimizers.SGD(1.0), loss)
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(2)
    history = model.fit(data, epochs=2, verbose=0)
    return history.history["loss"], model.get_weights()[0]

for target, loss in ((labels, loss), (soft, loss), (labels, mixture)):
    one = trained(tf.distribute.get_strategy(), target, loss)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    two = trained(mirrored, target, loss)
    np.testing.assert_allclose(two[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(two[1], one[1], rtol=1e-5)
"""


def test_two_replicas_train_as_one():
    """Logical devices must exist before TensorFlow starts: a new process."""
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
