import pytest

from wseg_tf.classes import CITYSCAPES
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.data.layouts.cityscapes_labels import NAMES, TRAIN_IDS


def make(folder, make_png, split, city, frame, kinds=("labelIds",)):
    name = f"{city}_{frame}"
    image = folder / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
    make_png(image, 9, mode="RGB")
    for kind in kinds:
        label = folder / "gtFine" / split / city / f"{name}_gtFine_{kind}.png"
        make_png(label, 7)


def test_finds_cities(tmp_path, make_png):
    both = ("labelIds", "labelTrainIds", "color", "instanceIds")
    make(tmp_path, make_png, "val", "ulm", "000001_000019", both)
    make(tmp_path, make_png, "train", "zurich", "000000_000019", both)
    make(tmp_path, make_png, "train", "aachen", "000002_000019", both)
    make(tmp_path, make_png, "test", "bonn", "000002_000019", both)
    pairs = find_pairs("cityscapes", str(tmp_path))
    assert [(p.split, p.drive, p.name) for p in pairs] == [
        ("train", "aachen", "aachen_000002_000019"),
        ("train", "zurich", "zurich_000000_000019"),
        ("val", "ulm", "ulm_000001_000019"),
    ]
    assert pairs[0].label.endswith("_gtFine_labelIds.png")
    assert find_pairs("cityscapes", str(tmp_path), "test")[0].drive == "bonn"
    train_ids = find_pairs("cityscapes_train_ids", str(tmp_path))
    assert [p.name for p in train_ids] == [p.name for p in pairs]
    assert train_ids[0].dataset == "cityscapes_train_ids"
    assert train_ids[0].label.endswith("_gtFine_labelTrainIds.png")


def test_refuses_a_lonely_image(tmp_path, make_png):
    make(tmp_path, make_png, "train", "ulm", "000001_000019")
    make(tmp_path, make_png, "train", "ulm", "000002_000019", ())
    with pytest.raises(DataError, match=r"000002_000019.*image without label"):
        find_pairs("cityscapes", str(tmp_path))


def test_refuses_missing_folders(tmp_path):
    with pytest.raises(DataError, match="leftImg8bit: no such folder"):
        find_pairs("cityscapes", str(tmp_path))
    (tmp_path / "leftImg8bit").mkdir()
    with pytest.raises(DataError, match="expected at least one of train, val"):
        find_pairs("cityscapes", str(tmp_path))


def test_the_table_maps_every_class_once():
    assert layout("cityscapes").id_map is TRAIN_IDS
    targets = [t for t in TRAIN_IDS.values() if t != CITYSCAPES.void]
    assert sorted(targets) == list(range(19))
    assert len(TRAIN_IDS) == 34


def test_the_table_agrees_with_the_published_one():
    published = pytest.importorskip("cityscapesscripts.helpers.labels")
    rows = [label for label in published.labels if label.id >= 0]
    assert tuple(label.name for label in rows) == NAMES
    assert {label.id: label.trainId for label in rows} == TRAIN_IDS
    for label in rows:
        if label.trainId != CITYSCAPES.void:
            assert CITYSCAPES.names[label.trainId] == label.name
            assert CITYSCAPES.colours[label.trainId] == label.color
