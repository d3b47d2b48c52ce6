"""What TensorBoard reads of a training."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.training.small import SIZE, examples, small_net
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.data.input import evaluation_batches
from wseg_tf.plots import overlay
from wseg_tf.training.history import read_history
from wseg_tf.training.loop import train
from wseg_tf.training.recipe import Execution, Recipe, Stage

RECIPE = Recipe(
    height=SIZE[0],
    width=SIZE[1],
    batch=2,
    evaluate_every=2,
    stages=[Stage("one", epochs=3), Stage("two", epochs=1)],
    execution=Execution(overlays_every=2),
)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Any:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    folder = tmp_path_factory.mktemp("logs")
    data = examples(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "build", small_net)
        train(RECIPE, CAMVID, data, data, logs=str(folder))
    found = reader.EventAccumulator(
        str(folder / "tensorboard"), size_guidance={"tensors": 0}
    )
    found.Reload()
    return found, folder


def test_scalars_are_those_of_the_history(events: Any) -> None:
    found, folder = events
    history = read_history(str(folder / "history.csv"))
    for tag, column in (
        ("training/loss", "loss"),
        ("training/validation_loss", "validation_loss"),
        ("training/learning_rate", "learning_rate"),
        ("mean_iou", "mean_iou"),
        ("iou/car", "iou/car"),
        ("iou_group/4", "iou_group/4"),
    ):
        written = {
            event.step: float(tf.make_ndarray(event.tensor_proto))
            for event in found.Tensors(tag)
        }
        expected = {
            number: float(line[column])
            for number, line in enumerate(history, start=1)
            if line[column]
        }
        assert written == pytest.approx(expected)
        plugin = found.SummaryMetadata(tag).plugin_data.plugin_name
        assert plugin == "scalars"
    assert set(expected) == {2, 3, 4}  # Evaluated: every second, and last.


def test_pictures_are_image_truth_and_prediction(events: Any) -> None:
    found, _ = events
    tag = "image, truth, prediction"
    assert found.SummaryMetadata(tag).plugin_data.plugin_name == "images"
    shown = found.Tensors(tag)
    assert [event.step for event in shown] == [2, 3, 4]
    width, height, *encoded = tf.make_ndarray(shown[0].tensor_proto)
    assert (int(height), int(width)) == (SIZE[0], 3 * SIZE[1])
    assert len(encoded) == 2
    picture = tf.io.decode_png(encoded[0]).numpy()
    (images, labels), *_ = evaluation_batches(examples(2), SIZE, 1)
    np.testing.assert_array_equal(picture[:, : SIZE[1]], images[0])
    truth = overlay(images[0], labels[0], CAMVID)
    np.testing.assert_array_equal(picture[:, SIZE[1] : 2 * SIZE[1]], truth)


def test_the_recipe_is_on_the_page_of_hyperparameters(events: Any) -> None:
    found, _ = events
    from tensorboard.plugins.hparams import plugin_data_pb2

    data = found.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert data.plugin_name == "hparams"
    told = plugin_data_pb2.HParamsPluginData.FromString(data.content)
    values = told.session_start_info.hparams
    assert values["model"].string_value == "enet"
    assert values["batch"].number_value == 2
    assert values["stages.1.epochs"].number_value == 1
    assert values["views.flip"].bool_value is False
    assert not any(name.startswith("execution") for name in values)
