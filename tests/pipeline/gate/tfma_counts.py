"""TFMA's own counts of true and false positives: an oracle for ours."""

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.testing.util import BeamAssertException, assert_that
from tensorflow_model_analysis.proto import config_pb2

from wseg_tf.classes import CAMVID
from wseg_tf.data.input import read_records
from wseg_tf.serving import ServedModel


def assert_tfma_counts(
    records: Path, model: Path, expected: dict[tuple[str, int], int]
) -> None:
    served = ServedModel(str(model))
    extracts = []
    for record in read_records(f"{records}/Split-eval/*", ""):
        encoded = record["image/encoded"].numpy()
        predicted = tf.io.encode_png(served.segment(encoded)[..., None])
        maps = {
            "labels": {"truth": record["label/encoded"]},
            "predictions": {"predicted": predicted},
        }
        features = {
            kind: {name: np.array([own.numpy()]) for name, own in each.items()}
            for kind, each in maps.items()
        }
        extracts.append({"features": features})
    metrics = [
        config_pb2.MetricConfig(
            class_name=f"SemanticSegmentation{kind}Positive",
            config=json.dumps(
                {
                    "class_ids": [*range(len(CAMVID))],
                    "ground_truth_key": "truth",
                    "prediction_key": "predicted",
                    "decode_prediction": True,
                    "ignore_ground_truth_id": CAMVID.void,
                    "name": kind,
                }
            ),
        )
        for kind in ("True", "False")
    ]
    config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                label_key="labels", prediction_key="predictions"
            )
        ],
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )

    def check(slices: Any) -> None:
        ((_, values),) = slices
        found = {
            (key.name, key.sub_key.class_id): int(value)
            for key, value in values.items()
            if key.sub_key is not None
        }
        if found != expected:
            raise BeamAssertException(f"{found} is not {expected}")

    with beam.Pipeline() as pipeline:
        evaluated = (
            pipeline
            | beam.Create(extracts)
            | tfma.ExtractAndEvaluate(
                extractors=tfma.default_extractors(
                    eval_shared_model=None, eval_config=config
                ),
                evaluators=tfma.default_evaluators(eval_config=config),
            )
        )
        assert_that(evaluated["metrics"], check)
