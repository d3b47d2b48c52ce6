"""Records by Beam: every engine the same bytes, and all of them or nothing."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.config.beam_options import parse_options
from pipeline.ingest import pixel_counts, records
from pipeline.ingest.convert import convert
from pipeline.ingest.manifest import write_manifest
from pipeline.ingest.records import read_quarantine, refuse_unfit, write_records
from wseg_tf.data.checks import DataError
from wseg_tf.data.input import read_records
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.data.pairs import Pair

Pairs = dict[str, list[Pair]]
ONE_WORKER = "--direct_running_mode=in_memory"
TWO_WORKERS = "--direct_running_mode=multi_threading --direct_num_workers=2"
TWO_PROCESSES = "--direct_running_mode=multi_processing --direct_num_workers=2"


def found(folder: Path) -> Pairs:
    pairs = find_pairs("camvid", str(folder))
    return {
        split: [pair for pair in pairs if pair.split == split]
        for split in ("train", "val")
    }


@pytest.fixture
def pairs(street_folder: Path) -> Pairs:
    return found(street_folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(folder: Path, split: str) -> list[str]:
    examples = read_records(str(folder / f"Split-{split}" / "*"), "")
    return [each["name"].numpy().decode() for each in examples]


def test_a_file_that_changes_after_it_was_listed_is_not_ingested(
    pairs: Pairs, tmp_path: Path
) -> None:
    manifest = write_manifest(str(tmp_path), pairs, layout("camvid"))
    label = Path(pairs["train"][1].label)
    Image.fromarray(np.full((6, 8), 5, np.uint8)).save(label)
    os.utime(label, (1, 1))
    root = beam.Pipeline(options=parse_options(ONE_WORKER))
    out = str(tmp_path / "out")
    with pytest.raises(DataError, match=r"A_2\.png: .*changed meanwhile"):
        write_records(root, manifest, list(pairs), out, out, out)


A_PAIR_A_FILE = 1e-6  # MiB


def ingest(
    pairs: Pairs, folder: Path, options: str, shard: float = A_PAIR_A_FILE
) -> str:
    manifest = write_manifest(str(folder), pairs, layout("camvid"), shard)
    out = str(folder / "out")
    root = beam.Pipeline(options=parse_options(options))
    write_records(root, manifest, list(pairs), out, out, out)
    return out


@pytest.mark.parametrize("workers", [TWO_WORKERS, TWO_PROCESSES])
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    pairs: Pairs, tmp_path: Path, workers: str
) -> None:
    Path(pairs["train"][1].label).write_bytes(b"\x89PNG torn")
    one, two = tmp_path / "one", tmp_path / "two"
    ingest(pairs, one, ONE_WORKER)
    ingest(pairs, two, workers)
    files = contents(one / "out")
    assert files == contents(two / "out")
    # A file for each pair, the unfit one's empty; and what was found.
    assert list(files) == [
        *(f"Split-train/data_tfrecord-0000{k}-of-00005" for k in range(5)),
        *(f"Split-val/data_tfrecord-0000{k}-of-00002" for k in range(2)),
        "quarantine.jsonl",
        "statistics.json",
    ]
    assert [name for name, held in files.items() if not held] == [
        "Split-train/data_tfrecord-00001-of-00005"
    ]


@pytest.mark.parametrize("shard", [A_PAIR_A_FILE, 0.003, 1])
def test_workers_are_told_where_the_lines_of_a_file_lie(
    pairs: Pairs, tmp_path: Path, shard: float
) -> None:
    pairs = {**pairs, "none": []}
    manifest = write_manifest(str(tmp_path), pairs, layout("camvid"), shard)
    for split, own in pairs.items():
        path = f"{manifest}/{split}.jsonl"
        text = Path(path).read_bytes()
        end = 0
        found = [*records.find_shards(split, path)]
        for number, (key, (listed, start, stop)) in enumerate(found):
            assert key == (split, number, len(found))
            assert (listed, start) == (path, end)
            rows = [json.loads(line) for line in text[start:stop].splitlines()]
            assert {row["shard"] for row in rows} == {number}
            end = stop
        assert end == len(text)
        assert bool(found) == bool(own)


def test_one_worker_checks_several_pairs_at_a_time() -> None:
    together = threading.Barrier(3, timeout=60)

    def meet(number: int) -> int:
        together.wait()
        return number

    assert list(records.in_order(meet, range(9), threads=3)) == [*range(9)]


def test_results_that_are_not_taken_do_not_pile_up() -> None:
    begun: list[int] = []
    results = records.in_order(begun.append, range(100), threads=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 3


def test_an_engine_sees_to_its_cores_itself() -> None:
    def threads(options: str) -> int:
        parsed = parse_options(options)
        return records.threads(parsed)

    assert threads("") == threads(ONE_WORKER) == os.cpu_count()
    assert threads(TWO_WORKERS) == threads(TWO_PROCESSES) == 1
    assert threads("--runner=FlinkRunner") == 1


def test_records_keep_the_manifest_order_and_the_bytes_of_the_files(
    pairs: Pairs, tmp_path: Path
) -> None:
    out = Path(ingest(pairs, tmp_path / "in", ONE_WORKER, 1))
    (listed,) = (tmp_path / "in").rglob("train.jsonl")
    lines = map(json.loads, listed.read_text().splitlines())
    expected = [line["pair"]["name"] for line in lines]
    assert names(out, "train") == expected
    assert sorted(expected) == ["A_1", "A_2", "A_3", "B_2", "B_é 1"]
    for split, given in pairs.items():
        written = names(out, split)
        own = sorted(given, key=lambda pair: written.index(pair.name))
        examples = read_records(str(out / f"Split-{split}" / "*"), "")
        for pair, each in zip(own, examples, strict=True):
            image = Path(pair.image).read_bytes()
            label = Path(pair.label).read_bytes()
            assert each["image/encoded"].numpy() == image
            assert each["label/encoded"].numpy() == label
            assert each["drive"].numpy().decode() == pair.drive
            assert each["split"].numpy().decode() == split


def test_counts_are_those_of_the_pixels(pairs: Pairs, tmp_path: Path) -> None:
    out = ingest(pairs, tmp_path / "in", ONE_WORKER)
    counts = refuse_unfit(out, out, 0.0)
    for split, own in pairs.items():
        assert set(counts[split]) == {pair.drive for pair in own}
        for drive, statistics in counts[split].items():
            labels = [
                np.asarray(Image.open(pair.label))
                for pair in own
                if pair.drive == drive
            ]
            bins = np.bincount(np.ravel(labels), minlength=12)
            assert statistics.pixels.tolist() == bins.tolist()
            assert statistics.images == len(labels)
            assert statistics.sizes == {(6, 8): len(labels)}
    text = (Path(out) / "statistics.json").read_bytes()
    pixel_counts.write(str(tmp_path / "again.json"), counts)
    assert (tmp_path / "again.json").read_bytes() == text


def test_what_was_counted_lies_beside_the_records(
    pairs: Pairs, tmp_path: Path
) -> None:
    folders = [str(tmp_path / name) for name in ("records", "q", "counts")]
    manifest = write_manifest(
        str(tmp_path), pairs, layout("camvid"), A_PAIR_A_FILE
    )
    root = beam.Pipeline(options=parse_options(ONE_WORKER))
    write_records(root, manifest, list(pairs), *folders)
    counts = refuse_unfit(folders[1], folders[2], 0.0)
    for split, drives in counts.items():
        pattern = f"{folders[0]}/Split-{split}/*"
        for patterns in (pattern, [pattern]):
            found = pixel_counts.of_records(patterns)
            assert found is not None
            assert found.images == len(pairs[split])
            expected = pixel_counts.total(drives).pixels
            assert found.pixels.tolist() == expected.tolist()
    assert pixel_counts.of_records(f"{folders[0]}/Split-test/*") is None
    assert pixel_counts.of_records(f"{tmp_path}/Split-train/*") is None


def spoil(pairs: Pairs) -> list[tuple[str, str, str]]:
    """Spoils three pairs; returns split, name and the reason's key words."""
    train, val = pairs["train"], pairs["val"]
    with open(train[0].image, "rb+") as file:
        file.truncate(50)
    Image.new("L", (3, 3), 1).save(train[3].label)
    os.remove(val[0].image)
    os.mkdir(val[0].image)  # what no reader, root included, can read
    return [
        ("train", train[0].name, "expected a whole image"),
        ("train", train[3].name, "expected the size of its image, 6x8"),
        ("val", val[0].name, "cannot be read"),
    ]


def test_the_quarantine_lists_each_unfit_pair_with_its_reason(
    pairs: Pairs, tmp_path: Path
) -> None:
    expected = spoil(pairs)
    out = Path(ingest(pairs, tmp_path / "in", ONE_WORKER))
    entries = read_quarantine(str(out))
    assert [(e.split, e.name) for e in entries] == [
        each[:2] for each in expected
    ]
    for entry, (_, _, words) in zip(entries, expected, strict=True):
        assert words in entry.reason
    assert sorted(names(out, "train")) == ["A_2", "A_3", "B_é 1"]


def test_a_link_that_leads_nowhere_is_one_more_unfit_pair(
    pairs: Pairs, tmp_path: Path
) -> None:
    lost = pairs["train"][1]
    os.remove(lost.image)
    os.symlink(tmp_path / "nowhere", lost.image)
    out = ingest(pairs, tmp_path / "in", ONE_WORKER)
    (entry,) = read_quarantine(out)
    assert entry.name == lost.name
    assert entry.reason.startswith(f"{lost.image}: cannot be read")


def test_no_more_pairs_may_fail_than_are_allowed(
    pairs: Pairs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(pairs)
    out = ingest(pairs, tmp_path / "in", ONE_WORKER)
    for allowed in (0.0, 2.9 / 7):
        with pytest.raises(DataError, match=r"^3 of 7 pairs") as caught:
            refuse_unfit(out, out, allowed)
        assert "\n" not in str(caught.value)
        assert pairs["train"][3].label in str(caught.value)
    assert caplog.text.count("Left out: ") == 6
    counts = refuse_unfit(out, out, 3 / 7)
    assert sum(drive.images for drive in counts["train"].values()) == 3


def test_a_split_of_which_nothing_is_left_is_refused(
    pairs: Pairs, tmp_path: Path
) -> None:
    for pair in pairs["val"]:
        Path(pair.label).write_bytes(b"")
    with pytest.raises(DataError, match="all there are of split 'val'"):
        convert(
            pairs, layout("camvid"), str(tmp_path / "out"), allowed_failures=1.0
        )
    assert not (tmp_path / "out").exists()


def test_convert_makes_a_folder_that_is_whole(
    pairs: Pairs, tmp_path: Path
) -> None:
    out = tmp_path / "aus gäbe"
    out.mkdir()  # an empty folder will do
    counts = convert(
        pairs, layout("camvid"), f"{out}/", beam_options=TWO_WORKERS
    )
    assert counts.keys() == {"train", "val"}
    assert sorted(contents(out)) == [
        "Split-train/data_tfrecord-00000-of-00001",
        "Split-val/data_tfrecord-00000-of-00001",
        "quarantine.jsonl",
        "statistics.json",
    ]
    assert sorted(names(out, "val")) == ["C [2]", "C_1"]
    before = contents(out)
    with pytest.raises(DataError, match="expected a new or an empty folder"):
        convert(pairs, layout("camvid"), str(out))
    assert contents(out) == before
    assert not list(tmp_path.glob("*.unfinished"))


def test_convert_writes_files_of_the_size_asked_for(
    street_folder: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    for path in (street_folder / "train").iterdir():
        noise = random.integers(0, 256, (400, 400, 3), np.uint8)
        Image.fromarray(noise).save(path)  # 0.46 MiB
        label = street_folder / "trainannot" / path.name
        Image.new("L", (400, 400), 1).save(label)
    pairs = found(street_folder)
    convert(pairs, layout("camvid"), str(tmp_path / "out"), shard_megabytes=1)
    files = sorted((tmp_path / "out" / "Split-train").iterdir())
    assert [file.name[-15:] for file in files] == [
        f"-0000{k}-of-00003" for k in range(3)
    ]
    assert max(file.stat().st_size for file in files) < 1.5 * 2**20


@pytest.fixture
def full_disk() -> Iterator[pytest.MonkeyPatch]:
    """Record files go to a device that has no space left."""
    real = tf.io.TFRecordWriter

    class Full(real):  # type: ignore[valid-type, misc]
        def __init__(self, path: str) -> None:
            super().__init__("/dev/full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.io, "TFRecordWriter", Full)
        yield patch


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_said_and_leaves_nothing(
    pairs: Pairs, tmp_path: Path, full_disk: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError) as caught:
        convert(pairs, layout("camvid"), str(out))
    assert "cannot be written" in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert not list(tmp_path.glob("out*"))
    full_disk.undo()
    convert(pairs, layout("camvid"), str(out))
    assert sorted(names(out, "val")) == ["C [2]", "C_1"]


@pytest.mark.parametrize("calls", [1, 2])
def test_what_stops_between_files_never_looks_whole(
    pairs: Pairs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: int,
) -> None:
    real, made = records.serialise, []

    def stopping(*arguments: Any) -> bytes:
        made.append(arguments)
        if len(made) > calls:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(records, "serialise", stopping)
    # A Beam worker turns it into an error of its own.
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        convert(pairs, layout("camvid"), str(tmp_path / "out"))
    assert not list(tmp_path.glob("out*"))


def test_a_folder_that_cannot_be_made_is_named(
    pairs: Pairs, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/out: cannot be written"):
        convert(pairs, layout("camvid"), str(tmp_path / "file" / "out"))


def test_options_of_any_engine_are_passed_on() -> None:
    options = parse_options(
        "--runner=FlinkRunner --flink_master=host:8081 --parallelism=4"
    ).get_all_options()
    assert options["runner"] == "FlinkRunner"
    assert options["flink_master"] == "host:8081"
    with pytest.raises(ValueError, match="direct_num_workers: invalid int"):
        parse_options("--direct_num_workers=many")


@pytest.mark.parametrize("name", ["run[1]", "run *", "run?", "[!a]"])
def test_a_folder_of_records_means_itself(
    pairs: Pairs, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name / "records [2]"
    (tmp_path / "run1").mkdir()  # what the pattern would match
    convert(pairs, layout("camvid"), str(out), beam_options=ONE_WORKER)
    assert sorted(names(out, "val")) == ["C [2]", "C_1"]
