import os

import numpy as np
import pytest
from PIL import Image

from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import DataError, check_pair
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.data.layouts.camvid_colours import COLOUR_MAP, published_split


def make(folder, make_png, split, names, images=True, labels=True):
    for name in names:
        if images:
            make_png(folder / split / f"{name}.png", 100, mode="RGB")
        if labels:
            make_png(folder / f"{split}annot" / f"{name}.png", 3)


def test_finds_pairs_by_split_and_drive(tmp_path, make_png):
    folder = tmp_path / "Cam Vid é"
    make(folder, make_png, "val", ["0016E5_7", "Seq05VD_f1"])
    make(folder, make_png, "train", ["0001TP_2", "0001TP_1"])
    pairs = find_pairs("camvid", str(folder))
    assert [(p.split, p.name, p.drive) for p in pairs] == [
        ("train", "0001TP_1", "0001TP"),
        ("train", "0001TP_2", "0001TP"),
        ("val", "0016E5_7", "0016E5"),
        ("val", "Seq05VD_f1", "Seq05VD"),
    ]
    assert pairs[0].image == f"{folder}/train/0001TP_1.png"
    assert pairs[0].label == f"{folder}/trainannot/0001TP_1.png"
    assert {pair.dataset for pair in pairs} == {"camvid"}
    assert find_pairs("camvid", str(folder), "val") == pairs[2:]
    assert find_pairs("camvid", f"{folder}/", ["val"]) == [
        pair
        for pair in find_pairs("camvid", f"{folder}/")
        if pair.split == "val"
    ]


def test_hidden_and_other_files_are_left_out(tmp_path, make_png):
    make(tmp_path, make_png, "train", ["a_1"])
    (tmp_path / "train" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "train" / "._a_2.png").write_bytes(b"x")
    assert len(find_pairs("camvid", str(tmp_path))) == 1


@pytest.mark.parametrize(
    ("images", "labels", "kind"),
    [
        (False, True, "label without image"),
        (True, False, "image without label"),
    ],
)
def test_names_the_first_that_stands_alone(
    tmp_path, make_png, images, labels, kind
):
    make(tmp_path, make_png, "train", ["a_1"])
    make(tmp_path, make_png, "train", ["a_3", "a_2", "a_4"], images, labels)
    with pytest.raises(
        DataError,
        match=rf"a_2\.png: {kind} and 2 others like it \(split 'train'",
    ):
        find_pairs("camvid", str(tmp_path))


def test_refuses_what_is_missing(tmp_path, make_png):
    with pytest.raises(DataError, match=r"nowhere: no such folder\.$"):
        find_pairs("camvid", str(tmp_path / "nowhere"))
    for splits in (None, "val"):
        with pytest.raises(DataError, match="expected CamVid's folders"):
            find_pairs("camvid", str(tmp_path), splits)
    make(tmp_path, make_png, "train", ["a_1"])
    with pytest.raises(DataError, match="val: no such folder"):
        find_pairs("camvid", str(tmp_path), "val")
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match="valannot: no such folder"):
        find_pairs("camvid", str(tmp_path), "val")
    (tmp_path / "valannot").mkdir()
    with pytest.raises(DataError, match="no images in split 'val'"):
        find_pairs("camvid", str(tmp_path), "val")


def test_refuses_a_duplicate_name(tmp_path, make_png):
    make(tmp_path, make_png, "train", ["a_1"])
    picture = Image.new("RGB", (6, 4))
    picture.save(tmp_path / "train" / "a_1.jpg")
    with pytest.raises(DataError, match="duplicate name 'a_1'"):
        find_pairs("camvid", str(tmp_path))


@pytest.mark.parametrize("name", ["camvid", "described"])
def test_a_file_name_that_is_no_text_is_shown(tmp_path, make_png, name):
    make(tmp_path, make_png, "train", ["a_1"])
    image = os.fsencode(tmp_path / "train" / "a_1.png")
    os.rename(image, image.replace(b"a_1.png", b"\xff.png"))
    description = tmp_path / "layout.yaml"
    description.write_text(
        'images: "train/{name}.png"\nlabels: "trainannot/{name}.png"'
    )
    chosen = {"camvid": "camvid", "described": str(description)}[name]
    with pytest.raises(DataError, match=r"names in UTF-8\. Found: b'.*xff"):
        find_pairs(chosen, str(tmp_path))


@pytest.mark.parametrize("name", ["a\n1.png", "\x1b[31ma_1.png"])
def test_a_file_name_that_is_a_command_to_a_terminal_is_refused(
    tmp_path, make_png, name
):
    make(tmp_path, make_png, "train", ["a_1"])
    os.rename(tmp_path / "train" / "a_1.png", tmp_path / "train" / name)
    with pytest.raises(DataError, match="that print") as caught:
        find_pairs("camvid", str(tmp_path))
    assert str(caught.value).isprintable()


def test_refuses_an_unknown_layout(tmp_path):
    with pytest.raises(ValueError, match="camvid_colours"):
        find_pairs("camvit", str(tmp_path))


def test_the_32_colours_cover_the_eleven_classes():
    assert len(COLOUR_MAP) == 32
    assert set(COLOUR_MAP.values()) == {*range(len(CAMVID)), CAMVID.void}
    # Where both sets have a class of one name, they paint it alike.
    for name, colour in zip(CAMVID.names, CAMVID.colours, strict=True):
        if name != "sidewalk":  # 60, 40, 222 in the set of eleven
            assert COLOUR_MAP[colour] == CAMVID.index(name)


def test_colour_labels_become_ids(tmp_path, make_png):
    names = ["0001TP_006690", "0001TP_008550", "0016E5_07959", "Seq05VD_f00000"]
    colours = np.array([[(128, 64, 128), (128, 0, 192), (0, 0, 0)]], np.uint8)
    for name in names:
        make_png(tmp_path / "701_StillsRaw_full" / f"{name}.png", colours)
        label = tmp_path / "LabeledApproved_full" / f"{name}_L.png"
        make_png(label, colours)
    pairs = find_pairs("camvid_colours", str(tmp_path))
    assert [(p.name, p.split) for p in pairs] == [
        (names[0], "train"),
        (names[2], "val"),
        (names[1], "test"),
        (names[3], "test"),
    ]
    assert {pair.dataset for pair in pairs} == {"camvid_colours"}
    chosen = layout("camvid_colours")
    with (
        open(pairs[0].image, "rb") as image,
        open(pairs[0].label, "rb") as label,
    ):
        checked = check_pair(
            image.read(),
            label.read(),
            chosen.classes,
            chosen.id_map,
            chosen.colour_map,
        )
    assert checked.counts[3] == 2
    assert checked.counts[-1] == 1


def test_the_rule_of_the_split_gives_the_published_one(camvid_folder):
    pairs = find_pairs("camvid", camvid_folder)
    assert len(pairs) >= 367 + 101
    assert all(published_split(pair.name) == pair.split for pair in pairs)


def test_real_pairs_pass_and_keep_their_bytes(camvid_folder):
    for pair in find_pairs("camvid", camvid_folder)[::20]:
        with open(pair.image, "rb") as image, open(pair.label, "rb") as label:
            files = image.read(), label.read()
        checked = check_pair(*files, CAMVID, image_name=pair.image)
        assert (checked.image, checked.label) == files
        assert (checked.height, checked.width) == (360, 480)
        assert sum(checked.counts) == 360 * 480
