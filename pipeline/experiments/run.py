"""Runs a comparison; run again after a kill, it goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.adaptation.rounds import count_labels, label_scores
from pipeline.config.adaptation_config import DomainOptions
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.experiments.plan import START, Experiment, Method, folder
from pipeline.gate.counting import count_images
from pipeline.gate.rules import Gate, Rule
from pipeline.ingest.listing import domain_splits, find_splits
from wseg_tf import configuration
from wseg_tf.adaptation.rounds import adapt
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.input import read_pairs
from wseg_tf.data.inspection import read_checked, refuse_problems
from wseg_tf.data.layouts import layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.decisions import ground_of
from wseg_tf.filesystems import local_target, write_whole
from wseg_tf.metrics.confusion import Counts
from wseg_tf.serving import CONFUSION, SegmentationService
from wseg_tf.training.loop import build_model, train
from wseg_tf.training.objectives import build_ground
from wseg_tf.training.recipe import Recipe

LOG = logging.getLogger("wseg_tf.experiments")

HELD_OUT = "held-out drives"
TARGET = "target"
WEIGHTS = "model.weights.h5"
ROUNDS = "rounds.json"
RESULT = "counts.npz"  # Written last: a run that has it is finished.


@dataclass(frozen=True)
class Frames:
    """The frames of an experiment.

    Args:
        training: What is trained on.
        reported: What is reported on, by name.
        target: What methods label themselves.
    """

    training: list[Pair]
    reported: dict[str, list[Pair]]
    target: list[Pair]


@dataclass(frozen=True)
class Outcome:
    """How one method did with one seed.

    Args:
        method: Its name; `START` for the common start.
        seed: The seed.
        counts: Per-image confusion `[images, N, N]` by evaluation set.
        seconds: What the training took; of the last sitting, if resumed.
        recipe: What was run, as YAML.
        weights: Where they are.
        rounds: Of an adaptation: what its labels were, round by round.
    """

    method: str
    seed: int
    counts: Mapping[str, Counts]
    seconds: float
    recipe: str
    weights: str
    rounds: Sequence[Mapping[str, Any]] = ()


def find_frames(plan: Experiment) -> Frames:
    """Finds the frames and sets the held-out drives apart.

    Where there is a target, they are left out of the training alone: it may
    be made of them.

    Args:
        plan: The experiment.

    Returns:
        The frames.

    Raises:
        ConfigurationError: If a held-out drive is not there, or none is left.
        DataError: If a file has no partner.
    """
    # Streets are drawn below the experiment's folder, as below a pipeline's.
    gate = Gate(rules=[Rule(metric="mean_iou", floor=0.0)])
    name = re.sub(r"\W", "_", plan.name)
    splits = find_splits(
        PipelineConfig(name=name, root=plan.root, data=plan.data, gate=gate)
    )
    drives = {pair.drive for pair in splits["train"]}
    if unknown := sorted(set(plan.hold_out) - drives):
        raise ConfigurationError(
            "Invalid value for argument `hold_out`. Expected drives of the "
            f"training split, {sorted(drives)}. Received: {unknown}."
        )
    kept = [p for p in splits["train"] if p.drive not in plan.hold_out]
    held = [p for p in splits["train"] if p.drive in plan.hold_out]
    if not kept:
        raise ConfigurationError(
            "Invalid value for argument `hold_out`. Expected a drive to train "
            f"on to be left. Received: hold_out={list(plan.hold_out)}."
        )
    # In the order in which images are counted.
    splits["eval"].sort(key=lambda pair: (pair.name, pair.drive))
    held.sort(key=lambda pair: (pair.name, pair.drive))
    reported = {plan.data.eval: splits["eval"]}
    if plan.target is not None:
        target = _target_splits(plan, plan.target)
        target["eval"].sort(key=lambda pair: (pair.name, pair.drive))
        return Frames(
            kept, {**reported, TARGET: target["eval"]}, target["train"]
        )
    return Frames(kept, {**reported, HELD_OUT: held} if held else reported, [])


def _target_splits(
    plan: Experiment, target: DomainOptions
) -> dict[str, list[Pair]]:
    path = target.path or plan.data.path
    if path is None:
        raise ConfigurationError(
            "Invalid value for argument `target.path`. Expected the folder of "
            "the target's data set. Received: target.path=None."
        )
    return domain_splits(target, path)


def run(plan: Experiment) -> list[Outcome]:
    """Trains the start once, then every method with every seed.

    Args:
        plan: The experiment.

    Returns:
        The start's outcome, then those of the methods, seed by seed.
    """
    frames = find_frames(plan)
    first = start(plan, frames)
    outcomes = [first]
    for seed in plan.seeds:
        weights = {START: first.weights}
        for method in plan.methods:
            # What the start decides has no seed of its own.
            if method.decides == START and seed != plan.seeds[0]:
                continue
            initial = weights[method.decides or START]
            recipe = plan.recipe(method, seed, initial)
            outcomes.append(_once(plan, method, recipe, frames))
            weights[method.name] = outcomes[-1].weights
    return outcomes


def start(plan: Experiment, frames: Frames) -> Outcome:
    """Trains the common start, unless it is there.

    Args:
        plan: The experiment.
        frames: What `find_frames` returned.

    Raises:
        DataError: If one of them cannot be used; before anything is trained.
    """
    refuse_problems(frames.training, layout(plan.data.dataset))
    refuse_problems(frames.target, layout(dataset_of(plan, TARGET)))
    for name, pairs in frames.reported.items():
        refuse_problems(pairs, layout(dataset_of(plan, name)))
    return _once(plan, Method(START), plan.start, frames)


def restore(plan: Experiment, outcome: Outcome) -> SegmentationService:
    """Returns the model of an outcome, as it would be served.

    Args:
        plan: The experiment.
        outcome: One of what `run` returned.
    """
    recipe = plan.start
    if outcome.method != START:
        method = plan.method(outcome.method)
        recipe = plan.recipe(method, outcome.seed, outcome.weights)
    recipe = dataclasses.replace(recipe, initial=outcome.weights)
    return _serve(plan, recipe, build_model(recipe, plan.data.class_set))


def _serve(
    plan: Experiment, recipe: Recipe, model: keras.Model
) -> SegmentationService:
    ground = build_ground(recipe.ground, plan.data.class_set)
    return SegmentationService(
        model,
        plan.data.class_set,
        recipe.height,
        recipe.width,
        ground_of(recipe.decision, ground),
    )


def _place(plan: Experiment, method: Method, recipe: Recipe) -> str:
    """Returns a folder for a recipe; another recipe has another one."""
    # Where it is run from does not matter, only what it starts from.
    own = configuration.dump(recipe).replace(plan.root, "")
    what = f"{own} {list(plan.hold_out)} {plan.data.limit}"
    if method.adaptation:
        what += configuration.dump(plan.rounds(method))
        what += configuration.dump(plan.target)
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    slug = re.sub(r"[^\w]+", "-", method.name).strip("-")
    return folder(plan, f"{slug}-seed{recipe.seed}-{digest}")


def _once(
    plan: Experiment,
    method: Method,
    recipe: Recipe,
    frames: Frames,
) -> Outcome:
    place = _place(plan, method, recipe)
    result = os.path.join(place, RESULT)
    if not tf.io.gfile.exists(result):
        LOG.info("%s, seed %d", method.name, recipe.seed)
        _make(plan, method, recipe, place, frames)
    with tf.io.gfile.GFile(result, "rb") as file:
        arrays = dict(np.load(io.BytesIO(file.read())))
    seconds = float(arrays.pop("seconds"))
    text = configuration.dump(recipe)
    weights = os.path.join(place, WEIGHTS)
    rounds = _read_rounds(place) if method.adaptation else ()
    return Outcome(
        method.name, recipe.seed, arrays, seconds, text, weights, rounds
    )


def _read_rounds(place: str) -> list[dict[str, Any]]:
    with tf.io.gfile.GFile(os.path.join(place, ROUNDS)) as file:
        rows: list[dict[str, Any]] = json.load(file)
    return rows


def _make(
    plan: Experiment,
    method: Method,
    recipe: Recipe,
    place: str,
    frames: Frames,
) -> None:
    classes = plan.data.class_set
    started = time.monotonic()
    if method.decides is not None:
        model = build_model(recipe, classes)
    elif method.adaptation:
        model = build_model(recipe, classes)
        _adapt(plan, method, recipe, frames, model, place)
    else:
        model = train(
            recipe,
            classes,
            read_pairs(frames.training, layout(plan.data.dataset)),
            checkpoints=_kept(place),
            logs=place,
        )
    seconds = time.monotonic() - started
    tf.io.gfile.makedirs(place)
    with local_target(os.path.join(place, WEIGHTS)) as path:
        model.save_weights(path)
    service = _serve(plan, recipe, model)
    counts = {
        name: count_images(
            lambda record: service.count_confusion(tf.constant([record]))[
                CONFUSION
            ].numpy()[0],
            pairs,
            layout(dataset_of(plan, name)),
        ).candidate
        for name, pairs in frames.reported.items()
    }
    content = io.BytesIO()
    np.savez_compressed(content, seconds=seconds, **counts)
    write_whole(os.path.join(place, RESULT), content.getvalue())
    if method.decides is None:
        tf.io.gfile.rmtree(_kept(place))


def dataset_of(plan: Experiment, evaluation: str) -> str:
    """Returns the layout of an evaluation set.

    Args:
        plan: The experiment.
        evaluation: Its name.
    """
    if evaluation == TARGET and plan.target is not None:
        return plan.target.data.dataset
    return plan.data.dataset


def _adapt(
    plan: Experiment,
    method: Method,
    recipe: Recipe,
    frames: Frames,
    model: keras.Model,
    place: str,
) -> None:
    """Adapts a model in place; then its labels meet the target's own."""
    classes = plan.data.class_set
    described = layout(dataset_of(plan, TARGET))
    target, folder = os.path.join(place, "target.tfrecord"), _kept(place)
    tf.io.gfile.makedirs(place)
    with tf.io.TFRecordWriter(target) as writer:
        for pair in frames.target:
            writer.write(serialise(pair, read_checked(pair, described)))
    training = read_pairs(frames.training, layout(plan.data.dataset))
    rounds = plan.rounds(method)
    summaries = adapt(model, recipe, rounds, classes, training, target, folder)
    rows = [
        label_scores(
            summary,
            count_labels(
                target, os.path.join(folder, f"round-{summary.round}"), classes
            ),
            classes,
        )
        for summary in summaries
    ]
    text = json.dumps(rows, indent=1) + "\n"
    write_whole(os.path.join(place, ROUNDS), text)
    tf.io.gfile.remove(target)


def _kept(place: str) -> str:
    """Returns the folder of what a killed run goes on from."""
    return os.path.join(place, "checkpoints")
