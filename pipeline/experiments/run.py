"""Runs a comparison; run again after a kill, it goes on where it was.

A run lies in a folder whose name ends with the digest of what decides its
weights; in it, `counts-DIGEST.npz` are the counts of one evaluation set by
one decision. So what is found there is of the values at hand, or is not found.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from pipeline.adaptation.rounds import count_labels, label_scores
from pipeline.experiments import keys
from pipeline.experiments.counted import once
from pipeline.experiments.frames import (
    TARGET,
    Frames,
    find_frames,
    layout_of,
)
from pipeline.experiments.plan import START, Experiment, Method, folder
from pipeline.gate.counting import count_images
from wseg_tf.adaptation.rounds import adapt
from wseg_tf.data.input import read_pairs
from wseg_tf.data.inspection import read_checked, refuse_problems
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.decisions import ground_of
from wseg_tf.filesystems import is_remote, local_target, write_whole
from wseg_tf.json_files import read_json
from wseg_tf.locks import held
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.misses import Misses
from wseg_tf.serving import CONFUSION, SegmentationService
from wseg_tf.training.loop import build_model, train
from wseg_tf.training.objectives import build_ground
from wseg_tf.training.recipe import Recipe
from wseg_tf.training.warm_start import weights_digest

LOG = logging.getLogger("wseg_tf.experiments")

WEIGHTS = "model.weights.h5"
ROUNDS = "rounds.json"
FINISHED = "run.json"  # Written last: weights that have it are finished.


@dataclass(frozen=True)
class Outcome:
    """How one method did with one seed.

    Args:
        method: Its name; `START` for the common start.
        seed: The seed.
        counts: Per-image confusion `[images, N, N]` by evaluation set.
        seconds: What the training took; of the last sitting, if resumed.
        recipe: What was run, as YAML; D from a file is numbers, weights to
            start from are their digest.
        weights: Where they are.
        rounds: Of an adaptation: what its labels were, round by round.
        missed: Critical regions by image, and those missed, by evaluation set
            (`regions [images, N]`, `missed [images, N, N]`), once counted.
        frames: What `frame_digests` returned of all it was made of; empty in
            results of before it was told.
    """

    method: str
    seed: int
    counts: Mapping[str, Counts]
    seconds: float
    recipe: str
    weights: str
    rounds: Sequence[Mapping[str, Any]] = ()
    missed: Mapping[str, Misses] = field(default_factory=dict)
    frames: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def alone(plan: Experiment) -> Iterator[None]:
    """Holds an experiment's folder; nobody can hold a remote one.

    Args:
        plan: The experiment.

    Raises:
        InUseError: If another program works in it; names it.
    """
    if is_remote(plan.root):
        yield
        return
    with held(folder(plan), "an experiment"):
        yield


def run(plan: Experiment, frames: Frames | None = None) -> list[Outcome]:
    """Trains every method with every seed, and before it what it starts from.

    Args:
        plan: The experiment; `alone` keeps others from its folder.
        frames: What `find_frames` returned. Defaults to asking it.

    Returns:
        Outcomes seed by seed: of the start, then of the methods. What has no
        seed of its own, as a start of several, is there once.

    Raises:
        ConfigurationError: As `find_frames` raises it.
        DataError: If a frame cannot be used; before anything is trained.
    """
    frames = frames or find_frames(plan)
    digests = _digests(plan, frames)
    outcomes: list[Outcome] = []
    starts: dict[int, Outcome] = {}
    for of_start, seed in plan.runs():
        begun = plan.start_of(of_start)
        is_new = begun.seed not in starts
        if is_new:
            first = _once(plan, Method(START), begun, frames, digests)
            starts[begun.seed] = first
            outcomes.append(first)
        weights = {START: starts[begun.seed].weights}
        for method in plan.methods:
            # What a start decides has no seed of its own.
            if method.decides == START and not is_new:
                continue
            initial = weights[method.decides or START]
            recipe = plan.recipe(method, seed, initial)
            outcomes.append(_once(plan, method, recipe, frames, digests))
            weights[method.name] = outcomes[-1].weights
    return outcomes


def start(plan: Experiment, frames: Frames) -> Outcome:
    """Trains what the first seed starts from, if it is not there.

    Args:
        plan: The experiment; `alone` keeps others from its folder.
        frames: What `find_frames` returned.
    """
    begun = plan.start_of(plan.seeds[0])
    return _once(plan, Method(START), begun, frames, _digests(plan, frames))


def _digests(plan: Experiment, frames: Frames) -> dict[str, str]:
    """Returns the frames' digests, once each frame has proved usable."""
    refuse_problems(frames.training, plan.data.layout)
    refuse_problems(frames.target, layout_of(plan, TARGET))
    for name, pairs in frames.reported.items():
        refuse_problems(pairs, layout_of(plan, name))
    return keys.frame_digests(plan, frames)


def restore(plan: Experiment, outcome: Outcome) -> SegmentationService:
    """Returns the model of an outcome, as it would be served.

    Args:
        plan: The experiment.
        outcome: One of what `run` returned.
    """
    return _serve(plan, recipe_of(plan, outcome), outcome.weights)


def recipe_of(plan: Experiment, outcome: Outcome) -> Recipe:
    """Returns what was run, or decides as it does.

    Args:
        plan: The experiment.
        outcome: One of what `run` returned.
    """
    if outcome.method == START:
        return plan.start_of(outcome.seed)
    method = plan.method(outcome.method)
    return plan.recipe(method, outcome.seed, outcome.weights)


def _serve(
    plan: Experiment, recipe: Recipe, weights: str
) -> SegmentationService:
    recipe = dataclasses.replace(recipe, initial=weights)
    classes = plan.data.class_set
    gc.collect()  # Of each model before, 60 MB wait in cycles.
    return SegmentationService(
        build_model(recipe, classes),
        classes,
        recipe.height,
        recipe.width,
        ground_of(recipe.decision, build_ground(recipe.ground, classes)),
        views=recipe.views,
    )


def _once(
    plan: Experiment,
    method: Method,
    recipe: Recipe,
    frames: Frames,
    digests: Mapping[str, str],
) -> Outcome:
    """Returns what a method came to, and makes what is not there of it."""
    classes = plan.data.class_set
    own = None if recipe.initial is None else weights_digest(recipe.initial)
    text = keys.said(recipe, classes, own)
    finished: dict[str, Any] = {"seconds": 0.0, "weights": own}
    if method.decides is not None and recipe.initial is not None:
        weights = recipe.initial
    else:
        weights = _trained(plan, method, recipe, frames, digests)
        finished = _finish_of(weights)
    counts = {}
    serving: list[SegmentationService] = []
    for name, pairs in frames.reported.items():
        key = keys.counts_key(
            recipe, classes, finished["weights"], digests[name]
        )

        def count(
            name: str = name, pairs: Sequence[Pair] = pairs
        ) -> dict[str, Counts]:
            LOG.info("%s, seed %d: %s", method.name, recipe.seed, name)
            if not serving:
                serving.append(_serve(plan, recipe, weights))
            found = _count(serving[0], pairs, plan, name)
            frames.refuse_changed()
            return {"counts": found}

        folder = os.path.dirname(weights)
        counts[name] = once(folder, "counts", key, count)["counts"]
    rounds = read_json(_beside(weights, ROUNDS)) if method.adaptation else ()
    return Outcome(
        method.name,
        recipe.seed,
        counts,
        finished["seconds"],
        text,
        weights,
        rounds,
        frames=digests,
    )


def _trained(
    plan: Experiment,
    method: Method,
    recipe: Recipe,
    frames: Frames,
    digests: Mapping[str, str],
) -> str:
    """Returns finished weights of a recipe; trains them if there are none."""
    key = keys.weights_key(plan, method, recipe, digests)
    place = _place(plan, f"{method.name} seed{recipe.seed}", keys.short(key))
    weights = os.path.join(place, WEIGHTS)
    if _is_finished(weights, key):
        return weights
    LOG.info("%s, seed %d", method.name, recipe.seed)
    started = time.monotonic()
    tf.io.gfile.makedirs(place)
    # Keras 3 keeps the layers' names with the weights; it counts them anew.
    keras.backend.clear_session()
    if method.adaptation:
        model = build_model(recipe, plan.data.class_set)
        _adapt(plan, method, recipe, frames, model, place)
    else:
        model = train(
            recipe,
            plan.data.class_set,
            read_pairs(frames.training, plan.data.layout),
            checkpoints=_kept(place),
            logs=place,
        )
    seconds = time.monotonic() - started
    frames.refuse_changed()
    with local_target(weights) as path:
        model.save_weights(path)
    content = {
        "seconds": seconds,
        "weights": weights_digest(weights),
        "key": key,
    }
    write_whole(
        os.path.join(place, FINISHED), json.dumps(content, indent=1) + "\n"
    )
    if tf.io.gfile.exists(_kept(place)):
        tf.io.gfile.rmtree(_kept(place))
    return weights


def _is_finished(weights: str, key: Mapping[str, Any]) -> bool:
    """Whether weights are there, and those that were trained by a key."""
    finished = _beside(weights, FINISHED)
    if not (tf.io.gfile.exists(finished) and tf.io.gfile.exists(weights)):
        return False
    noted = _finish_of(weights)
    own = {"weights": weights_digest(weights), "key": key}
    if {name: noted.get(name) for name in own} == json.loads(json.dumps(own)):
        return True
    LOG.warning("%s was changed; its run is made anew.", weights)
    return False


def _place(plan: Experiment, name: str, digest: str) -> str:
    """Returns the folder of a digest, whatever it was called before."""
    own = folder(plan)
    there = tf.io.gfile.listdir(own) if tf.io.gfile.isdir(own) else []
    for each in there:
        if each.rstrip("/").endswith(f"-{digest}"):
            return os.path.join(own, each.rstrip("/"))
    slug = re.sub(r"[^\w]+", "-", name).strip("-")
    return os.path.join(own, f"{slug}-{digest}")


def _beside(weights: str, name: str) -> str:
    return os.path.join(os.path.dirname(weights), name)


def _finish_of(weights: str) -> dict[str, Any]:
    found: dict[str, Any] = read_json(
        _beside(weights, FINISHED), dict[str, Any]
    )
    return found


def _count(
    service: SegmentationService,
    pairs: Sequence[Pair],
    plan: Experiment,
    name: str,
) -> Counts:
    counted = count_images(
        lambda record: service.count_confusion(tf.constant([record]))[
            CONFUSION
        ].numpy()[0],
        pairs,
        layout_of(plan, name),
    )
    return counted.candidate


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
    described = layout_of(plan, TARGET)
    target, folder = os.path.join(place, "target.tfrecord"), _kept(place)
    with tf.io.TFRecordWriter(target) as writer:
        for pair in frames.target:
            writer.write(serialise(pair, read_checked(pair, described)))
    training = read_pairs(frames.training, plan.data.layout)
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
