import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from wseg_tf.data.checks import DataError
from wseg_tf.data.inspection import inspect, read_checked, refuse_problems
from wseg_tf.data.layouts import find_pairs, layout

CAMVID = layout("camvid")


@pytest.fixture
def pairs(tmp_path, make_png):
    for split, name in (
        ("train", "A_1"),
        ("train", "A_2"),
        ("train", "B_é 1"),
        ("val", "C_1"),
    ):
        make_png(tmp_path / split / f"{name}.png", 90, mode="RGB")
        label = np.full((4, 6), 3)
        label[0] = 11
        label[1, 0] = 8
        make_png(tmp_path / f"{split}annot" / f"{name}.png", label)
    return find_pairs("camvid", str(tmp_path))


def test_good_pairs_are_counted_by_split_and_drive(pairs):
    found = inspect(pairs, CAMVID)
    assert found.problems == ()
    assert set(found.statistics) == {
        ("train", "A"),
        ("train", "B"),
        ("val", "C"),
    }
    drive = found.statistics["train", "A"]
    assert drive.images == 2
    assert drive.pixels[[3, 8, 11]].tolist() == [34, 2, 12]
    assert found.total("train", 11).pixels.sum() == 3 * 24
    assert found.total("test", 11).images == 0


def test_every_problem_is_listed_and_the_others_are_counted(pairs):
    with open(pairs[0].image, "rb+") as file:
        file.truncate(40)
    Image.new("L", (6, 4), 200).save(pairs[2].label)
    os.remove(pairs[3].label)
    for workers in (1, 3):
        found = inspect(pairs, CAMVID, workers)
        assert [problem.pair for problem in found.problems] == [
            pairs[0],
            pairs[2],
            pairs[3],
        ]
        reasons = [problem.reason for problem in found.problems]
        assert reasons[0].startswith(f"{pairs[0].image}: expected a PNG")
        assert reasons[0].endswith("40 bytes of a damaged one.")
        assert reasons[1].endswith("Found: 200.")
        assert reasons[2].startswith(f"{pairs[3].label}: cannot be read")
        assert not any("\n" in reason for reason in reasons)
        assert list(found.statistics) == [("train", "A")]
        assert found.statistics["train", "A"].images == 1


def test_an_unreadable_file_is_one_sentence(pairs):
    os.remove(pairs[0].image)
    os.mkdir(pairs[0].image)
    with pytest.raises(DataError, match="cannot be read"):
        read_checked(pairs[0], CAMVID)


def test_the_first_problem_is_refused_and_the_others_counted(pairs):
    refuse_problems(pairs, CAMVID)
    Image.new("L", (6, 4), 200).save(pairs[1].label)
    with pytest.raises(DataError, match=r"A_2.*Found: 200\.$"):
        refuse_problems(pairs, CAMVID)
    os.remove(pairs[0].label)
    with pytest.raises(DataError, match=r"A_1.*And 1 more such pairs?\.$"):
        refuse_problems(pairs, CAMVID)


def test_what_is_no_file_is_refused_at_once(pairs, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/zero", tmp_path / "device")
    (tmp_path / "sparse").write_bytes(b"")
    os.truncate(tmp_path / "sparse", 2**40)
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    for name in ("pipe", "device", "sparse", "loop", "none", "nul\0"):
        for wrong in ({"image": name}, {"label": name}):
            (key, value), *_ = wrong.items()
            pair = dataclasses.replace(pairs[0], **{key: f"{tmp_path}/{value}"})
            with pytest.raises(DataError, match="cannot be read") as caught:
                read_checked(pair, CAMVID)
            assert "\n" not in str(caught.value)
