"""What changes between two steps is found by the second."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tfx.components.evaluator.executor import Executor as TheirEvaluator
from tfx.components.trainer.executor import GenericExecutor
from tfx.types import standard_artifacts

from pipeline.gate.digests import COUNTED, WARMUP, digest, record, verify
from pipeline.gate.evaluator import AGAINST, JUDGED, ON, VerifyingExecutor
from pipeline.ingest.pixel_counts import STATISTICS
from pipeline.training import RecordingExecutor
from wseg_tf.cards import CARD
from wseg_tf.classes import CAMVID, ClassSet
from wseg_tf.data.checks import DataError


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def model_of(folder: Path) -> Any:
    """A model as a Trainer leaves it."""
    write(
        folder / "Format-Serving",
        saved_model="graph",
        variables__data="weights",
        **{CARD: json.dumps({"classes": CAMVID.as_dict(), "ground": None})},
    )
    artifact = standard_artifacts.Model()
    artifact.uri = str(folder)
    record(artifact, str(folder / "Format-Serving"))
    return artifact


def examples_of(folder: Path) -> Any:
    write(folder / "Split-eval", one="records", two="more")
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = '["eval"]'
    record(artifact, str(folder / "Split-eval"), "eval")
    return artifact


@pytest.fixture
def given(tmp_path: Path) -> dict[str, list[Any]]:
    return {
        "model": [model_of(tmp_path / "model")],
        "baseline_model": [model_of(tmp_path / "baseline")],
        "examples": [examples_of(tmp_path / "examples")],
    }


def weights(name: str) -> Callable[[Path], None]:
    return lambda root: write(
        root / name / "Format-Serving", variables__data="swapped"
    )


def added(root: Path) -> None:
    write(root / "examples" / "Split-eval", three="filled")


def cut(root: Path) -> None:
    (root / "examples" / "Split-eval" / "two").unlink()


def changed(root: Path) -> None:
    write(root / "examples" / "Split-eval", one="record")


TAMPERED: dict[str, Callable[[Path], None]] = {
    "model": weights("model"),
    "baseline": weights("baseline"),
    "records added": added,
    "records cut": cut,
    "records changed": changed,
}


@pytest.mark.parametrize("how", TAMPERED)
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_the_evaluator_judges_what_was_written(
    given: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    when: str,
) -> None:
    judged = []

    def judge(*arguments: Any) -> None:
        judged.append(True)
        if when == "meanwhile":
            TAMPERED[how](tmp_path)

    monkeypatch.setattr(TheirEvaluator, "Do", judge)
    blessing = standard_artifacts.ModelBlessing()
    if when == "before":
        TAMPERED[how](tmp_path)
    with pytest.raises(DataError, match="Found: others"):
        VerifyingExecutor().Do(given, {"blessing": [blessing]}, {})
    assert judged == [True] * (when == "meanwhile")
    assert not blessing.get_string_custom_property(JUDGED)


def test_the_evaluator_notes_what_it_judged(
    given: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TheirEvaluator, "Do", lambda *arguments: None)
    blessing = standard_artifacts.ModelBlessing()
    evaluation = standard_artifacts.ModelEvaluation()
    evaluation.uri = str(write(tmp_path / "evaluation", metrics="1"))
    made = {"blessing": [blessing], "evaluation": [evaluation]}
    VerifyingExecutor().Do(given, made, {})
    assert verify(evaluation, evaluation.uri)
    for key, folder in (
        (JUDGED, "model/Format-Serving"),
        (AGAINST, "baseline/Format-Serving"),
        (ON, "examples/Split-eval"),
    ):
        noted = blessing.get_string_custom_property(key)
        assert noted == digest(str(tmp_path / folder))


@pytest.mark.parametrize(
    ("classes", "refused"),
    [
        (
            replace(CAMVID, names=(*CAMVID.names[:9], *CAMVID.names[:8:-1])),
            True,
        ),
        (replace(CAMVID, void=255), True),
        (replace(CAMVID, groups=(1,) * 11), False),
    ],
    ids=["order", "void", "groups"],
)
def test_a_baseline_of_another_order_is_no_yardstick(
    given: dict[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    classes: ClassSet,
    refused: bool,
) -> None:
    judged = []
    monkeypatch.setattr(TheirEvaluator, "Do", lambda *a: judged.append(True))
    (baseline,) = given["baseline_model"]
    folder = Path(baseline.uri) / "Format-Serving"
    card = json.dumps({"classes": classes.as_dict(), "ground": None})
    write(folder, **{CARD: card})
    record(baseline, str(folder))
    made = {"blessing": [standard_artifacts.ModelBlessing()]}
    if refused:
        with pytest.raises(DataError, match=r"Invalid baseline.*--reset"):
            VerifyingExecutor().Do(given, made, {})
    else:
        VerifyingExecutor().Do(given, made, {})
    assert judged == [True] * (not refused)


def test_what_nobody_noted_is_not_judged(
    given: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TheirEvaluator, "Do", lambda *arguments: None)
    given["model"][0].set_string_custom_property("sha256", "")
    blessing = standard_artifacts.ModelBlessing()
    with pytest.raises(DataError, match="none noted"):
        VerifyingExecutor().Do(given, {"blessing": [blessing]}, {})


def test_the_trainer_notes_what_it_wrote_and_starts_from_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = model_of(tmp_path / "start")
    trained = standard_artifacts.Model()
    trained.uri = str(tmp_path / "trained")

    def train(*arguments: Any) -> None:
        write(tmp_path / "trained" / "Format-Serving", saved_model="new")

    monkeypatch.setattr(GenericExecutor, "Do", train)
    run = standard_artifacts.ModelRun()
    run.uri = str(write(tmp_path / "run", history="1"))
    given = {"base_model": [start]}
    made = {"model": [trained], "model_run": [run]}
    RecordingExecutor().Do(given, made, {})
    assert verify(run, run.uri)
    write(tmp_path / "run", tensorboard__events="later")
    assert verify(run, run.uri)
    write(tmp_path / "run", history="2")
    with pytest.raises(DataError, match="Found: others"):
        verify(run, run.uri)
    folder = str(tmp_path / "trained" / "Format-Serving")
    assert verify(trained, folder) == digest(folder)
    weights("start")(tmp_path)
    with pytest.raises(DataError, match="Found: others"):
        RecordingExecutor().Do(given, made, {})


def test_classes_are_weighted_by_what_ingest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    monkeypatch.setattr(GenericExecutor, "Do", lambda *a: trained.append(True))
    examples = examples_of(tmp_path / "examples")
    counts = write(tmp_path / "examples", **{STATISTICS: "{}"}) / STATISTICS
    record(examples, str(counts), COUNTED)
    counts.write_text("[]")
    with pytest.raises(DataError, match=r"statistics\.json: .*Found: others"):
        RecordingExecutor().Do({"examples": [examples]}, {}, {})
    assert not trained


def test_names_and_contents_count_and_requests_to_warm_up_do_not(
    tmp_path: Path,
) -> None:
    folder = str(write(tmp_path / "model", a="1", b="2"))
    first = digest(folder)
    write(tmp_path / "model", **{WARMUP.replace("/", "__"): "requests"})
    assert digest(folder) == first
    (tmp_path / "model" / "a").rename(tmp_path / "model" / "c")
    assert digest(folder) != first


def test_a_file_in_place_of_a_folder_is_told_from_others(
    tmp_path: Path,
) -> None:
    one, other = (
        digest(str(write(tmp_path, **{name: name}) / name))
        for name in ("one", "other")
    )
    nothing = digest(str(tmp_path / "nothing"))
    assert len({one, other, nothing}) == 3
