"""What stored numbers and colours mean: told for sure, or left to be named."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.wseg_tf.data.discovery.folders import (
    areas,
    ids,
    painted,
    photograph,
    with_palette,
)
from wseg_tf.classes import CAMVID, CITYSCAPES, class_set
from wseg_tf.data.discovery import Discovery, describe, discover
from wseg_tf.data.discovery.text import critical_classes
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import find_pairs, layout

Values = Sequence[int]
Write = Callable[[Path, np.ndarray], object]
VOC = class_set("pascal_voc")
VOC_PALETTE = [*VOC.colours, *[(0, 0, 0)] * 234, (224, 224, 192)]


def found_of(
    folder: Path,
    train: Values,
    val: Values,
    write: Write = ids,
    label: str = "{split}/labels/f_{n}.png",
) -> Discovery:
    """Writes two frames of each split; returns what is found."""
    for split, values in (("train", train), ("val", val)):
        for n in range(2):
            path = folder / label.format(split=split, n=n)
            rows = areas(*values)
            image = folder / f"{split}/images/{path.stem}.jpg"
            photograph(image, seed=n, size=rows.shape)
            write(path, rows)
    return discover(str(folder))


def read_back(folder: Path, found: Discovery) -> dict[str, set[str]]:
    """Returns the classes that the door reads in each split."""
    description = folder.parent / "found.yaml"
    description.write_text(describe(found))
    own = layout(str(description))
    names = (*own.classes.names, "void")
    shown: dict[str, set[str]] = {}
    for pair in find_pairs(str(description), str(folder)):
        counts = read_checked(pair, own).counts
        shown.setdefault(pair.split, set()).update(
            name for name, count in zip(names, counts, strict=True) if count
        )
    return shown


def test_ids_that_nothing_tells_are_left_to_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    found = found_of(folder, [0, 1, 2, 255], [0, 2, 1])
    own = found.meaning
    assert (own.known, own.is_direct) == ("", True)
    assert own.classes.names == ("class 0", "class 1", "class 2")
    assert own.classes.void == 255
    assert critical_classes(found) == ()
    assert read_back(folder, found) == {
        "train": {"class 0", "class 1", "class 2", "void"},
        "val": {"class 0", "class 1", "class 2"},
    }


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, 7, 33], {"class 1", "class 7", "class 33"}),
        ([0, 255], {"class 0", "class 255"}),  # a mask, without void
        ([0, 85, 170, 255], {"class 0", "class 85", "class 170", "void"}),
    ],
)
def test_ids_with_gaps_are_mapped(
    tmp_path: Path, values: Values, names: set[str]
) -> None:
    folder = tmp_path / "yard"
    found = found_of(folder, values, values)
    assert not found.meaning.is_direct
    assert read_back(folder, found) == {"train": names, "val": names}


def test_more_than_256_classes_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    found = found_of(folder, range(400), [*range(300), 65535])
    own = found.meaning.classes
    assert (len(own), own.void) == (400, 65535)
    assert "class 399  #" not in describe(found)
    assert "name: class 399," in describe(found)
    assert "bits: 16" in describe(found)
    assert found.frames("class 399", "train") == 2
    assert found.frames("class 399", "val") == 0


def test_a_palette_tells_a_published_set(tmp_path: Path) -> None:
    folder = tmp_path / "voc"
    found = found_of(
        folder,
        [0, 15, 7, 255],
        [0, 15, 20],
        lambda path, values: with_palette(path, values, VOC_PALETTE),
    )
    assert found.meaning.known == "the palette of pascal_voc"
    assert found.meaning.is_direct
    assert read_back(folder, found) == {
        "train": {"background", "person", "car", "void"},
        "val": {"background", "person", "tvmonitor"},
    }
    # Of the critical classes, `val` shows persons alone.
    assert critical_classes(found) == ("person",)
    text = describe(found)
    assert "critical: [person]" in text
    assert "group inferred" in text


def test_a_palette_in_another_order_is_mapped(tmp_path: Path) -> None:
    folder = tmp_path / "game"
    order = ["car", "road", "person", "sky"]
    palette = [
        (0, 0, 0),
        *(CITYSCAPES.colours[CITYSCAPES.index(n)] for n in order),
    ]
    found = found_of(
        folder,
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4],
        lambda path, values: with_palette(path, values, palette),
    )
    assert found.meaning.classes.names == CITYSCAPES.names
    assert read_back(folder, found)["val"] == {*order}


def test_a_palette_of_ones_own_gives_its_colours(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    palette = [(9, 9, 9), (1, 2, 3), (250, 0, 7)]
    found = found_of(
        folder,
        [0, 1, 2],
        [0, 2],
        lambda path, values: with_palette(path, values, palette),
    )
    assert found.meaning.classes.colours == tuple(palette)
    assert read_back(folder, found)["val"] == {"class 0", "class 2"}


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "mapillary_vistas"])
def test_colours_tell_a_published_set(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "painted"
    own = class_set(name)
    palette = [*own.colours, (0, 0, 0)]
    if name == "camvid":  # as published, of which the set's is an edition
        palette[own.index("sidewalk")] = (0, 0, 192)
    values = [*range(8), len(own)]
    found = found_of(
        folder,
        values,
        values[2:],
        lambda path, values: painted(path, values, palette),
    )
    assert found.meaning.classes.names == own.names
    shown = read_back(folder, found)
    assert shown["train"] == {*own.names[:8], "void"}
    assert shown["val"] == {*own.names[2:8], "void"}


def test_colours_of_ones_own_are_mapped(tmp_path: Path) -> None:
    folder = tmp_path / "painted"
    palette = [(200, 10, 10), (10, 200, 10), (0, 0, 0)]
    found = found_of(
        folder,
        [0, 0, 0, 0, 1, 2],
        [0, 1],
        lambda path, values: painted(path, values, palette),
    )
    own = found.meaning.classes
    # The commonest first; black that covers little is void.
    assert own.colours == ((200, 10, 10), (10, 200, 10))
    assert read_back(folder, found)["train"] == {"class 0", "class 1", "void"}


def test_black_that_covers_much_is_a_background(tmp_path: Path) -> None:
    folder = tmp_path / "painted"
    palette = [(0, 0, 0), (10, 200, 10)]
    found = found_of(
        folder,
        [0, 0, 1],
        [0, 1],
        lambda path, values: painted(path, values, palette),
    )
    assert len(found.meaning.classes) == 2
    assert read_back(folder, found)["val"] == {"class 0", "class 1"}


@pytest.mark.parametrize(
    ("label", "values", "name", "shown"),
    [
        (
            "{split}/gt/f_{n}_gtFine_labelIds.png",
            [0, 7, 24, 33],
            "cityscapes",
            {"void", "road", "person", "bicycle"},
        ),
        (
            "{split}/gt/f_{n}_labelTrainIds.png",
            [0, 11, 18, 255],
            "cityscapes",
            {"road", "person", "bicycle", "void"},
        ),
        (
            "annotations/{split}/ADE_{split}_{n:08}.png",
            [0, 1, 13, 150],
            "ade20k",
            {"void", "wall", "person", "flag"},
        ),
        (
            "{split}annot/0016E5_{n:05}.png",
            [3, 8, 10, 11],
            "camvid",
            {"road", "car", "bicyclist", "void"},
        ),
    ],
)
def test_names_tell_a_published_set(
    tmp_path: Path, label: str, values: Values, name: str, shown: set[str]
) -> None:
    folder = tmp_path / "data"
    for split in ("train", "val"):
        for n in range(2):
            path = folder / label.format(split=split, n=n)
            frame = path.stem.split("_gtFine")[0].split("_label")[0]
            photograph(folder / "images" / split / f"{frame}.jpg", seed=n)
            ids(path, areas(*values))
    found = discover(str(folder))
    assert found.meaning.classes.names == class_set(name).names
    assert read_back(folder, found) == {"train": shown, "val": shown}


def test_names_that_could_be_any_tell_nothing(tmp_path: Path) -> None:
    # As many ids as CamVid has, but of other drives.
    found = found_of(tmp_path / "a", range(12), range(12))
    assert not found.meaning.known
    # Colours of several sets: a building, or an aeroplane?
    palette = [(128, 0, 0), (128, 128, 0)]
    found = found_of(
        tmp_path / "b",
        [0, 1],
        [0, 1],
        lambda path, values: painted(path, values, palette),
    )
    assert not found.meaning.known
    assert (CAMVID.index("building"), VOC.index("aeroplane")) == (1, 1)


def test_labels_that_are_torn_are_counted_apart(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    found_of(folder, [0, 1], [0, 1])
    torn = folder / "train" / "labels" / "f_1.png"
    torn.write_bytes(torn.read_bytes()[:40])
    found = discover(str(folder))
    assert found.contents["train"].unreadable == 1
