"""`wseg train`: a recipe without TFX; run again, it goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from pipeline.commands.arguments import (
    ConfigFile,
    DataFolder,
    JsonFile,
    OutFolder,
    Overrides,
)
from pipeline.commands.evaluate import show_scores
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import (
    ERRORS,
    FAILURE,
    INTERRUPTED,
    SCREEN,
    fail,
    refusals,
    refuse,
    say,
)

if TYPE_CHECKING:
    from wseg_tf.metrics.confusion import Counts
    from wseg_tf.serving import ServedModel
    from wseg_tf.training.observers import Observer

# Everything heavy is imported inside the commands, as in pipeline.commands.run.

CHECKPOINTS = "checkpoints"
STORY = "failure.log"
FINISHED = "recipe.json"  # Written last, with the recipe of the model.


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    data: DataFolder = None,
    out: OutFolder = None,
    report: JsonFile = None,
) -> None:
    """Trains by a config's recipe; the same command again goes on.

    Model, history and plots go to --out, or ROOT/NAME/training.
    """
    with refusals():
        import tensorflow as tf

        from pipeline.commands.outputs import check_outputs
        from pipeline.config.loading import load_pipeline
        from pipeline.gate.counting import count_images
        from pipeline.ingest.listing import find_splits
        from pipeline.ingest.manifest import contents_digest
        from pipeline.release.model_files import versions
        from wseg_tf.data.input import read_pairs
        from wseg_tf.data.inspection import refuse_problems
        from wseg_tf.filesystems import is_remote
        from wseg_tf.locks import held
        from wseg_tf.serving import ServedModel, export
        from wseg_tf.training.identity import identity
        from wseg_tf.training.loop import train as train_model
        from wseg_tf.training.objectives import build_ground, check, resolve
        from wseg_tf.training.recipe import BLESSED
        from wseg_tf.training.strategy import choose, named_workers, workers
        from wseg_tf.training.warm_start import newest_version

        check_outputs(json_target(report), [config])
        settings = load_pipeline(config, overrides or [], data)
        recipe, classes = settings.training, settings.data.class_set
        if recipe.initial == BLESSED:
            pushed = settings.folder("serving")
            start = pushed if versions(pushed) else None
            recipe = dataclasses.replace(recipe, initial=start)
        if recipe.initial and tf.io.gfile.isdir(recipe.initial):
            # One version, and not whichever is the newest later.
            start = newest_version(recipe.initial)
            recipe = dataclasses.replace(recipe, initial=start)
        folder = out or settings.folder("training")
        described = settings.data.layout

        def whose(pairs: dict[str, list[Any]]) -> dict[str, Any]:
            resolved = resolve(recipe, classes)
            digest = contents_digest(pairs, described)
            own = identity(resolved, classes, digest)
            # They are exported with the model, which is judged by them.
            return {**own, "critical": [*classes.critical]}

        # Nobody comes to meet a worker whose training has ended.
        if len(named_workers()[0]) > 1 and _has_ended(folder):
            check(recipe, classes)
            if _is_finished(folder, whose(find_splits(settings))):
                say(f"Finished before. Model: {folder}")
                return
        # Workers must meet before TensorFlow does anything else.
        strategy = choose(recipe.execution.distribute)
        check(recipe, classes)
        recipe = resolve(recipe, classes)
        is_chief = workers(strategy)[1] == 0
    with contextlib.ExitStack() as stack:
        with refusals():
            if is_chief and not is_remote(folder):
                stack.enter_context(held(folder, "a training"))
            pairs = find_splits(settings)
            own = whose(pairs)
            if _is_finished(folder, own):
                say(f"Finished before. Model: {folder}")
                return
            refuse_problems([*chain(*pairs.values())], described)
            training, validation = (
                read_pairs(pairs[split], described)
                for split in ("train", settings.data.validated_on)
            )
        with endings(folder), log_lines():
            model = train_model(
                recipe,
                classes,
                training,
                validation,
                checkpoints=os.path.join(folder, CHECKPOINTS),
                logs=folder,
                observers=_observers(),
            )
            if not is_chief:
                return  # The first worker writes the model.
            ground = build_ground(recipe.ground, classes)
            export(
                model,
                folder,
                classes,
                recipe.height,
                recipe.width,
                ground,
                recipe.decision,
                recipe.max_pixels,
                recipe.views,
            )
            served = ServedModel(folder)
            images = count_images(
                served.count_confusion, pairs["eval"], described
            )
            counts = images.candidate.sum(axis=0)
            values = show_scores(served, counts, len(pairs["eval"]))
            write_json(report, values)
            _draw(folder, served, counts)
            _refuse_changed(own["data"], contents_digest(pairs, described))
            _finish(folder, own)
    say(f"Model: {folder}")


def _has_ended(folder: str) -> bool:
    """Whether a training has ended there."""
    import tensorflow as tf

    # It may have been killed while the model was written.
    killed = tf.io.gfile.exists(os.path.join(folder, CHECKPOINTS))
    model = os.path.join(folder, "saved_model.pb")
    return not killed and bool(tf.io.gfile.exists(model))


def _is_finished(folder: str, own: dict[str, Any]) -> bool:
    """Whether the folder's model is this recipe's; another's is refused."""
    from wseg_tf.cards import model_digest
    from wseg_tf.json_files import read_json
    from wseg_tf.training.checkpoints import first_difference

    if not _has_ended(folder):
        return False
    try:
        found = read_json(os.path.join(folder, FINISHED))
        wanted = {**own, "model": model_digest(folder)}
        difference = first_difference(found, wanted)
    except FileNotFoundError:
        difference = "its recipe is unknown"
    if difference is not None:
        refuse(
            f"{folder} holds another recipe's model already ({difference}); "
            "choose another --out."
        )
    return True


def _refuse_changed(before: str, now: str) -> None:
    """Refuses a model of frames that changed while it was trained."""
    from wseg_tf.data.checks import DataError

    if before != now:
        raise DataError(
            "Invalid data. Expected frames that stay as they are while they "
            f"are used. Found: others (digest {before} before, {now} now); "
            "delete the folder, or choose another --out, and run again."
        )


def _finish(folder: str, own: dict[str, Any]) -> None:
    """Says whose model it is, and deletes what only a resume needs."""
    from wseg_tf.cards import model_digest
    from wseg_tf.filesystems import write_whole
    from wseg_tf.training.checkpoints import Checkpoints

    content = {**own, "model": model_digest(folder)}
    text = json.dumps(content, indent=1)
    write_whole(os.path.join(folder, FINISHED), text)
    Checkpoints(os.path.join(folder, CHECKPOINTS)).remove()


def _draw(folder: str, served: ServedModel, counts: Counts) -> None:
    """Draws the curves, the IoUs and the confusion beside the model."""
    import tensorflow as tf

    from wseg_tf.plots import plot_confusion, plot_history, plot_iou
    from wseg_tf.training.history import read_history
    from wseg_tf.training.loop import HISTORY

    rows = read_history(os.path.join(folder, HISTORY))
    figures = {
        "history.png": plot_history(rows),
        "iou.png": plot_iou({"model": counts}, served.classes),
        "confusion.png": plot_confusion(counts, served.classes),
    }
    for name, figure in figures.items():
        path = os.path.join(folder, name)
        with tf.io.gfile.GFile(path, "wb") as file:
            figure.savefig(file, format="png")
    say(f"Plots: {', '.join(figures)} in {folder}")


def _observers() -> Sequence[Observer]:
    from pipeline.commands.progress import ProgressBar
    from wseg_tf.training.observers import LogLines

    return [ProgressBar(SCREEN) if SCREEN.is_terminal else LogLines()]


@contextlib.contextmanager
def endings(folder: str) -> Iterator[None]:
    """Says in a sentence why a training ended before its end.

    Args:
        folder: Where the whole story is written; at its end there is none.
    """
    import tensorflow as tf

    from wseg_tf.configuration import ConfigurationError
    from wseg_tf.data.checks import DataError
    from wseg_tf.training.guard import DivergedError
    from wseg_tf.training.interruption import Interrupted, terminable

    story = os.path.join(folder, STORY)
    try:
        with terminable():
            yield
        if tf.io.gfile.exists(story):  # Of a failure before.
            tf.io.gfile.remove(story)
    except (ConfigurationError, DataError) as error:
        refuse(error)
    except DivergedError as error:
        ERRORS.print(str(error))
        sys.exit(FAILURE)
    except Interrupted as interruption:
        ERRORS.print(str(interruption))
        # As shells count: 130 for Ctrl-C, 143 for SIGTERM.
        sys.exit(INTERRUPTED - signal.SIGINT + interruption.number)
    except Exception as error:
        fail(error, _tell(story))


def _tell(path: str) -> str | None:
    """Writes where an error came from; returns None if that is impossible."""
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(traceback.format_exc())
    except (tf.errors.OpError, OSError):
        return None
    return path


@contextlib.contextmanager
def log_lines() -> Iterator[None]:
    """Shows what the training says."""

    class Show(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage())

    logger, handler = logging.getLogger("wseg_tf"), Show(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
