import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.ingest.manifest import (
    layout_of,
    verify_manifest,
    write_manifest,
)
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.data.pairs import Pair


@pytest.fixture
def pairs(street_folder: Path) -> dict[str, list[Pair]]:
    return {
        "train": find_pairs("camvid", str(street_folder), "train"),
        "eval": find_pairs("camvid", str(street_folder), "val"),
    }


def rows(manifest: str, split: str) -> list[dict[str, Any]]:
    text = (Path(manifest) / f"{split}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_every_pair_is_a_line_in_the_order_of_hashes(
    pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    def lot(pair: Pair) -> str:
        named = f"{pair.dataset}/{pair.drive}/{pair.name}"
        return hashlib.sha256(named.encode()).hexdigest()

    manifest = write_manifest(str(tmp_path / "m"), pairs, layout("camvid"))
    for split, own in pairs.items():
        found = rows(manifest, split)
        listed = [Pair(**row["pair"]) for row in found]
        assert listed == sorted(own, key=lot)
        assert [row["index"] for row in found] == list(range(len(own)))
    size = os.path.getsize(pairs["train"][0].label)
    (first,) = (
        row
        for row in rows(manifest, "train")
        if row["pair"]["name"] == pairs["train"][0].name
    )
    assert first["bytes"][1] == size


def test_records_of_a_drive_lie_apart(tmp_path: Path) -> None:
    count, cities = 2975, 18
    listed = [
        Pair(f"{k:05d}", f"{k}.png", "", "train", f"{k * cities // count}", "a")
        for k in range(count)
    ]
    manifest = write_manifest(
        str(tmp_path), {"train": listed}, layout("camvid")
    )
    found = [row["pair"] for row in rows(manifest, "train")]
    places = [int(pair["name"]) for pair in found]
    assert abs(np.corrcoef(np.arange(count), places)[0, 1]) < 0.05
    assert len({pair["drive"] for pair in found[: count // 10]}) == cities


def test_a_manifest_knows_its_layout(
    pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    manifest = write_manifest(str(tmp_path), pairs, layout("gta5"))
    assert layout_of(manifest).classes.name == "cityscapes"


def test_shards_hold_consecutive_pairs_and_about_the_bytes_asked_for(
    pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    sizes = [
        os.path.getsize(pair.image) + os.path.getsize(pair.label)
        for pair in pairs["train"]
    ]
    limit = 2 * max(sizes)
    manifest = write_manifest(
        str(tmp_path), pairs, layout("camvid"), limit / 2**20
    )
    found = rows(manifest, "train")
    shards = [row["shard"] for row in found]
    assert shards == sorted(shards)
    assert {row["shards"] for row in found} == {len({*shards})}
    assert {*shards} == set(range(len({*shards})))
    assert len({*shards}) > 1
    for shard in {*shards}:
        held = sum(
            size
            for size, own in zip(sizes, shards, strict=True)
            if own == shard
        )
        assert held < limit + max(sizes)


def test_a_pair_larger_than_a_shard_leaves_no_gap(
    pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    manifest = write_manifest(str(tmp_path), pairs, layout("camvid"), 1e-6)
    assert [row["shard"] for row in rows(manifest, "train")] == [0, 1, 2, 3, 4]


def test_the_name_changes_with_a_label_and_only_then(
    pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    first = write_manifest(str(tmp_path), pairs, layout("camvid"))
    assert write_manifest(str(tmp_path), pairs, layout("camvid")) == first
    label = pairs["train"][0].label
    contents = Path(label).read_bytes()
    Path(label).write_bytes(contents + b"\0")
    longer = write_manifest(str(tmp_path), pairs, layout("camvid"))
    assert longer != first
    # The same length: someone relabelled a pixel, and set the date back.
    stat = os.stat(label)
    Path(label).write_bytes(contents + b"\1")
    os.utime(label, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert write_manifest(str(tmp_path), pairs, layout("camvid")) != longer


def test_the_name_changes_with_what_ids_mean(
    pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    description = tmp_path / "own.yaml"
    text = (
        'images: "{name}.png"\nlabels: "{name}_l.png"\n'
        "classes: [car, road, sky]\nids: {0: car, 1: %s}\nabsent: [%s]"
    )
    names = set()
    for meaning, absent in (("road", "sky"), ("sky", "road")) * 2:
        description.write_text(text % (meaning, absent))
        manifest = write_manifest(
            str(tmp_path / "m"), pairs, layout(str(description))
        )
        names.add(manifest)
    assert len(names) == 2


@pytest.mark.parametrize("how", ["cut", "filled", "added", "relabelled"])
def test_a_manifest_that_is_not_what_was_listed_is_refused(
    pairs: dict[str, list[Pair]], tmp_path: Path, how: str
) -> None:
    manifest = write_manifest(str(tmp_path / "m"), pairs, layout("camvid"))
    verify_manifest(manifest)
    evaluated = Path(manifest, "eval.jsonl")
    if how == "cut":
        first, *_ = evaluated.read_text().splitlines(keepends=True)
        evaluated.write_text(first)
    elif how == "filled":
        evaluated.write_text(Path(manifest, "train.jsonl").read_text())
    elif how == "added":
        Path(manifest, "more.jsonl").write_text("{}")
    else:
        meaning = Path(manifest, "labels.json")
        meaning.write_text(meaning.read_text().replace("car", "sky"))
    with pytest.raises(DataError, match="pairs that were listed"):
        verify_manifest(manifest)
    # The next run would list into the same folder.
    with pytest.raises(DataError, match="delete it and run again"):
        write_manifest(str(tmp_path / "m"), pairs, layout("camvid"))


def test_the_name_is_the_digest_of_the_texts(
    pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    odd = "a'b\\\"\n\té\u2028🚗\x7f"
    pairs = {**pairs, "none": [], "eval": [*pairs["eval"]]}
    pairs["eval"].append(Pair(odd, odd, "", "val", "it's", "d"))
    manifest = write_manifest(str(tmp_path), pairs, layout("camvid"))
    texts = {path.name: path.read_text() for path in Path(manifest).iterdir()}
    assert {*texts} == {
        "labels.json", "eval.jsonl", "none.jsonl", "train.jsonl"
    }  # fmt: skip
    assert texts["none.jsonl"] == ""
    # Manifests, and what was made of them, outlive the code that wrote them.
    whole = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()
    assert Path(manifest).name == whole[:16]


def test_lines_are_what_they_were(tmp_path: Path) -> None:
    listed = [
        Pair(f"{k}", str(tmp_path / f"{k}.png"), "", "train", f"{k % 2}", "d")
        for k in range(4)
    ]
    for k, pair in enumerate(listed):
        Path(pair.image).write_bytes(b"." * (k + 1))
        os.utime(pair.image, ns=(0, 5 + k))
    manifest = write_manifest(
        str(tmp_path / "m"), {"train": listed}, layout("camvid"), 4 / 2**20
    )
    # SHA-256 of `d/0/0`, `d/1/1`, ... begin with bb, 70, 64 and 95; the last
    # bytes are the 3rd, 5th, 9th and 10th, in files of four.
    order = ((2, 0, 3), (1, 1, 2), (3, 2, 4), (0, 2, 1))
    text = (Path(manifest) / "train.jsonl").read_text()
    wanted = [
        {
            "pair": {
                "name": f"{k}",
                "image": f"{tmp_path}/{k}.png",
                "label": "",
                "split": "train",
                "drive": f"{k % 2}",
                "dataset": "d",
            },
            "index": index,
            "shard": shard,
            "shards": 3,
            "bytes": [size],
            "modified": [5 + k],
            "changed": [os.stat(tmp_path / f"{k}.png").st_ctime_ns],
        }
        for index, (k, shard, size) in enumerate(order)
    ]
    assert text == "".join(
        json.dumps(row, sort_keys=True) + "\n" for row in wanted
    )
