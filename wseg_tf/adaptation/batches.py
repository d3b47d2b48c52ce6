"""Batches of both domains: source images beside pseudo-labelled ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from wseg_tf.adaptation.labelling import Summary
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.pseudo_labels import UNITS
from wseg_tf.adaptation.records import parse_labelled, soft_reader
from wseg_tf.classes import ClassSet
from wseg_tf.data import input
from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.records import decode
from wseg_tf.training.recipe import Recipe
from wseg_tf.training.strategy import choose, share


def split_batch(batch: int, target_share: float) -> tuple[int, int]:
    """Returns how many images of a batch are the source's and the target's.

    Args:
        batch: Images in a batch.
        target_share: Share of the target's.

    Example:

    >>> split_batch(4, 0.5), split_batch(2, 0.1), split_batch(3, 1.0)
    ((2, 2), (1, 1), (0, 3))
    """
    target = min(max(round(batch * target_share), 1), batch)
    return batch - target, target


def round_steps(
    recipe: Recipe, options: SelfTraining, target_images: int
) -> int:
    """Returns the steps of an epoch: one pass over the target.

    Args:
        recipe: The recipe, for the batch.
        options: The options, for the target's share of it.
        target_images: Number of the target's images.
    """
    replicas = choose(recipe.execution.distribute).num_replicas_in_sync
    _, own = split_batch(recipe.batch // replicas, options.target_share)
    return input.steps(target_images, own * replicas, replicas > 1)


def mixed_batches(
    recipe: Recipe,
    options: SelfTraining,
    classes: ClassSet,
    source: tf.data.Dataset,
    source_images: int,
    labelled: Sequence[str],
    summary: Summary,
    epochs_before: int = 0,
) -> Callable[[int, int], Iterable[Any]]:
    """Returns the batches of a round, for `wseg_tf.training.fit`.

    An epoch is one pass over the target; the source goes on where the last
    epoch left it. All is a function of seed, epoch and step.

    Args:
        recipe: Size, batch, crop, augmentation and seed.
        options: The options.
        classes: The class set.
        source: Examples of `wseg_tf.data.input`.
        source_images: Their number.
        labelled: Record files of the round's pseudo-labels.
        summary: What they are.
        epochs_before: Epochs of the rounds before.

    Returns:
        A function from an epoch and a step to batches of images and labels:
        class ids `[B, H, W]`, soft labels `[B, H, W, N]`, or for `"mrkld"`
        class ids and which images are the target's.
    """
    strategy = choose(recipe.execution.distribute)
    several = strategy.num_replicas_in_sync > 1
    size = (recipe.height, recipe.width)
    targets = tf.data.TFRecordDataset(list(labelled)).map(
        parse_labelled, num_parallel_calls=tf.data.AUTOTUNE
    )
    mined = mining(recipe.augmentation, options, summary)
    soft = soft_reader(len(classes), classes.void)
    read = soft if options.is_soft else decode
    steps = round_steps(recipe, options, summary.images)

    def from_epoch(epoch: int, skipped: int) -> Iterable[Any]:
        first = epochs_before + epoch

        def prepared(batch: int, shard: tuple[int, int]) -> tf.data.Dataset:
            parts = split_batch(batch, options.target_share)
            common: dict[str, Any] = {
                "crop": recipe.crop,
                "drop_remainder": several,
                "shard": shard,
            }
            batches = input.training_batches(
                targets,
                size,
                parts[1],
                classes.void,
                augmentation=mined,
                seed=recipe.seed + 1,  # not the order of the source
                first_epoch=first,
                count=summary.images,
                cache=False,
                read=read,
                **common,
            )
            if parts[0] == 0:
                return batches.map(lambda *given: _finish(None, given))
            own = len(range(shard[1], source_images, shard[0]))
            each = input.steps(own, parts[0], several)
            passes, begun = divmod(first * steps, each)
            others = input.training_batches(
                source,
                size,
                parts[0],
                classes.void,
                augmentation=recipe.augmentation,
                seed=recipe.seed,
                first_epoch=passes,
                count=source_images,
                **common,
            )
            others = others.repeat().skip(begun)
            return tf.data.Dataset.zip((others, batches)).map(_finish)

        def _finish(given: Any, target: Any) -> Any:
            return _mixed(given, target, options, len(classes))

        return share(strategy, prepared, recipe.batch, steps, skipped)

    return lambda epoch, skipped: _Epochs(from_epoch, epoch, skipped)


class _Epochs:
    """Epochs in order, one each pass, the first from some step on.

    Args:
        make: Makes the batches of an epoch from a step on.
        epoch: The epoch of the first pass.
        skipped: The step it starts from.
    """

    def __init__(
        self,
        make: Callable[[int, int], Iterable[Any]],
        epoch: int,
        skipped: int,
    ) -> None:
        self._make = make
        self._epoch = epoch
        self._next: Iterable[Any] | None = make(epoch, skipped)
        self.element_spec = getattr(self._next, "element_spec", None)

    def __iter__(self) -> Iterator[Any]:
        """Begins the next epoch."""
        # The source goes on where the last epoch left it, so that a second
        # pass over the same data set would not do.
        batches = self._next or self._make(self._epoch, 0)
        self._epoch, self._next = self._epoch + 1, None
        return iter(batches)


def mining(
    augmentation: Augmentation, options: SelfTraining, summary: Summary
) -> Augmentation:
    """Returns how the target is varied: with an eye on rare classes.

    Args:
        augmentation: The recipe's.
        options: How many classes are rare, and how they are mined for.
        summary: Which they are.

    Returns:
        The augmentation of the target's images.
    """
    rare = summary.rarest(options.rare_classes)
    if not rare:
        return dataclasses.replace(
            augmentation, rare_classes=(), rare=0.0, rare_images=0.0
        )
    return dataclasses.replace(
        augmentation,
        rare_classes=rare,
        rare=options.rare,
        rare_images=options.rare_images,
    )


def _mixed(
    source: tuple[tf.Tensor, ...] | None,
    target: tuple[tf.Tensor, ...],
    options: SelfTraining,
    classes: int,
) -> tuple[tf.Tensor, Any]:
    """Returns images and labels of both domains, the source's first."""
    images, labels = target[0], target[1]
    if options.is_soft:
        labels = tf.cast(target[2], tf.float32) / UNITS
    is_target = tf.ones(tf.shape(images)[:1])
    if source is not None:
        others, ids = source
        images = tf.concat([others, images], 0)
        if options.is_soft:
            ids = tf.one_hot(ids, classes)  # void is no class: all zeros
        labels = tf.concat([ids, labels], 0)
        before = tf.zeros(tf.shape(others)[:1])
        is_target = tf.concat([before, is_target], 0)
    if options.method == "mrkld":
        return images, (labels, is_target)
    return images, labels
