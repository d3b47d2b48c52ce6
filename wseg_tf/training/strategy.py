"""Hardware: which devices train, and how a batch is shared among them."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from wseg_tf.json_files import parse_json, typed
from wseg_tf.training.meeting import wait_for

LOG = logging.getLogger(__name__)

_VARIABLE = "the variable TF_CONFIG"
_PARTS = {"cluster": dict[str, list[str]], "task": dict[str, str | int]}
TRAINERS = ("chief", "worker")  # jobs of TF_CONFIG, in the order of places


@functools.cache
def choose(distribute: str) -> tf.distribute.Strategy:
    """Returns the strategy of a name; one and the same in a program.

    Call it with `"multi_worker"` before TensorFlow does anything else: the
    workers that `TF_CONFIG` names must then meet.

    Args:
        distribute: `"none"`, `"mirrored"` (every GPU of this machine or, where
            there is none, every logical CPU) or `"multi_worker"`.

    Returns:
        A strategy; for `"none"` TensorFlow's default, which does nothing.

    Raises:
        ValueError: If `TF_CONFIG` names several workers for another strategy.

    Example:

    >>> choose("none").num_replicas_in_sync
    1
    """
    addresses, own = named_workers()
    named = len(addresses)
    if named > 1 and distribute != "multi_worker":
        raise ValueError(
            "Invalid value for argument `distribute`. Expected 'multi_worker', "
            f"since TF_CONFIG names {named} workers, each of which would train "
            f"alone. Received: distribute={distribute!r}."
        )
    grow_memory()
    if distribute == "multi_worker" and own:
        wait_for(addresses, own)
    if distribute == "mirrored":
        devices = tf.config.list_logical_devices("GPU")
        devices = devices or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([each.name for each in devices])
    if distribute == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def named_workers() -> tuple[list[str], str]:
    """Returns who trains together, and which of them this machine is.

    Returns:
        HOST:PORT of each by `TF_CONFIG`, and its own, or nothing.

    Raises:
        ValueError: If that is malformed.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        found = parse_json(text, _VARIABLE, dict[str, Any])
        jobs, task = (
            typed(kind, found.get(key, {}), _VARIABLE, key)
            for key, kind in _PARTS.items()
        )
        named = {job: jobs.get(job, []) for job in TRAINERS}
        own = dict(enumerate(named.get(task.get("type"), [])))
        index = int(task.get("index", 0))
        addresses = [each for job in TRAINERS for each in named[job]]
        return addresses, own[index] if own else ""
    except (ValueError, KeyError) as error:
        raise ValueError(
            "Invalid value of the variable TF_CONFIG. Expected JSON with "
            f"`cluster` and `task`. Received: {text[:200]!r}."
        ) from error


def missing_gpu(distribute: str, precision: str) -> str | None:
    """Says in a sentence that a GPU is asked for and none is there.

    Args:
        distribute: What `choose` takes.
        precision: A policy; float16 without a GPU is a hundred times slower.

    Returns:
        The sentence, or None: there is one, or nobody asked.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    asked = [
        ("execution.distribute=mirrored", distribute == "mirrored"),
        ("precision=mixed_float16", precision == "mixed_float16"),
        (f"CUDA_VISIBLE_DEVICES={visible}", visible not in ("", "-1")),
    ]
    named = [name for name, is_asked in asked if is_asked]
    if not named:
        return None
    return (
        f"Careful: {' and '.join(named)} asks for a GPU, and TensorFlow sees "
        "none: the processors train, much slower; `wseg doctor` says more."
    )


def grow_memory() -> None:
    """Lets TensorFlow take the memory of GPUs as it needs it, not all."""
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:  # Something used the GPU before.
            LOG.warning("%s is in use; its memory will not grow.", device.name)


def workers(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns the number of machines and the place of this one among them.

    Args:
        strategy: A strategy.

    Example:

    >>> workers(tf.distribute.get_strategy())
    (1, 0)
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return 1, 0
    jobs = resolver.cluster_spec().as_dict()
    tasks = [
        (job, i) for job in TRAINERS for i in range(len(jobs.get(job, ())))
    ]
    return len(tasks), tasks.index((resolver.task_type, resolver.task_id))


def check_batch(batch: int, strategy: tf.distribute.Strategy) -> None:
    """Refuses a batch that replicas cannot share evenly.

    Args:
        batch: Images per step, over all replicas.
        strategy: A strategy.

    Raises:
        ValueError: If it is no multiple of the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if batch % replicas:
        raise ValueError(
            "Invalid value for argument `batch`. Expected a multiple of the "
            f"{replicas} replicas. Received: batch={batch}."
        )


def share(
    strategy: tf.distribute.Strategy,
    batches: Callable[[int, tuple[int, int]], tf.data.Dataset],
    batch: int,
    steps: int,
    skipped: int = 0,
) -> Iterable[Any]:
    """Returns the batches of one worker, each replica with its part.

    Args:
        strategy: A strategy.
        batches: Makes the data set of a number of images a batch and a shard
            (number of machines, place of this one).
        batch: Images per step, over all replicas.
        steps: Steps of an epoch.
        skipped: Steps to leave out at the beginning.

    Returns:
        What a training iterates over, once for each epoch.
    """
    replicas = strategy.num_replicas_in_sync
    machines = workers(strategy)
    local = replicas // machines[0]
    data: Any = batches(batch // replicas, machines)
    if replicas > 1:
        data = data.take(local * steps)
    if skipped:
        data = data.skip(local * skipped)
    if replicas > 1:
        own = data
        data = strategy.distribute_datasets_from_function(lambda context: own)
    shared: Iterable[Any] = data
    return shared
