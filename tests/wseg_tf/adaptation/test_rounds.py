"""Rounds on a toy shift: they help, they resume, they see no label."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.adaptation.small import (
    SHIFT,
    SIZE,
    examples,
    frame,
    pixel_model,
    record,
    target_files,
    without_label,
)
from wseg_tf.adaptation.batches import mixed_batches, split_batch
from wseg_tf.adaptation.labelling import label_target
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.rounds import adapt
from wseg_tf.adaptation.target import check_domains
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.configuration import ConfigurationError
from wseg_tf.training.observers import Observer
from wseg_tf.training.recipe import Execution, GroundOptions, Recipe, Stage

SOURCE = range(6)
TARGET = range(100, 108)
STAGE = Stage(
    "round",
    epochs=2,
    optimizer="adam",
    learning_rate=0.1,
    schedule="constant",
    freeze=["batch_norm"],
)
OPTIONS = SelfTraining(rounds=3, target_share=0.5, stage=STAGE)
RECIPE = Recipe(
    height=SIZE[0],
    width=SIZE[1],
    batch=4,
)
EACH_STEP = dataclasses.replace(RECIPE, execution=Execution(checkpoint_steps=1))


@pytest.fixture(scope="module")
def source():
    return examples(SOURCE).cache()


@pytest.fixture(scope="module")
def source_weights():
    """Weights of a model that knows the source."""
    model = pixel_model()
    pairs = [frame(seed) for seed in SOURCE]
    images = np.stack([image for image, _ in pairs]).astype(np.float32)
    labels = np.stack([label for _, label in pairs]).astype(np.int32)
    model.compile(
        keras.optimizers.Adam(0.1),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=CAMVID.void
        ),
    )
    model.fit(images, labels, epochs=60, batch_size=6, verbose=0)
    return model.get_weights()


@pytest.fixture
def model(source_weights):
    """The model that only the source has taught."""
    found = pixel_model()
    found.set_weights(source_weights)
    return found


@pytest.fixture(scope="module")
def texts():
    return [record(seed, SHIFT) for seed in TARGET]


def target_accuracy(model):
    right = total = 0
    for seed in range(200, 210):
        image, label = frame(seed, SHIFT)
        found = np.asarray(model(image[None].astype(np.float32)))[0]
        valid = label != CAMVID.void
        right += (found.argmax(axis=-1) == label)[valid].sum()
        total += valid.sum()
    return right / total


@pytest.mark.parametrize(
    ("method", "loss"),
    [
        ("cbst", "cross_entropy"),
        ("mrkld", "cross_entropy"),
        ("lrent", "cross_entropy"),
        ("lrent", "wasserstein"),
    ],
)
def test_self_training_beats_the_source_alone(
    model, source, texts, method, loss, tmp_path
):
    before = target_accuracy(model)
    options = dataclasses.replace(
        OPTIONS,
        method=method,
        rounds=2,
        target_share=0.75,
        stage=dataclasses.replace(STAGE, loss=loss, epochs=4),
    )
    files = target_files(tmp_path, texts)
    work = str(tmp_path / "work")
    recipe = dataclasses.replace(RECIPE, ground=GroundOptions(map="huber"))
    summaries = adapt(model, recipe, options, CAMVID, source, files, work)
    after = target_accuracy(model)
    assert 0.5 < before < 0.9  # The shift hurts, and leaves something.
    assert after > before + 0.05
    assert [each.portion for each in summaries] == [0.2, 0.25]


class KilledError(Exception):
    """Stands for a kill."""


class KillAt(Observer):
    """Dies after a number of steps, counted over the rounds."""

    def __init__(self, steps):
        self.left = steps

    def step(self, number, loss):
        self.left -= 1
        if self.left < 0:
            raise KilledError


def test_a_round_that_is_killed_resumes(
    source_weights, source, texts, tmp_path
):
    files = target_files(tmp_path, texts)

    def run(folder, observers=()):
        model = pixel_model()
        model.set_weights(source_weights)
        adapt(
            model,
            EACH_STEP,
            dataclasses.replace(OPTIONS, rounds=2),
            CAMVID,
            source,
            files,
            str(tmp_path / folder),
            observers=observers,
        )
        return model.get_weights()

    whole = run("whole")
    # After a round of 8 steps, within the first epoch of the next.
    with pytest.raises(KilledError):
        run("killed", [KillAt(10)])
    for ours, theirs in zip(run("killed"), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_no_label_of_the_target_reaches_the_weights(
    source_weights, source, texts, tmp_path
):
    found = []
    kinds = {
        "true": texts,
        "absent": [without_label(text) for text in texts],
    }
    options = dataclasses.replace(OPTIONS, rounds=1)
    for kind, own in kinds.items():
        model = pixel_model()
        model.set_weights(source_weights)
        files = target_files(tmp_path / kind, own)
        work = str(tmp_path / kind / "work")
        adapt(model, RECIPE, options, CAMVID, source, files, work)
        found.append(model.get_weights())
    for other in found[1:]:
        for ours, theirs in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    moved = [
        np.abs(after - before).max()
        for after, before in zip(found[0], source_weights, strict=True)
    ]
    assert max(moved) > 0


def test_another_adaptation_s_folder_is_refused(
    model, source_weights, source, texts, tmp_path
):
    files = target_files(tmp_path, texts)
    once = dataclasses.replace(OPTIONS, rounds=1)
    work = str(tmp_path / "work")
    adapt(model, RECIPE, once, CAMVID, source, files, work)

    def refused(match, options=once, given=source, labelled=files):
        with pytest.raises(ConfigurationError, match=match):
            adapt(model, RECIPE, options, CAMVID, given, labelled, work)

    # It was changed in place: these are other weights to start from.
    refused("start was")
    model.set_weights(source_weights)
    other = dataclasses.replace(once, alpha=0.5)
    refused(r"alpha was 0\.25, now 0\.5", options=other)
    refused("data was", given=source.skip(1))
    # The same files, one of them with another image.
    target_files(tmp_path, [*texts[:-1], record(99, SHIFT)])
    refused("target was")


def test_what_labels_nothing_is_refused(model, source, texts, tmp_path):
    files = target_files(tmp_path, texts)
    options = dataclasses.replace(OPTIONS, portion=0.0, portion_step=0.0)
    with pytest.raises(ConfigurationError, match="labels none"):
        adapt(model, RECIPE, options, CAMVID, source, files, str(tmp_path))


def test_domains_of_other_classes_are_refused():
    check_domains(CAMVID, dataclasses.replace(CAMVID, name="streets"))
    with pytest.raises(ValueError, match="Expected the same classes"):
        check_domains(CITYSCAPES, CAMVID)
    shuffled = dataclasses.replace(CAMVID, names=CAMVID.names[::-1])
    with pytest.raises(ValueError, match="same order"):
        check_domains(CAMVID, shuffled)


@pytest.fixture(scope="module")
def labelled(texts, source_weights, tmp_path_factory):
    """One round's labels, by method."""
    folder = tmp_path_factory.mktemp("labelled")
    model = pixel_model()
    model.set_weights(source_weights)
    files = target_files(folder, texts)

    def label(method):
        options = dataclasses.replace(OPTIONS, method=method)
        out = str(folder / method)
        summary = label_target(model, files, out, options, CAMVID, SIZE)
        paths = sorted(tf.io.gfile.glob(f"{out}/Split-train/*"))
        return options, paths, summary

    return label


def batches(labelled, source, method, recipe=RECIPE, **changes):
    options, paths, summary = labelled(method)
    options = dataclasses.replace(options, **changes)
    return mixed_batches(
        recipe, options, CAMVID, source, len(SOURCE), paths, summary
    )


def test_a_batch_is_half_source_and_half_target(labelled, source):
    images, labels = next(iter(batches(labelled, source, "lrent")(0, 0)))
    assert images.shape == (4, *SIZE, 3)
    mass = labels.numpy().sum(axis=-1)
    # The source's three void pixels; of the target, most is not kept.
    assert (mass[:2] == 0).sum() == 6
    assert set(np.unique(labels[:2])) == {0.0, 1.0}
    assert 0.4 < (mass[2:] == 0).mean() < 0.9
    np.testing.assert_allclose(mass[2:][mass[2:] > 0], 1, atol=1e-5)
    _, (ids, is_target) = next(iter(batches(labelled, source, "mrkld")(0, 0)))
    assert is_target.numpy().tolist() == [0, 0, 1, 1]
    assert ids.dtype == tf.int32


def test_an_epoch_is_a_pass_over_the_target_and_starts_anywhere(
    labelled, source
):
    make = batches(labelled, source, "cbst")
    running = make(0, 0)
    passes = [list(running) for _ in range(3)]
    assert len(passes[0]) == 4  # 8 images, 2 a step
    seen = {image.numpy().tobytes() for images, _ in passes[0] for image in
            images[2:]}  # fmt: skip
    assert len(seen) == len(TARGET)
    for epoch, step in ((0, 3), (1, 0), (2, 1)):
        for ours, theirs in zip(
            make(epoch, step), passes[epoch][step:], strict=True
        ):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])
    # 3 steps a pass over the source: 12 steps show each image 4 times.
    shown = [
        image.numpy().tobytes()
        for each in passes for images, _ in each for image in images[:2]
    ]  # fmt: skip
    assert sorted({shown.count(each) for each in shown}) == [4]


def test_soft_labels_move_with_their_pixels(labelled, source):
    recipe = dataclasses.replace(
        RECIPE,
        augmentation=dataclasses.replace(
            RECIPE.augmentation, flip=0.5, scale=(0.7, 1.6), rotation=10.0
        ),
    )
    soft = batches(labelled, source, "lrent", recipe)(0, 0)
    for images, labels in soft:
        model = pixel_model()
        assert model(images).shape == labels.shape
        mass = labels.numpy().sum(axis=-1)
        assert np.all((mass < 1e-6) | (np.abs(mass - 1) < 1e-5))


def test_rare_classes_are_mined_for(labelled, source):
    """The rarest class has more of the pixels where it is mined for."""
    _, _, summary = labelled("cbst")
    (rare,) = summary.rarest(1)
    recipe = dataclasses.replace(RECIPE, crop=(4, 4))

    def share(**changes):
        make = batches(labelled, source, "cbst", recipe, **changes)
        labels = np.concatenate([y.numpy()[2:] for _, y in make(0, 0)])
        return (labels == rare).mean()

    assert share(rare_classes=1, rare=1.0, rare_images=1.0) > share()


def test_batches_are_split_by_the_share():
    assert split_batch(8, 0.25) == (6, 2)
    assert split_batch(1, 0.5) == (0, 1)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("method", "fixmatch"),
        ("rounds", 0),
        ("portion", 1.5),
        ("alpha", 0.01),
        ("target_share", 0.0),
        ("scales", []),
        ("rare", 0.5),
        ("stage", Stage(loss="focal")),
    ],
)
def test_options_out_of_range_are_refused(argument, value):
    with pytest.raises(ValueError, match="Invalid value for argument"):
        SelfTraining(**{argument: value})
