"""What a compiled pipeline can be given anew for each run."""

from __future__ import annotations

import dataclasses
from typing import Any

from google.protobuf.message import Message
from tfx.orchestration.data_types import RuntimeParameter
from tfx.utils import json_utils, proto_utils

from pipeline.config.contents import schema_file
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.graph import Engine
from pipeline.ingest.drift import drift_reference
from pipeline.report.provenance import origin
from pipeline.runners.prepared import prepare
from wseg_tf import configuration
from wseg_tf.configuration import ConfigurationError
from wseg_tf.training.checkpoints import first_difference
from wseg_tf.training.recipe import BLESSED


class RunParameters:
    """The runtime parameters of a pipeline, with the values of this run.

    TFX gives a component a parameter as a whole: so these are the listed
    data, the recipe, the gate and the configuration, and not a number within
    them. All but the gate are paths below the root that change with what they
    hold, since Kubeflow refuses runs of many bytes.

    Args:
        values: Filled while the pipeline is built, by name.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def __call__(self, name: str, value: Any) -> RuntimeParameter:
        """Makes a value one that a run may replace."""
        self.values[name] = _text(value)
        return RuntimeParameter(name, str, self.values[name])


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    text: str
    if isinstance(value, Message):
        text = proto_utils.proto_to_json(value)
    else:
        text = json_utils.dumps(value)
    return text


def run_values(config: PipelineConfig) -> dict[str, str]:
    """Returns the values a run of a compiled pipeline is given.

    Args:
        config: The configuration of the run; its data are listed.

    Returns:
        Texts by parameter: `manifest`, `training`, `gate`, `config`,
        `written` and `origin`.
    """
    parameters = RunParameters()
    prepare(config).build(Engine(parameters, metadata=False, origin=origin()))
    return parameters.values


def refuse_fixed(compiled: PipelineConfig, run: PipelineConfig) -> None:
    """Refuses a run that differs in what was compiled in.

    Args:
        compiled: The configuration the pipeline was compiled from.
        run: The configuration of the run.

    Raises:
        ConfigurationError: If it differs in more than the data, the recipe
            and the gate; names the fields.
    """
    before, now = _fixed(compiled), _fixed(run)
    changed = [name for name in before if before[name] != now[name]]
    if changed:
        difference = first_difference(before, now)
        raise ConfigurationError(
            f"Invalid value for argument `{changed[0]}`. Expected what the "
            f"pipeline was compiled with; compile it again to change "
            f"{changed}. Received: {difference}."
        )


def _fixed(config: PipelineConfig) -> dict[str, Any]:
    data = config.data
    kubeflow = dataclasses.asdict(config.kubeflow)
    for where in ("host", "namespace", "service_account"):
        kubeflow.pop(where)  # Read when a run is submitted.
    return {
        "name": config.name,
        "root": config.root,
        "data.classes": data.class_set.as_dict(),
        "data.allowed_failures": data.allowed_failures,
        "data.validation": data.validated_on,
        "data.drift_limit": data.drift_limit,
        "data.drift_reference": drift_reference(data),
        "schema": configuration.text_of(schema_file(config)),
        "training.initial": (config.training.initial or "") == BLESSED,
        "beam": list(config.beam),
        "kubeflow": kubeflow,
    }
