"""Hand-made models through the real Evaluator, serving check and Pusher."""

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from tfx import v1 as tfx
from tfx.types import standard_artifacts
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import REFUSED
from pipeline.config.data_options import DataOptions
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.gate.digests import WARMUP, digest
from pipeline.gate.evaluation import Evaluation, read_evaluation
from pipeline.gate.judge import Finding, judge
from pipeline.gate.rules import Gate, Rule
from pipeline.graph import promote
from pipeline.ingest.manifest import write_manifest
from pipeline.ingest.records import write_records
from pipeline.release.lineage import latest_run
from pipeline.release.model_files import versions
from pipeline.release.releases import reset_baseline
from pipeline.report.facts import finding_json
from tests.pipeline.gate.hand_made import (
    GROUND,
    Error,
    export_model,
    swap_serving,
    vouch,
    write_images,
)
from tests.pipeline.gate.tfma_counts import assert_tfma_counts
from wseg_tf import configuration
from wseg_tf.classes import CAMVID
from wseg_tf.data.layouts import find_pairs, layout

DRIVES = ["A", "B", "C"]
PER_DRIVE = 4
GATE = Gate(
    [
        Rule("iou/critical", floor=0.5),
        Rule("iou/pedestrian", floor=0.4, every="drive"),
        Rule("iou/pedestrian", floor=0.5, confidence=0.95),
        Rule("iou/critical", allowed_loss=0.05, confidence=0.95),
        Rule("mean_iou", floor=0.3),
    ]
)


class Place:
    """A pipeline that judges models one after another."""

    def __init__(self, root: Path, records: Path) -> None:
        self.root, self.records = root, records

    def config(self, gate: Gate = GATE) -> PipelineConfig:
        data = DataOptions(dataset="camvid")
        return PipelineConfig("made", str(self.root), data=data, gate=gate)

    def noted(self, model: Path) -> str:
        """Returns the digest that a Trainer would have noted."""
        return digest(str(model / "Format-Serving"))

    def judge(
        self, name: str, errors: list[Error] | None = None, gate: Gate = GATE
    ) -> "Run":
        """Judges the model of this name, exporting it when it is new."""
        folder = self.root / "models" / name
        if not folder.exists():
            export_model(folder / "Format-Serving", errors or [])
        return self.run(folder, gate)

    def run(self, model: Path, gate: Gate = GATE) -> "Run":
        config = self.config(gate)
        examples = tfx.dsl.Importer(
            source_uri=str(self.records),
            artifact_type=standard_artifacts.Examples,
            properties={"split_names": '["eval"]'},
            custom_properties={
                "eval": digest(str(self.records / "Split-eval"))
            },
        ).with_id("Examples")
        imported = tfx.dsl.Importer(
            source_uri=str(model),
            artifact_type=standard_artifacts.Model,
            custom_properties={"sha256": self.noted(model)},
        ).with_id("Model")
        channels = examples.outputs["result"], imported.outputs["result"]
        connection = (
            tfx.orchestration.metadata.sqlite_metadata_connection_config
        )
        tfx.orchestration.LocalDagRunner().run(
            tfx.dsl.Pipeline(
                pipeline_name=config.name,
                pipeline_root=config.folder("pipeline"),
                components=[
                    examples,
                    imported,
                    *promote(config, *channels, GROUND),
                ],
                enable_cache=True,
                metadata_connection_config=connection(
                    config.folder("metadata.sqlite")
                ),
                beam_pipeline_args=list(config.beam),
            )
        )
        return Run(self, gate)

    @property
    def served(self) -> list[int]:
        return versions(self.config().folder("serving"))


class Run:
    """What a run left, read back from ML Metadata."""

    def __init__(self, place: Place, gate: Gate) -> None:
        self.gate = gate
        self.steps = latest_run(place.config().folder("metadata.sqlite"))

    def output(self, step: str, channel: str) -> Any:
        (artifact,) = self.steps[step].outputs[channel]
        return artifact

    @property
    def blessing(self) -> dict[str, Any]:
        return dict(self.output("Evaluator", "blessing").properties)

    @property
    def check(self) -> dict[str, Any]:
        found = self.output("ServingCheck", "infra_blessing").properties
        return dict(found)

    @property
    def pushed(self) -> str:
        found = self.output("Pusher", "pushed_model").properties
        return str(found.get("pushed_destination", ""))

    @property
    def evaluation(self) -> Evaluation:
        return read_evaluation(self.output("Evaluator", "evaluation").uri)

    @property
    def findings(self) -> list[Finding]:
        images = self.evaluation.images
        return judge(self.gate, images, CAMVID, GROUND)

    @property
    def failed(self) -> list[str]:
        """Titles of the rules that fail; the verdict must be the same."""
        failed = [f.rule.title for f in self.findings if not f.holds]
        assert self.blessing["blessed"] == (not failed)
        return failed


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    data = write_images(folder / "data", DRIVES, PER_DRIVE)
    pairs = find_pairs("camvid", str(data), "val")
    manifest = write_manifest(
        str(folder / "manifest"),
        {"train": pairs, "eval": pairs},
        layout("camvid"),
    )
    write_records(
        beam.Pipeline(),
        manifest,
        ("train", "eval"),
        str(folder / "examples"),
        str(folder / "quarantine"),
        str(folder / "counts"),
    )
    return folder / "examples"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, records: Path) -> Place:
    return Place(tmp_path_factory.mktemp("made"), records)


@pytest.fixture(scope="module")
def first(place: Place) -> Run:
    """A decent model that mixes up trees and buildings."""
    errors = [
        ("tree", "building", 0.4),
        ("building", "tree", 0.4),
        ("pedestrian", "pole", 0.2),
        ("car", "road", 0.2),
    ]
    return place.judge("first", errors)


def test_a_first_good_model_is_blessed_checked_and_pushed(
    place: Place, first: Run
) -> None:
    assert first.failed == []
    assert "baseline_model" not in first.blessing
    assert first.check["blessed"] == 1, first.check
    (version,) = place.served
    assert first.pushed == place.config().folder("serving", str(version))


def test_what_is_pushed_is_what_was_evaluated_and_served(
    place: Place, first: Run
) -> None:
    source = place.root / "models" / "first" / "Format-Serving"
    assert digest(first.pushed) == digest(str(source))
    assert (Path(first.pushed) / WARMUP).stat().st_size > 0


def test_the_evaluators_figures_are_the_judges_own(first: Run) -> None:
    values = first.evaluation.values
    found = {
        f"rule/{i}/{f.rule.metric}": f.figure
        for i, f in enumerate(first.findings)
    }
    assert {k: v for k, v in values.items() if k.startswith("rule/")} == found
    # By hand: the errors are the pixels whose blue is below 20 % of 256.
    confusion = first.evaluation.images.candidate.sum(axis=0)
    pedestrian, pole = CAMVID.index("pedestrian"), CAMVID.index("pole")
    truth = confusion[pedestrian].sum()
    assert confusion[pedestrian, pole] + confusion[pedestrian, pedestrian] == (
        truth
    )
    assert values["iou/pedestrian"] == (
        confusion[pedestrian, pedestrian] / truth
    )
    assert 0.7 < values["iou/pedestrian"] < 0.9


@pytest.mark.parametrize(
    ("name", "errors", "failed"),
    [
        (
            "swaps pedestrian and pole",
            [("pedestrian", "pole", 1.0), ("pole", "pedestrian", 1.0)],
            "iou/pedestrian: at least 0.5",
        ),
        (
            "ignores bicyclists",
            [("bicyclist", "road", 1.0)],
            "iou/bicyclist: at least 0.5",
        ),
        (
            "better mean but worse pedestrian",
            [("pedestrian", "pole", 0.35)],
            "iou/pedestrian: a loss of at most 0.05, with 0.95 confidence "
            "over images",
        ),
    ],
)
def test_a_model_that_is_worse_where_it_matters_is_refused(
    place: Place, first: Run, name: str, errors: list[Error], failed: str
) -> None:
    run = place.judge(name, errors)
    assert failed in run.failed
    if name.startswith("better"):
        assert run.failed == [failed]
        measured = run.evaluation
        assert measured.values["mean_iou"] > measured.baseline["mean_iou"]
    assert run.check["blessed"] == 0
    assert run.pushed == ""
    assert len(place.served) == 1


def test_equal_within_noise_passes_within_the_margin(
    place: Place, first: Run
) -> None:
    errors = [("pedestrian", "road", 0.205), ("car", "sidewalk", 0.205)]
    strict = Gate([Rule("iou/critical", allowed_loss=0.0, confidence=0.95)])
    assert place.judge("equal", errors, strict).failed == [
        "iou/car: a loss of at most 0, with 0.95 confidence over images",
        "iou/pedestrian: a loss of at most 0, with 0.95 confidence over images",
    ]
    assert len(place.served) == 1
    run = place.judge("equal")
    assert run.failed == []
    assert run.blessing["baseline_model"].endswith("first")
    assert len(place.served) == 2


def test_a_perfect_model_is_pushed_and_becomes_the_next_baseline(
    place: Place, first: Run
) -> None:
    before = place.served
    run = place.judge("perfect")
    assert run.failed == []
    assert run.evaluation.values["critical_minimum_iou"] == 1.0
    assert len(place.served) == len(before) + 1
    after = place.judge("first")
    assert after.blessing["baseline_model"].endswith("perfect")
    assert after.blessing["blessed"] == 0


def test_after_a_reset_there_is_no_baseline(place: Place, first: Run) -> None:
    assert "baseline_model" in place.judge("third", []).blessing
    reset_baseline(place.config().folder(), "a test")
    required = Gate(GATE.rules, baseline="required")
    run = place.judge("third", gate=required)
    assert len(run.failed) == 3
    assert "baseline_model" not in run.blessing


def test_an_identical_run_judges_and_pushes_nothing_again(
    place: Place, first: Run
) -> None:
    place.judge("perfect")
    before = place.served
    again = place.judge("perfect")
    assert again.steps["Evaluator"].state == "cached"
    assert again.steps["Pusher"].state == "cached"
    # Blessed anew under other rules, the same model is not pushed twice.
    other = Gate([Rule("iou/critical", floor=0.6)])
    assert place.judge("perfect", gate=other).blessing["blessed"] == 1
    assert place.served == before


@pytest.mark.parametrize("name", ["first", "worse"])
def test_the_gate_command_gives_the_same_verdict_and_figures(
    place: Place, records: Path, first: Run, tmp_path: Path, name: str
) -> None:
    run = first
    if name == "worse":
        run = place.judge(name, [("pedestrian", "pole", 0.35)])
    rules = tmp_path / "rules.yaml"
    rules.write_text(configuration.dump(GATE))
    found = tmp_path / "found.json"
    model = place.root / "models" / name / "Format-Serving"
    data = records.parent / "data"
    arguments = [str(model), str(data), str(rules), f"--json={found}"]
    if name == "worse":
        # The last model that was blessed when it was judged.
        older = Path(run.blessing["baseline_model"]) / "Format-Serving"
        arguments += ["--baseline", str(older)]
    result = CliRunner().invoke(app, ["gate", *arguments])
    assert bool(run.failed) is (name == "worse")
    assert result.exit_code == (REFUSED if run.failed else 0), result.output
    assert json.loads(found.read_text()) == [
        finding_json(each) for each in run.findings
    ]
    values = run.evaluation.values
    figures = [each.figure for each in run.findings]
    assert figures == [v for k, v in values.items() if k.startswith("rule/")]
    word = "refused" if run.failed else "passes"
    assert f"Verdict: {word}: " in result.output


def test_tfmas_own_counts_agree(
    place: Place, records: Path, first: Run
) -> None:
    """TFMA counts true and false positives from dense maps: an oracle."""
    ours = first.evaluation.images.candidate.sum(axis=0)
    expected = {
        (kind, index): int(count)
        for index in range(len(CAMVID))
        for kind, count in (
            ("True", ours[index, index]),
            ("False", ours[:, index].sum() - ours[index, index]),
        )
    }
    assert expected["False", CAMVID.index("road")] > 0
    model = place.root / "models" / "first" / "Format-Serving"
    assert_tfma_counts(records, model, expected)


def test_a_missing_baseline_fails_where_one_is_required(
    tmp_path: Path, records: Path
) -> None:
    rules = [Rule("iou/critical", allowed_loss=0.99)]
    gate = Gate(rules, baseline="required")
    run = Place(tmp_path, records).judge("perfect", gate=gate)
    assert len(run.failed) == 3
    assert not (tmp_path / "made" / "serving").exists()


def test_an_evaluator_that_crashes_pushes_nothing(
    tmp_path: Path, records: Path
) -> None:
    lonely = Place(tmp_path, records)
    model = tmp_path / "models" / "crash"
    export_model(model / "Format-Serving", [])
    # Cut short, as by a full disk; TensorFlow cannot load it.
    variables = next(model.glob("Format-Serving/variables/*.data*"))
    variables.write_bytes(b"")
    vouch(model / "Format-Serving")
    with pytest.raises(Exception, match="Read less bytes"):
        lonely.run(model)
    assert "Pusher" not in latest_run(str(tmp_path / "made/metadata.sqlite"))
    assert not (tmp_path / "made" / "serving").exists()


def test_a_model_that_serves_other_than_it_was_evaluated_is_not_pushed(
    tmp_path: Path, records: Path
) -> None:
    """Its evaluation is perfect, but what it serves is wrong."""
    model = tmp_path / "models" / "two faces"
    export_model(model / "Format-Serving", [])
    export_model(tmp_path / "other", [("car", "road", 0.1)])
    swap_serving(model / "Format-Serving", tmp_path / "other")
    run = Place(tmp_path, records).run(model)
    assert run.failed == []
    assert run.check["blessed"] == 0
    assert "served as they were not evaluated" in run.check["reason"]
    assert run.pushed == ""
    assert not (tmp_path / "made" / "serving").exists()
