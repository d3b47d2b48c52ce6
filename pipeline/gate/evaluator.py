"""TFX's Evaluator, of models and records that are what was written."""

from __future__ import annotations

from typing import Any

from tfx import v1 as tfx
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import (
    BASELINE_MODEL_KEY,
    BLESSING_KEY,
    EVALUATION_KEY,
    EXAMPLES_KEY,
    MODEL_KEY,
)
from tfx.utils import path_utils

from pipeline.gate.digests import record, verify
from wseg_tf.cards import read_card
from wseg_tf.data.checks import DataError

EVALUATED = "eval"
# Custom properties of the blessing: what was judged, by its digest.
JUDGED = "judged"
AGAINST = "against"
ON = "records"


class VerifyingExecutor(Executor):
    """TFX's, but it judges no files that changed since they were written."""

    def Do(self, input_dict, output_dict, exec_properties):  # type: ignore[no-untyped-def]  # noqa: N802
        """Verifies what is judged, judges it, and notes what it was."""
        before = _verified(input_dict)
        _check_baseline(input_dict)
        super().Do(input_dict, output_dict, exec_properties)
        _verified(input_dict)  # Nor did they change meanwhile.
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        for key, digest in before.items():
            blessing.set_string_custom_property(key, digest)
        for evaluation in output_dict.get(EVALUATION_KEY) or []:
            record(evaluation, evaluation.uri)


def _verified(given: dict[str, list[Any]]) -> dict[str, str]:
    found = {}
    for key, name in ((MODEL_KEY, JUDGED), (BASELINE_MODEL_KEY, AGAINST)):
        for model in given.get(key) or []:
            folder = path_utils.serving_model_path(model.uri)
            found[name] = verify(model, folder)
    for examples in given[EXAMPLES_KEY]:
        folder = artifact_utils.get_split_uri([examples], EVALUATED)
        found[ON] = verify(examples, folder, EVALUATED)
    return found


def _check_baseline(given: dict[str, list[Any]]) -> None:
    """Refuses a baseline that would count the candidate's labels as others."""
    models = [
        read_card(path_utils.serving_model_path(model.uri))[0]
        for key in (MODEL_KEY, BASELINE_MODEL_KEY)
        for model in given.get(key) or []
    ]
    for theirs in models[1:]:
        ours = models[0]
        if (ours.names, ours.void) != (theirs.names, theirs.void):
            raise DataError(
                "Invalid baseline. Expected the classes of the model that is "
                f"judged, {[*ours.names]}, void {ours.void}. Found: "
                f"{[*theirs.names]}, void {theirs.void}; `wseg baseline "
                "CONFIG --reset REASON` forgets it."
            )


class Evaluator(tfx.components.Evaluator):
    """TFX's Evaluator with `VerifyingExecutor`."""

    EXECUTOR_SPEC = BeamExecutorSpec(VerifyingExecutor)
