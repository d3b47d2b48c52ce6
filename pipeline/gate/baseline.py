"""The last blessed model: what another is compared with, or starts from."""

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
# Input of the resolver: the model that will be judged.
CANDIDATE = "candidate"

Artifacts = dict[str, list[tfx.dsl.Artifact]]
_LATEST = tfx.dsl.experimental.LatestBlessedModelStrategy


class LastBlessedModel(_LATEST):  # type: ignore[misc, valid-type]
    """TFX's latest blessed model that is there and was not withdrawn.

    Nor is it the candidate, where there is one: a model compared with itself
    loses nothing, so it would pass every rule about a change; and a run that
    repeats the last one would find another baseline, and judge and push the
    same model again. A model that was withdrawn may be judged anew by other
    rules and blessed again, and is no baseline for that, nor a start.
    """

    def resolve_artifacts(self, store: Any, input_dict: Artifacts) -> Artifacts:
        """Picks the model and its blessing, for TFX's resolver."""
        candidate = input_dict.get(CANDIDATE, [])
        left_out = {each.id for each in candidate} | {
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
        return {**input_dict, **found}


def _is_there(model: tfx.dsl.Artifact) -> bool:
    """Whether a model's files are where they were written."""
    folder = path_utils.serving_model_path(model.uri)
    there = tf.io.gfile.exists(os.path.join(folder, "saved_model.pb"))
    if not there:
        LOG.info("%s is gone (moved or deleted), so it is left out.", folder)
    return bool(there)


def find_blessed(name: str, candidate: Any = None) -> Any:
    """Returns the node that finds the last blessed model that stands.

    Args:
        name: The node's id.
        candidate: Channel of the model that will be judged, which is not what
            is looked for. Defaults to None.

    Returns:
        A resolver; its `outputs["model"]` is empty if nothing was blessed.
    """
    own = {} if candidate is None else {CANDIDATE: candidate}
    return _resolver(name, LastBlessedModel, **own)


def find_blessed_by_type(name: str, candidate: Any = None) -> Any:
    """Returns the node that finds a model by what a pipeline spec can say.

    It knows TFX's own strategies alone: the last blessed model, even when it
    is the candidate, found again because nothing has changed, or is gone.

    Args:
        name: The node's id.
        candidate: Not asked for.

    Returns:
        A resolver; its `outputs["model"]` is empty if nothing was blessed.
    """
    return _resolver(name, _LATEST)


def _resolver(name: str, strategy: Any, **inputs: Any) -> Any:
    return tfx.dsl.Resolver(
        strategy_class=strategy,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
        **inputs,
    ).with_id(name)
