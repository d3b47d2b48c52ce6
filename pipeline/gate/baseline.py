"""The baseline: the last blessed model before the one that is judged."""

from __future__ import annotations

import logging
import os
from typing import Any

import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.evaluator.constants import (
    ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY,
)
from tfx.types import standard_artifacts
from tfx.utils import path_utils

# Shown while a run goes on, as all that the library says.
LOG = logging.getLogger("wseg_tf.baseline")

# Custom property of a blessing whose model a rollback withdrew.
WITHDRAWN = "withdrawn"

Artifacts = dict[str, list[tfx.dsl.Artifact]]
_LATEST = tfx.dsl.experimental.LatestBlessedModelStrategy


class PreviousBlessedModel(_LATEST):  # type: ignore[misc, valid-type]
    """TFX's latest blessed model that is there and was not withdrawn.

    Nor is it the candidate itself: a model compared with itself loses nothing,
    so it would pass every rule about a change; and a run that repeats the last
    one would find another baseline, and judge and push the same model again.
    A model that was withdrawn may be judged anew by other rules and blessed
    again, and is no baseline for that.
    """

    def resolve_artifacts(self, store: Any, input_dict: Artifacts) -> Artifacts:
        """Picks the model and its blessing, for TFX's resolver."""
        left_out = {each.id for each in input_dict["candidate"]} | {
            each.get_int_custom_property(ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY)
            for each in input_dict["model_blessing"]
            if each.get_int_custom_property(WITHDRAWN)
        }
        others = {
            "model": [
                each for each in input_dict["model"] if each.id not in left_out
            ],
            "model_blessing": input_dict["model_blessing"],
        }
        found: Artifacts = super().resolve_artifacts(store, others)
        while found["model"] and not _is_there(found["model"][0]):
            gone = found["model"][0].id
            others["model"] = [m for m in others["model"] if m.id != gone]
            found = super().resolve_artifacts(store, others)
        return {**found, "candidate": input_dict["candidate"]}


def _is_there(model: tfx.dsl.Artifact) -> bool:
    """Whether a model's files are where they were written."""
    folder = path_utils.serving_model_path(model.uri)
    there = tf.io.gfile.exists(os.path.join(folder, "saved_model.pb"))
    if not there:
        LOG.info("%s is gone (moved or deleted), so it is no baseline.", folder)
    return bool(there)


def find_baseline(model: Any) -> Any:
    """Returns the node that finds the baseline of a model.

    Args:
        model: Channel of the model that will be judged.

    Returns:
        A resolver; its `outputs["model"]` is empty if nothing was blessed.
    """
    return tfx.dsl.Resolver(
        strategy_class=PreviousBlessedModel,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
        candidate=model,
    ).with_id("Baseline")


def find_baseline_by_type(model: Any) -> Any:
    """Returns the node that finds a baseline by what a pipeline spec can say.

    It knows TFX's own strategies alone: the last blessed model, even when it
    is the candidate, found again because nothing has changed.

    Args:
        model: Channel of the model that will be judged; not asked for.

    Returns:
        A resolver; its `outputs["model"]` is empty if nothing was blessed.
    """
    return find_blessed("Baseline")


def find_blessed(name: str = "WarmStart") -> Any:
    """Returns the node that finds the last blessed model, to start from.

    Args:
        name: The node's id.

    Returns:
        A resolver; its `outputs["model"]` is empty if nothing was blessed.
    """
    return tfx.dsl.Resolver(
        strategy_class=_LATEST,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
    ).with_id(name)
