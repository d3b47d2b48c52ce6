"""The Beam steps of the pipeline on an engine of another language.

Prism is a program in Go that speaks the protocol of Flink's and Spark's job
servers; the work is done by Python workers that it does not start itself.
"""

import json
import shlex
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    DatasetFeatureStatistics,
    DatasetFeatureStatisticsList,
)
from tfx.components.evaluator.executor import Executor as Evaluator
from tfx.components.statistics_gen.executor import Executor as StatisticsGen
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from pipeline.adaptation.pseudo_labels import Labeller, write_pseudo_labels
from pipeline.config.beam_options import IN_MEMORY, parse_options
from pipeline.gate.evaluation import eval_config, read_evaluation
from pipeline.gate.rules import Gate, Rule
from pipeline.ingest.convert import convert
from pipeline.ingest.manifest import write_manifest
from pipeline.ingest.records import write_records
from tests.environments.kept_run import OTHER, unpack
from tests.pipeline.runners.prism import binary, kill_workers, prism
from wseg_tf import configuration
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.classes import CAMVID
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.recipe import Recipe

pytestmark = [
    pytest.mark.skipif(binary() is None, reason="no Prism: `make prism`"),
    pytest.mark.skipif(
        version("apache-beam").startswith("2.5"),
        reason="Prism asks for a newer Beam than 2.59",
    ),
]
GROUND = GroundMatrix.severity_aware(CAMVID)
SPLITS = ["train", "eval"]
FRAMES, A_MEGABYTE = 2000, 1


@pytest.fixture(scope="module")
def on_prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with prism(tmp_path_factory.mktemp("prism")) as options:
        yield options


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of before: its records and its model are judged anew."""
    return unpack(OTHER, tmp_path_factory.mktemp("runs")) / "pipeline"


def contents(folder: Path) -> dict[str, bytes]:
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    assert found
    return found


def artifact(kind: Any, uri: Path) -> Any:
    found = kind()
    found.uri = str(uri)
    return found


def examples(made: Path) -> Any:
    (folder,) = (made / "Ingest" / "examples").iterdir()
    found = artifact(standard_artifacts.Examples, folder)
    found.split_names = json.dumps(SPLITS)
    return found


def context(kind: Any, options: Sequence[str], folder: Path) -> Any:
    return kind.Context(
        beam_pipeline_args=list(options),
        tmp_dir=str(folder / "tmp"),
        unique_id="0",
    )


def test_records_are_the_same_bytes(
    street_folder: Path, tmp_path: Path, on_prism: list[str]
) -> None:
    pairs = {
        split: [
            pair
            for pair in find_pairs("camvid", str(street_folder))
            if pair.split == split
        ]
        for split in ("train", "val")
    }
    Path(pairs["train"][1].label).write_bytes(b"\x89PNG torn")
    for name, options in (("here", IN_MEMORY), ("there", on_prism)):
        folder = tmp_path / name
        manifest = write_manifest(str(folder), pairs, layout("camvid"), 1e-6)
        out = str(folder / "out")
        root = beam.Pipeline(options=parse_options(options))
        write_records(root, manifest, list(pairs), out, out, out)
    assert contents(tmp_path / "here/out") == contents(tmp_path / "there/out")


def test_a_killed_worker_fails_the_job_and_the_next_run_goes_on(
    street_folder: Path, tmp_path: Path
) -> None:
    train = find_pairs("camvid", str(street_folder), "train")
    # Enough that a worker is killed in the midst of them.
    pairs = {
        "train": [
            replace(pair, name=f"{number}_{pair.name}")
            for number in range(FRAMES // len(train))
            for pair in train
        ]
    }

    def convert_to(name: str, options: Sequence[str]) -> Path:
        out = tmp_path / name
        convert(
            pairs,
            layout("camvid"),
            str(out),
            0,
            shlex.join(options),
            A_MEGABYTE,
        )
        return out

    killed: list[int] = []
    with prism(tmp_path) as options:

        def kill() -> None:
            pattern = "there*/Split-train/data_tfrecord-*"
            while not any(tmp_path.glob(pattern)) and not is_over.wait(0.005):
                pass
            killed.append(kill_workers())

        is_over = threading.Event()
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(Exception, match=r"(?i)fail|worker|cancel"):
            convert_to("there", options)
        is_over.set()
        killer.join()
        assert killed == [1]
        # Nothing looks whole, and nothing is left beside it.
        assert not [*tmp_path.glob("there*")]
        there = convert_to("there", options)
    assert contents(there) == contents(convert_to("here", IN_MEMORY))


def statistics(folder: Path) -> dict[str, list[bytes]]:
    """Each feature's; TFDV writes them in the order in which they arrive."""
    found = {}
    for name, content in contents(folder).items():
        (read,) = DatasetFeatureStatisticsList.FromString(content).datasets
        head = DatasetFeatureStatistics(num_examples=read.num_examples)
        found[name] = [
            each.SerializeToString(deterministic=True)
            for each in [
                head,
                *sorted(read.features, key=lambda f: str(f.path)),
            ]
        ]
    return found


def test_the_statistics_of_every_feature_are_the_same_bytes(
    made: Path, tmp_path: Path, on_prism: list[str]
) -> None:
    for name, options in (("here", IN_MEMORY), ("there", on_prism)):
        folder = tmp_path / name
        written = artifact(standard_artifacts.ExampleStatistics, folder / "out")
        StatisticsGen(context(StatisticsGen, options, folder)).Do(
            {"examples": [examples(made)]},
            {"statistics": [written]},
            {"exclude_splits": "[]"},
        )
    found = statistics(tmp_path / "here/out")
    assert found == statistics(tmp_path / "there/out")
    assert {*found} == {f"Split-{each}/FeatureStats.pb" for each in SPLITS}


def test_the_verdict_and_every_figure_are_the_same(
    made: Path, tmp_path: Path, on_prism: list[str]
) -> None:
    gate = Gate([Rule("mean_iou", floor=0.0), Rule("iou/car", floor=0.99)])
    (model,) = (made / "Trainer" / "model").iterdir()
    found = []
    for name, options in (("here", IN_MEMORY), ("there", on_prism)):
        folder = tmp_path / name
        config = eval_config(gate, CAMVID, GROUND, str(tmp_path))
        blessing = artifact(standard_artifacts.ModelBlessing, folder / "bless")
        evaluation = artifact(
            standard_artifacts.ModelEvaluation, folder / "out"
        )
        Evaluator(context(Evaluator, options, folder)).Do(
            {
                "examples": [examples(made)],
                "model": [artifact(standard_artifacts.Model, model)],
            },
            {"evaluation": [evaluation], "blessing": [blessing]},
            {
                "eval_config": proto_utils.proto_to_json(config),
                "example_splits": '["eval"]',
            },
        )
        read = read_evaluation(str(folder / "out"))
        blessed = blessing.get_int_custom_property("blessed")
        found.append((blessed, repr(read.values), read.images.to_bytes()))
    assert found[0] == found[1]
    assert found[0][0] == 0


def test_pseudo_labels_are_the_same_bytes(
    made: Path, tmp_path: Path, on_prism: list[str]
) -> None:
    recipe = Recipe(
        model="fcn32s", channel_factor=0.01, height=32, width=64, batch=2
    )
    (model,) = (made / "Trainer" / "model").iterdir()
    recipe.initial = f"{model}/Format-Serving"
    labeller = Labeller(
        configuration.dump(recipe),
        configuration.dump(SelfTraining()),
        json.dumps(CAMVID.as_dict()),
        0,
    )
    files = sorted(map(str, made.glob("Ingest/examples/*/Split-train/*")))
    for name, options in (("here", IN_MEMORY), ("there", on_prism)):
        root = beam.Pipeline(options=parse_options(options))
        write_pseudo_labels(root, labeller, files, str(tmp_path / name))
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
