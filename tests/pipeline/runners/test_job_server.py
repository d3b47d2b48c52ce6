"""Two workers of other processes do what this process does, one killed, too."""

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from benchmarks.evaluation import evaluator
from pipeline.beam_options import IN_MEMORY, check_options, parse_options
from pipeline.convert import convert
from pipeline.manifest import write_manifest
from pipeline.pseudo_labels import Labeller, write_pseudo_labels
from pipeline.records import write_records
from pipeline.rules import Gate, Rule
from pipeline.runners.job_server import Engine, engine
from tests.pipeline.hand_made import GROUND, export_model, write_images
from wseg_tf import configuration, models
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.classes import CAMVID
from wseg_tf.data.layouts import find_pairs
from wseg_tf.data.pairs import Pair
from wseg_tf.serving import export
from wseg_tf.training.recipe import Recipe

# About one image a record file.
SMALL_SHARDS = 0.0005


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Pair]]:
    folder = write_images(tmp_path_factory.mktemp("data"), ["A", "B"], 4)
    return {"eval": find_pairs("camvid", str(folder), "val")}


@pytest.fixture(scope="module")
def two() -> Iterator[Engine]:
    with engine(pools=2) as started:
        check_options(started.options)
        yield started


@pytest.fixture(scope="module")
def records(
    pairs: dict[str, list[Pair]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What this process writes."""
    folder = tmp_path_factory.mktemp("records")
    return ingest(pairs, folder / "alone", IN_MEMORY)


def ingest(
    pairs: dict[str, list[Pair]], out: Path, options: Sequence[str]
) -> Path:
    convert(pairs, "camvid", str(out), 0.0, shlex.join(options), SMALL_SHARDS)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_ingest_writes_the_same_bytes(
    pairs: dict[str, list[Pair]], records: Path, two: Engine, tmp_path: Path
) -> None:
    together = ingest(pairs, tmp_path / "together", two.options)
    assert contents(together) == contents(records)
    assert len(list(together.glob("Split-eval/*"))) > 4


def test_statistics_are_equal(
    records: Path, two: Engine, tmp_path: Path
) -> None:
    found = []
    for place, options in enumerate((IN_MEMORY, two.options)):
        statistics = tfdv.generate_statistics_from_tfrecord(
            str(records / "Split-eval" / "*"),
            str(tmp_path / f"{place}"),
            pipeline_options=parse_options(options),
        )
        assert isinstance(
            statistics, statistics_pb2.DatasetFeatureStatisticsList
        )
        (own,) = statistics.datasets
        features = sorted(own.features, key=lambda f: list(f.path.step))
        found.append((own.num_examples, features))
    assert found[0][0] == 8
    assert found[0] == found[1]


def test_evaluation_counts_the_same_pixels(
    records: Path, two: Engine, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    export_model(model / "Format-Serving", [("car", "road", 0.25)])
    gate = Gate(rules=[Rule("mean_iou", floor=0.1)])
    alone, together = (
        evaluator(tmp_path / name, records, model, gate, False, options)()
        for name, options in (("1", IN_MEMORY), ("2", two.options))
    )
    assert alone.names == together.names
    assert alone.drives == together.drives
    assert (alone.candidate == together.candidate).all()
    assert len(alone) == 8


def test_pseudo_labels_are_the_same_bytes(
    records: Path, two: Engine, tmp_path: Path
) -> None:
    network = models.build("enet", len(CAMVID))
    export(network, str(tmp_path / "model"), CAMVID, 24, 32, GROUND)
    recipe = Recipe(height=24, width=32, initial=str(tmp_path / "model"))
    labeller = Labeller(
        configuration.dump(recipe),
        configuration.dump(SelfTraining()),
        CAMVID.name,
        0,
    )
    files = sorted(map(str, (records / "Split-eval").iterdir()))
    for name, options in (("1", IN_MEMORY), ("2", two.options)):
        root = beam.Pipeline(options=parse_options(options))
        write_pseudo_labels(root, labeller, files, str(tmp_path / name))
    found = contents(tmp_path / "2")
    assert found == contents(tmp_path / "1")
    assert len(found) == len(files) + 1


def test_a_worker_killed_in_the_middle_loses_nothing(
    pairs: dict[str, list[Pair]],
    records: Path,
    two: Engine,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It comes last: one of the two is gone."""
    manifest = write_manifest(str(tmp_path), pairs, "camvid", SMALL_SHARDS)
    images = [Path(pair.image) for pair in pairs["eval"]]
    out = str(tmp_path / "survived")
    root = beam.Pipeline(options=parse_options(two.options))
    with killed_at_work(two.pools[0], images):
        write_records(root, manifest, ["eval"], out, out, out)
    assert two.pools[0].wait() == -signal.SIGKILL
    assert "lost a worker; again" in caplog.text
    assert contents(tmp_path / "survived") == contents(records)


@contextlib.contextmanager
def killed_at_work(
    pool: subprocess.Popen[bytes], images: Sequence[Path]
) -> Iterator[None]:
    """Kills a pool as soon as a worker is at an image.

    Until then the images are pipes, where all workers wait. The pool is
    stopped before they are files again, so that it cannot end its work, and
    killed after, so that whoever does the work again finds files.
    """
    files = {path: path.with_suffix(".file") for path in images}
    pipes = {path: path.with_suffix(".pipe") for path in images}
    is_done = threading.Event()
    for path, file in files.items():
        path.rename(file)
        os.mkfifo(path)

    def is_read(path: Path) -> bool:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # Nobody reads it.
            return False
        return True

    def kill() -> None:
        while not any(map(is_read, images)):
            time.sleep(0.01)
        pool.send_signal(signal.SIGSTOP)
        for path in images:
            path.rename(pipes[path])
            files[path].rename(path)
        pool.kill()
        while not is_done.wait(0.1):
            # Whoever came to a pipe finds it empty, and goes on.
            for pipe in pipes.values():
                os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    threading.Thread(target=kill, daemon=True).start()
    try:
        yield
    finally:
        is_done.set()
