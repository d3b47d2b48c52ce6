import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pipeline.gate.image_counts import ImageCounts
from pipeline.release import serving_check
from pipeline.release.serving_check import (
    PROBE,
    Request,
    answer_fault,
    operations_fault,
    refuse_missing,
    serving_fault,
    write_warmup,
)
from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import DataError
from wseg_tf.metrics import confusion_count

LABEL = np.resize(np.arange(12, dtype=np.uint8), (48, 60))
REQUEST = Request(
    "a",
    b"png",
    LABEL,
    confusion_count(LABEL, LABEL % 11, 11, CAMVID.void),
)


def test_the_evaluated_answer_has_no_fault() -> None:
    assert answer_fault(REQUEST, LABEL % 11, CAMVID) == ""


def test_a_pixel_in_a_thousand_may_round_another_way() -> None:
    answer = LABEL % 11
    answer[0, :2] += 1
    assert answer_fault(REQUEST, answer, CAMVID) == ""
    answer[0, 2] += 1
    assert "0.11%" in answer_fault(REQUEST, answer, CAMVID)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (LABEL[:-1] % 11, r"expected class ids of shape \(48, 60\), got uint8"),
        (np.zeros([48, 60], np.float32), "got float32"),
        (np.full([48, 60], 11, np.uint8), "Received also: \\[11\\]"),
    ],
)
def test_answers_of_another_shape_type_or_range_are_faults(
    answer: np.ndarray, said: str
) -> None:
    import re

    assert re.search(said, answer_fault(REQUEST, answer, CAMVID))


def test_what_cannot_be_served_is_a_fault(tmp_path: Path) -> None:
    fault = serving_fault(str(tmp_path), [REQUEST], CAMVID)
    assert "it cannot be served" in fault
    assert "SavedModel" in fault
    assert "no evaluated image" in serving_fault(str(tmp_path), [], CAMVID)


def test_a_model_that_writes_files_is_not_served(tmp_path: Path) -> None:
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def answer(self, x: tf.Tensor) -> tf.Tensor:
            tf.io.write_file("written.txt", x)
            return x

    tf.saved_model.save(Model(), str(tmp_path / "model"))
    assert "`WriteFile`" in operations_fault(str(tmp_path / "model"))
    assert operations_fault(str(tmp_path / "nowhere")) == ""


def test_each_record_is_evaluated_once() -> None:
    records = [
        {"name": tf.constant(name), "drive": tf.constant("A")}
        for name in ("1", "2", "3")
    ]

    def counts(*names: str) -> ImageCounts:
        drives = ("A",) * len(names)
        return ImageCounts(names, drives, np.zeros([len(names), 2, 2], int))

    refuse_missing(records, counts("3", "1", "2"))
    for names in (("1",), ("1", "2", "2"), ("1", "2", "3", "4"), ()):
        with pytest.raises(DataError, match="3 images of the records"):
            refuse_missing(records, counts(*names))


def test_a_killed_process_says_nothing_about_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = tmp_path / "probe.py"
    monkeypatch.setattr(serving_check, "PROBE", str(probe))
    for code, said in (
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("raise OSError(28, 'No space left on device')", "No space left"),
        ("raise MemoryError('32 GiB')", "32 GiB"),
        ("import no_such_module", "No module named"),
    ):
        probe.write_text(f"import os\n{code}\n")
        with pytest.raises(RuntimeError, match=f"nothing about.*{said}"):
            serving_fault("model", [REQUEST], CAMVID)


def test_packages_that_a_user_put_on_the_path_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where TensorFlow itself is found by PYTHONPATH."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nprint('found me', file=sys.stderr)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run(
        [sys.executable, PROBE, str(tmp_path), "nowhere", "answers"],
        capture_output=True,
        text=True,
    )
    assert "found me" in done.stderr


def test_requests_to_warm_up_with_name_the_signature(tmp_path: Path) -> None:
    write_warmup([REQUEST, REQUEST], str(tmp_path))
    path = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(each.numpy())
        for each in tf.data.TFRecordDataset(str(path))
    ]
    assert len(logs) == 2
    request = logs[0].predict_log.request
    assert request.model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(request.inputs["images"]).tolist() == [b"png"]


def test_the_probe_cannot_import_what_a_server_lacks() -> None:
    code = (
        "import runpy, sys; m = runpy.run_path(sys.argv[1]); "
        "sys.modules['tensorflow'] = None\n"
        "try: m['main']('', '', '')\n"
        "except ModuleNotFoundError: pass\n"
        "import wseg_tf"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, PROBE],
        capture_output=True,
        text=True,
        cwd=os.path.dirname(os.path.dirname(PROBE)),
    )
    assert "import of wseg_tf halted" in done.stderr
