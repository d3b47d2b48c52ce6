import hashlib
import json
import os

import numpy as np
import pytest
from PIL import Image

from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import find_pairs
from wseg_tf.data.streets import draw_scene, write_streets
from wseg_tf.data.streets import folder as streets_folder

COUNTS = {"train": 5, "val": 3}
SIZE = (40, 56)


def contents(folder):
    return {
        os.path.relpath(os.path.join(top, name), folder): os.stat(
            os.path.join(top, name)
        ).st_mtime_ns
        for top, _, names in os.walk(folder)
        for name in names
    }


def test_writes_camvids_layout(tmp_path):
    folder = write_streets(str(tmp_path / "a b é"), COUNTS, SIZE, seed=1)
    pairs = find_pairs("streets", folder)
    assert [p.split for p in pairs] == ["train"] * 5 + ["val"] * 3
    for pair in pairs:
        image, label = Image.open(pair.image), Image.open(pair.label)
        assert image.size == label.size == SIZE[::-1]
        assert (image.mode, label.mode) == ("RGB", "L")
        assert np.asarray(label).max() <= 11
        assert pair.dataset == "streets"
    train, val = ({p.drive for p in pairs if p.split == s} for s in COUNTS)
    assert len(train) >= 2
    assert len(val) >= 2
    assert not train & val


def test_leaves_the_same_scenes_alone(tmp_path):
    folder = str(tmp_path / "streets")
    write_streets(folder, COUNTS, SIZE)
    before = contents(folder)
    write_streets(folder + "/", COUNTS, SIZE)
    assert contents(folder) == before


def test_a_count_changes_no_other_split(tmp_path):
    a = write_streets(str(tmp_path / "a"), {"train": 4, "val": 2}, SIZE)
    b = write_streets(str(tmp_path / "b"), {"train": 9, "val": 2}, SIZE)
    for one, other in zip(
        find_pairs("camvid", a, "val"),
        find_pairs("camvid", b, "val"),
        strict=True,
    ):
        np.testing.assert_array_equal(
            Image.open(one.image), Image.open(other.image)
        )


def test_looks_have_the_same_labels(tmp_path):
    day = write_streets(str(tmp_path / "day"), COUNTS, SIZE)
    dusk = write_streets(str(tmp_path / "dusk"), COUNTS, SIZE, look="dusk")
    for one, other in zip(
        find_pairs("camvid", day), find_pairs("camvid", dusk), strict=True
    ):
        assert one.name == other.name
        np.testing.assert_array_equal(
            Image.open(one.label), Image.open(other.label)
        )
        assert np.any(
            np.asarray(Image.open(one.image))
            != np.asarray(Image.open(other.image))
        )


@pytest.mark.parametrize("error", [OSError(28, "disk full"), KeyboardInterrupt])
def test_stopped_half_way_leaves_nothing(tmp_path, monkeypatch, error):
    folder = tmp_path / "streets"
    drawn = []

    def stop(*arguments, **options):
        drawn.append(arguments)
        if len(drawn) == 4:
            raise error
        return original(*arguments, **options)

    original = streets_folder.draw_scene
    monkeypatch.setattr(streets_folder, "draw_scene", stop)
    with pytest.raises((OSError, KeyboardInterrupt)):
        write_streets(str(folder), COUNTS, SIZE)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    write_streets(str(folder), COUNTS, SIZE)
    assert len(find_pairs("camvid", str(folder))) == 8
    assert list(tmp_path.iterdir()) == [folder]


def test_refuses_other_scenes(tmp_path):
    folder = str(tmp_path / "streets")
    write_streets(folder, COUNTS, SIZE)
    with pytest.raises(DataError, match="seed=7"):
        write_streets(folder, COUNTS, SIZE, seed=7)
    descriptor = tmp_path / "streets" / streets_folder.DESCRIPTOR
    found = json.loads(descriptor.read_text())
    descriptor.write_text(json.dumps({**found, "drawing": 0}))
    with pytest.raises(DataError, match="drawing=0"):
        write_streets(folder, COUNTS, SIZE)


def test_refuses_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        write_streets(str(tmp_path), COUNTS, SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_takes_an_empty_folder(tmp_path):
    write_streets(str(tmp_path), {"train": 1}, SIZE)
    assert len(find_pairs("camvid", str(tmp_path))) == 1


def test_refuses_an_empty_split(tmp_path):
    with pytest.raises(ValueError, match="val=0"):
        write_streets(str(tmp_path / "x"), {"train": 1, "val": 0}, SIZE)


def test_another_drawing_has_another_number():
    """A folder drawn before must not pass for one drawn now.

    Where this fails, raise `DRAWING` and note the new digest.
    """
    digest = hashlib.sha256()
    for look in ("day", "dusk"):
        for pixels in draw_scene(5, 96, 128, look):
            digest.update(pixels.tobytes())
    known = {1: "b7af00e1992b6265"}
    assert digest.hexdigest()[:16] == known[streets_folder.DRAWING]
