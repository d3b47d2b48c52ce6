import numpy as np
import pytest
from PIL import Image

from wseg_tf.classes import CITYSCAPES
from wseg_tf.data.checks import DataError, check_pair
from wseg_tf.data.layouts import find_pairs, layout


def make(folder, names):
    for part in ("images", "labels"):
        (folder / part).mkdir(exist_ok=True)
    for name in names:
        Image.new("RGB", (6, 4)).save(folder / "images" / f"{name}.png")
        label = Image.fromarray(np.array([[7, 8, 34, 0, 26, 26]] * 4, np.uint8))
        label.putpalette([value for k in range(256) for value in (9, k, 1)])
        label.save(folder / "labels" / f"{name}.png")


def test_without_a_split_file_all_is_train_but_the_bad_ones(tmp_path):
    make(tmp_path, ["00002", "00001", "15188", "17705"])
    pairs = find_pairs("gta5", str(tmp_path))
    assert [(p.name, p.split) for p in pairs] == [
        ("00001", "train"),
        ("00002", "train"),
    ]
    with pytest.raises(DataError, match="no images in split 'val'"):
        find_pairs("gta5", str(tmp_path), "val")


def test_the_published_split(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    make(tmp_path, ["00001", "00002", "00003", "00004"])
    savemat(
        tmp_path / "split.mat",
        {"trainIds": [[1], [4]], "valIds": [[2]], "testIds": [[3]]},
    )
    pairs = find_pairs("gta5", str(tmp_path))
    assert [(p.name, p.split) for p in pairs] == [
        ("00001", "train"),
        ("00004", "train"),
        ("00002", "val"),
        ("00003", "test"),
    ]
    savemat(tmp_path / "split.mat", {"trainIds": [[1]]})
    with pytest.raises(DataError, match="Found: no valIds"):
        find_pairs("gta5", str(tmp_path))


def test_palette_labels_become_class_ids(tmp_path):
    make(tmp_path, ["00001"])
    (pair,) = find_pairs("gta5", str(tmp_path))
    chosen = layout("gta5")
    with open(pair.image, "rb") as image, open(pair.label, "rb") as label:
        checked = check_pair(
            image.read(), label.read(), chosen.classes, chosen.id_map
        )
    assert checked.counts[CITYSCAPES.index("road")] == 4
    assert checked.counts[CITYSCAPES.index("sidewalk")] == 4
    assert checked.counts[CITYSCAPES.index("car")] == 8
    assert checked.counts[-1] == 8  # license plate and unlabeled
