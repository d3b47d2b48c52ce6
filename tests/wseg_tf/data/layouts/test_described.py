import os

import pytest

from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import find_pairs, layout, left_out
from wseg_tf.data.layouts.described import image_rows
from wseg_tf.data.pairs import normal

SPLIT_IN_PATH = """
dataset: yard
classes: camvid
images: "{split}/frames/{drive}/{name}.jpg"
labels: "{split}/masks/{drive}/{name}_mask*.png"
ids: {0: void, 1: road, 2: pedestrian}
absent: [sky, building, pole, sidewalk, tree, sign, fence, car, bicyclist]
"""
BY_DRIVE = """
classes: camvid
images: "{drive}/{name}.jpg"
labels: "{drive}/{name}_mask.png"
colours: {"1 2 3": road, "0 0 0": void, "9 9 9": pedestrian}
absent: [sky, building, pole, sidewalk, tree, sign, fence, car, bicyclist]
drives: {val: [north]}
"""


@pytest.fixture
def describe(tmp_path):
    def write(text):
        path = tmp_path / "layout.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_split_and_drive_from_the_path(tmp_path, make_png, describe):
    for split, drive, name in (
        ("train", "north", "a"),
        ("train", "south", "a"),
        ("val", "west end", "é"),
    ):
        top = tmp_path / "data" / split
        make_png(top / "frames" / drive / f"{name}.jpg", mode="RGB")
        make_png(top / "masks" / drive / f"{name}_mask_v2.png")
    path = describe(SPLIT_IN_PATH)
    pairs = find_pairs(path, str(tmp_path / "data"))
    assert [(p.split, p.drive, p.name, p.dataset) for p in pairs] == [
        ("train", "north", "north_a", "yard"),
        ("train", "south", "south_a", "yard"),
        ("val", "west end", "west end_é", "yard"),
    ]
    assert find_pairs(path, str(tmp_path / "data"), "val") == pairs[2:]
    assert layout(path).id_map == {0: 11, 1: 3, 2: 9}
    assert layout(path).classes.name == "camvid"


def test_a_path_means_itself_whatever_is_in_it(tmp_path, make_png, describe):
    folder = tmp_path / "mes données [1] *?"
    make_png(folder / "left [a]" / "é 1.jpg", mode="RGB")
    make_png(folder / "left [a]" / "é 1_mask.png")
    make_png(folder / "left a" / "other.jpg", mode="RGB")
    path = describe(
        'images: "left [a]/{name}.jpg"\nlabels: "left [a]/{name}_mask.png"'
    )
    assert [pair.name for pair in find_pairs(path, str(folder))] == ["é 1"]


def test_split_by_drive(tmp_path, make_png, describe):
    for drive in ("north", "south"):
        make_png(tmp_path / drive / "a.jpg", mode="RGB")
        make_png(tmp_path / drive / "a_mask.png")
    path = describe(BY_DRIVE)
    pairs = find_pairs(path, str(tmp_path))
    assert [(p.split, p.drive) for p in pairs] == [
        ("train", "south"),
        ("val", "north"),
    ]
    assert layout(path).colour_map == {
        (1, 2, 3): 3, (0, 0, 0): 11, (9, 9, 9): 9,
    }  # fmt: skip
    (tmp_path / "south" / "a_mask.png").unlink()
    with pytest.raises(DataError, match=r"image without label.*unlabelled"):
        find_pairs(path, str(tmp_path))


@pytest.mark.parametrize(
    "told",
    [
        "drives: {val: ['08', 'on']}",
        "lists: {val: val.txt, train: train.txt}",
        "expressions: {val: '(08|on)/'}",
    ],
)
def test_images_without_labels_are_left_out_where_it_is_said(
    many, describe, told
):
    for split, drives in (("val", ("08", "on")), ("train", ("06", "07"))):
        with open(f"{many}/{split}.txt", "w") as file:
            file.writelines(f"{d}/{n}\n" for d in drives for n in "ab")
    for frame in ("06/b", "08/a", "null/a", "null/b"):
        os.remove(f"{many}/lab/{frame}.png")
    with pytest.raises(DataError, match="without label"):
        find_pairs(describe(LISTED + told), many)
    pairs = find_pairs(describe(f"{LISTED}unlabelled: skip\n{told}"), many)
    found = {f"{pair.split}/{pair.name}" for pair in pairs}
    assert {"train/06_a", "train/07_b", "val/08_b", "val/on_a"} <= found
    assert not found & {"train/06_b", "val/08_a", "train/null_a"}
    path = describe(f"{LISTED}unlabelled: skip\n{told}")
    by_split = [left_out(path, many, [split]) for split in ("train", "val")]
    assert left_out(path, many) == sum(by_split)
    assert by_split[1] == 1
    # Lists name no drive `null`; what is in no split is not left out.
    assert by_split[0] == (1 if "lists" in told else 3)


def test_shares_are_drawn_of_the_images_that_have_labels(many, describe):
    for drive in ("06", "07", "08", "on", "null", "1.0"):
        for name in "ab":
            os.remove(f"{many}/lab/{drive}/{name}.png")
    text = f"{LISTED}unlabelled: skip\nshares: {{val: 0.5}}"
    splits = splits_of(find_pairs(describe(text), many))
    assert {split: len(own) for split, own in splits.items()} == {
        "train": 1,
        "val": 1,
    }


def test_labels_that_are_nowhere_are_told_of(many, describe):
    text = LISTED.replace("lab/", "label/") + "unlabelled: skip"
    with pytest.raises(DataError, match=r"label/.*: no such labels"):
        find_pairs(describe(text), many)


def test_a_label_without_an_image_is_refused_whatever_is_skipped(
    many, describe
):
    os.remove(f"{many}/img/06/a.png")
    with pytest.raises(DataError, match=r"06/a.png: label without image"):
        find_pairs(describe(f"{LISTED}unlabelled: skip"), many)


def test_a_duplicate_name_is_refused(tmp_path, make_png, describe):
    for side in ("left", "right"):
        make_png(tmp_path / f"{side}_a.png", mode="RGB")
        make_png(tmp_path / f"a_{side}.tif.png")
    text = 'images: "*_{name}.png"\nlabels: "{name}_left.tif.png"'
    with pytest.raises(DataError, match="duplicate name 'a'"):
        find_pairs(describe(text), str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images: [", "not YAML"),
        ("- a", "expected keys such as images, labels"),
        ("images: a", "key 'labels' is missing"),
        ("images: a\nlabels: b\nimage: c", "unknown key 'image'"),
        ("images: a\nlabels: b", r"need \{name\}"),
        (
            'images: "{name}/{drive}"\nlabels: "{name}"',
            r"need \{name\} and the same places",
        ),
        ('images: "{name}{x}"\nlabels: "{name}"', r"unknown place \{x\}"),
        (
            'images: "{name}"\nlabels: "l{name}"\nids: {0: lorry}',
            "'lorry'",
        ),
        ('images: "{name}"\nlabels: "l{name}"\nclasses: trams', "'trams'"),
        (
            'images: "{name}"\nlabels: "l{name}"\ncolours: {red: road}',
            "Invalid colour",
        ),
        (
            'images: "{name}"\nlabels: "l{name}"\nids: {}\ncolours: {}',
            "not both",
        ),
        (
            'images: "{name}"\nlabels: "l{name}"\ndrives: {val: [a]}',
            r"needs \{drive\}",
        ),
    ],
)
def test_refuses(describe, text, message):
    path = describe(text)
    with pytest.raises(DataError, match=message) as caught:
        layout(path)
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)


def test_refuses_a_missing_description_and_no_images(tmp_path, describe):
    with pytest.raises(DataError, match=r"no\.yaml: no such file"):
        layout(str(tmp_path / "no.yaml"))
    text = 'images: "{name}.jpg"\nlabels: "{name}.png"'
    with pytest.raises(DataError, match="no such images"):
        find_pairs(describe(text), str(tmp_path))


def test_images_without_labels_are_found_by_a_pattern(tmp_path, make_png):
    for place in (
        "dusk/b/2.jpg",
        "dusk/b/1.jpg",
        "dusk/a/1.jpg",
        "day/a/1.jpg",
    ):
        make_png(tmp_path / place, mode="RGB")
    found = [
        *image_rows("{split}/{drive}/{name}.jpg", str(tmp_path), "dusk", "yard")
    ]
    assert [(p.name, p.drive, p.split) for p in found] == [
        ("a_1", "a", "dusk"), ("b_1", "b", "dusk"), ("b_2", "b", "dusk"),
    ]  # fmt: skip
    assert {(pair.label, pair.dataset) for pair in found} == {("", "yard")}
    assert found[0].image == str(tmp_path / "dusk/a/1.jpg")
    with pytest.raises(DataError, match="no images of split 'night'"):
        image_rows("{split}/{drive}/{name}.jpg", str(tmp_path), "night", "x")
    for pattern in ("frames/*.jpg", "{name}_{camera}.jpg"):
        with pytest.raises(DataError, match=r"a pattern with {name}"):
            image_rows(pattern, str(tmp_path), "dusk", "x")


LISTED = 'images: "img/{drive}/{name}.png"\nlabels: "lab/{drive}/{name}.png"\n'
DRIVES = ("06", "07", "08", "2011_09_26", "null", "on", "1.0", "e\u0301t\u00e9")


@pytest.fixture
def many(tmp_path, make_png):
    """Drives whose names YAML would change, frames `a` and `b` in each."""
    for drive in DRIVES:
        for part in ("img", "lab"):
            for name in "ab":
                make_png(tmp_path / "data" / part / drive / f"{name}.png")
    return str(tmp_path / "data")


def splits_of(pairs):
    found = {}
    for pair in pairs:
        found.setdefault(pair.split, set()).add(pair.drive)
    return found


@pytest.mark.parametrize(
    ("written", "held_out"),
    [
        ("[07, 08]", {"07", "08"}),
        ("08", {"08"}),
        ("[2011_09_26]", {"2011_09_26"}),
        ("[null, on, 1.0]", {"null", "on", "1.0"}),
        ("['07', \"08\"]", {"07", "08"}),
        ("e\u0301te\u0301", {"\u00e9t\u00e9"}),
        ("\u00e9t\u00e9", {"\u00e9t\u00e9"}),
    ],
)
def test_drives_are_text_as_written(many, describe, written, held_out):
    path = describe(LISTED + f"drives: {{val: {written}}}")
    found = splits_of(find_pairs(path, many))
    assert found["val"] == held_out
    assert len(found["train"] | held_out) == len(DRIVES)
    assert not found["train"] & held_out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drives: {val: [08, 09]}", r"Found: '09' \(split 'val'\)"),
        ("drives: {val: [8]}", r"drives that are there: 06, 07.*Found: '8'"),
        ("drives: {val: [06], test: [06, 07]}", "each frame in one split"),
        ("drives: {val: [06, 06]}", "Expected each once"),
        ("drives: {val: [06], val: [07]}", "each key once"),
        ("drives: [08]", "invalid `drives`. Expected `key: value` pairs"),
        ("drives: 08", "invalid `drives`"),
        ("drives: {val: }", "invalid `drives`. val: Expected text"),
        ("drives: {val: []}", "invalid `drives`"),
        ("drives: {val: [[06]]}", "invalid `drives`"),
        ("drives: {}", "invalid `drives`"),
        ("drives: {../val: 06}", "Expected the name of a split"),
        ("lists: {a/b: val.txt}", "Expected the name of a split"),
        ("expressions: {'val ': x}", "Expected the name of a split"),
        ("shares: {..: .1}", "Expected the name of a split"),
        ("shares: {}", "invalid `shares`"),
        ("seed: 3", "`seed` needs `shares`"),
        ("drives: {val: {a: b}}", "invalid `drives`"),
        ("ids: [sky, road]", "invalid `ids`"),
        ("ids:", "invalid `ids`.*Found: nothing"),
        ("ids: {one: road}", "invalid `ids`. Expected a decimal integer"),
        ("ids: {010: road}", "invalid `ids`. Expected a decimal integer"),
        ("ids: {0x1: road}", "invalid `ids`. Expected a decimal integer"),
        ("ids: {1: road, '1': sky}", "each key once"),
        ("ids: {1: [road]}", "invalid `ids`. 1: Expected text"),
        ("ids: {300: road}", "ids up to 255; wider ones take `bits: 16`"),
        ("bits: 16\nids: {70000: road}", "ids up to 65535"),
        ("ids: {0: road}", r"absent: \[sidewalk, building"),
        ("colours: {1 2 300: road}", "Invalid colour"),
        ("colours: {1 2 3: road, 1  2 3: sky}", "each key once"),
        ("colours: [road]", "invalid `colours`"),
        ("classes: [sky, 7]", "class"),
        ("dataset: [a]", "invalid `dataset`"),
        ("images: {a: b}", "invalid `images`"),
        ("images: [[a]]", "invalid `images`"),
        ("images: '{name:[}.png'", "regular expression"),
        ("absent: [road]", "`absent` needs"),
        ("bits: 12", "8, 16 or 24"),
        ("divisor: 0", "at least 1"),
        ("unlabelled: yes", "invalid `unlabelled`. Expected skip"),
        ("lists: {val: none.txt}", "none.txt: cannot be read"),
        ("lists: [val.txt]", "invalid `lists`"),
        ("expressions: {val: '['}", "Expected a regular expression"),
        ("expressions: {val: xyz}", "Found: 'xyz' in none"),
        ("shares: {val: 2}", "a share between 0 and 1"),
        ("shares: {val: 0.5, test: 0.5}", "less than 1 together"),
        ("shares: {val: .1}\ndrives: {val: 06}", "not both"),
        ("a: &a [*a]", "at most"),
        ("images: 2011-13-45", "places"),
    ],
)
def test_refuses_what_would_be_read_wrongly(many, describe, text, message):
    key = text.partition(":")[0]
    kept = [line for line in LISTED.splitlines() if not line.startswith(key)]
    path = describe("\n".join([*kept, text]))
    with pytest.raises(DataError, match=message) as caught:
        find_pairs(path, many)
    assert "\n" not in str(caught.value)
    assert "layout.yaml" in str(caught.value) or "none.txt" in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        "06/a\n07/b",
        "\ufeff06/a \r\n\r\n07/b\r\n",
        "img/06/a.png\nimg/07/b.png",
        "./img/06/a.png lab/06/a.png\nimg/07/b -1",
    ],
)
def test_a_list_names_the_frames_of_a_split(many, describe, lines):
    with open(f"{many}/val.txt", "w", newline="") as file:
        file.write(lines)
    path = describe(LISTED + "lists: {val: val.txt}")
    pairs = find_pairs(path, many)
    held_out = [pair.name for pair in pairs if pair.split == "val"]
    assert held_out == ["06_a", "07_b"]
    assert len(pairs) == 2 * len(DRIVES)
    both = describe(LISTED + "lists: {val: val.txt, train: val.txt}")
    with pytest.raises(DataError, match="each frame in one split"):
        find_pairs(both, many)
    only = describe(LISTED + "lists: {train: val.txt}")
    assert [pair.name for pair in find_pairs(only, many)] == ["06_a", "07_b"]


def test_a_list_that_is_a_pipe_is_refused_unread(many, describe):
    os.mkfifo(f"{many}/val.txt")
    path = describe(LISTED + "lists: {val: val.txt}")
    with pytest.raises(DataError, match="a pipe or a device"):
        find_pairs(path, many)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("06/a\n06/c", r"val\.txt line 2: .*Found: '06/c', which is none"),
        ("a", r"val\.txt line 1: .*which is 8"),
        ("\n \n", "one frame a line"),
    ],
)
def test_a_list_that_names_no_frame_is_refused(many, describe, lines, message):
    with open(f"{many}/val.txt", "w") as file:
        file.write(lines)
    with pytest.raises(DataError, match=message):
        find_pairs(describe(LISTED + "lists: {val: val.txt}"), many)


def test_what_no_list_names_needs_no_label(many, describe):
    os.remove(f"{many}/lab/on/a.png")
    with open(f"{many}/train.txt", "w") as file:
        file.write("06/a")
    path = describe(LISTED + "lists: {train: train.txt}")
    assert len(find_pairs(path, many)) == 1


def test_an_expression_finds_the_frames_of_a_split(many, describe):
    path = describe(LISTED + "expressions: {val: 'img/0[67]/', test: on/a}")
    found = find_pairs(path, many)
    assert splits_of(found)["val"] == {"06", "07"}
    assert [p.name for p in found if p.split == "test"] == ["on_a"]


def test_a_share_is_drawn_drive_by_drive(tmp_path, make_png, describe):
    for drive in range(20):
        for name in range(1 + drive % 4):
            for part in ("img", "lab"):
                make_png(tmp_path / part / f"d{drive}" / f"{name}.png")
    drawn = []
    for seed in (0, 0, 1):
        path = describe(
            LISTED + f"shares: {{val: 0.2, test: 0.1}}\nseed: {seed}"
        )
        pairs = find_pairs(path, str(tmp_path))
        found = splits_of(pairs)
        assert set(found) == {"train", "val", "test"}
        assert sum(map(len, found.values())) == 20
        share = sum(pair.split == "val" for pair in pairs) / len(pairs)
        assert abs(share - 0.2) < 0.05
        drawn.append(found)
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_share_needs_a_drive_for_each_split(tmp_path, make_png, describe):
    for part in ("img", "lab"):
        make_png(tmp_path / part / "only" / "a.png")
    with pytest.raises(DataError, match="a drive for each of the 2 splits"):
        find_pairs(describe(LISTED + "shares: {val: 0.2}"), str(tmp_path))


def test_labels_of_several_suffixes_lie_in_one_folder(
    tmp_path, make_png, describe
):
    for name in ("1.png", "2.JPG", "3.jpeg"):
        make_png(tmp_path / "img" / name, mode="RGB")
    for name in ("1.png", "1_color.png", "2.tif", "3.png", "3_color.png"):
        make_png(tmp_path / "lab" / name)
    path = describe(
        "images: ['img/{name}.png', 'img/{name}.JPG', 'img/{name}.jpeg']\n"
        "labels: ['lab/{name:[0-9]{1,6}}.png', 'lab/{name}.tif']"
    )
    pairs = find_pairs(path, str(tmp_path))
    assert [os.path.basename(pair.label) for pair in pairs] == [
        "1.png", "2.tif", "3.png",
    ]  # fmt: skip
    make_png(tmp_path / "lab" / "1.tif")
    with pytest.raises(DataError, match="duplicate name '1'"):
        find_pairs(path, str(tmp_path))


def test_stray_files_are_no_frames(many, describe, make_png):
    for place in ("img", "lab", "img/06", "lab/06"):
        for stray in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
            with open(f"{many}/{place}/{stray}", "wb") as file:
                file.write(b"x")
        make_png(f"{many}/{place}/.ipynb_checkpoints/a-checkpoint.png")
        os.makedirs(f"{many}/{place}/@eaDir/a.png")
    path = describe(LISTED)
    assert splits_of(find_pairs(path, many)) == {
        "train": {normal(drive) for drive in DRIVES}
    }


def test_spellings_of_a_name_are_one_name(tmp_path, make_png, describe):
    make_png(tmp_path / "ima\u0301genes" / "cafe\u0301.png", mode="RGB")
    make_png(tmp_path / "lab" / "caf\u00e9.png")
    path = describe(
        'images: "im\u00e1genes/{name}.png"\nlabels: "lab/{name}.png"'
    )
    (pair,) = find_pairs(path, str(tmp_path))
    assert pair.name == "caf\u00e9"
    assert os.path.exists(pair.image)


def test_a_link_out_of_the_folder_is_refused(
    many, describe, tmp_path, make_png
):
    outside = make_png(tmp_path / "elsewhere" / "a.png")
    os.remove(f"{many}/lab/06/a.png")
    os.symlink(f"{many}/lab/06/b.png", f"{many}/lab/06/a.png")
    path = describe(LISTED)
    assert len(find_pairs(path, many)) == 2 * len(DRIVES)
    os.remove(f"{many}/lab/06/a.png")
    os.symlink(outside, f"{many}/lab/06/a.png")
    with pytest.raises(DataError, match=r"06/a\.png.*Found: a link to"):
        find_pairs(path, many)
    # The folder of the data, and those in it, may be links themselves.
    os.symlink(many, tmp_path / "link")
    os.remove(f"{many}/lab/06/a.png")
    os.rename(f"{many}/lab/06", tmp_path / "moved")
    os.symlink(tmp_path / "moved", f"{many}/lab/06")
    make_png(tmp_path / "moved" / "a.png")
    found = find_pairs(path, str(tmp_path / "link"))
    assert len(found) == 2 * len(DRIVES)


def test_wide_ids_are_said(describe, tmp_path):
    text = 'images: "{name}.jpg"\nlabels: "{name}.png"\nclasses: camvid\n'
    found = layout(describe(text + "bits: 24\ndivisor: 256"))
    assert (found.panoptic, found.divisor) == (True, 256)
    text += "absent: [sky, building, pole, sidewalk, tree, sign, fence, car]\n"
    ids = "ids: {-1: void, 300: road, 301: pedestrian, 65535: bicyclist}"
    found = layout(describe(text + ids + "\nbits: 16"))
    assert found.id_map == {-1: 11, 300: 3, 301: 9, 65535: 10}
    assert not found.panoptic


OWN = """
classes: %s
images: "{name}.jpg"
labels: "{name}.png"
ids: {0: void, 9: person, 3: floor}
"""
VALUE = "{void: 7, classes: [floor, {name: person, group: 2}]}"


def test_classes_are_a_name_a_file_or_themselves(
    tmp_path, describe, monkeypatch
):
    (tmp_path / "mine.yaml").write_text(VALUE)
    # The file is found beside the description, wherever one works.
    monkeypatch.chdir("/")
    for written in (VALUE, "mine.yaml", str(tmp_path / "mine.yaml")):
        found = layout(describe(OWN % written))
        assert found.classes.names == ("floor", "person")
        assert found.classes.critical == ("person",)
        assert found.id_map == {0: 7, 9: 1, 3: 0}
    found = layout(
        describe(OWN % "[person, floor, 'two words']" + "absent: two words")
    )
    assert found.id_map == {0: 255, 9: 0, 3: 1}
    # What was read stays, though the file is edited.
    found = layout(describe(OWN % "mine.yaml"))
    (tmp_path / "mine.yaml").write_text("[floor, person]")
    assert found.classes.void == 7
    assert layout(describe(OWN % "mine.yaml")).classes.void == 255


def test_classes_that_are_none_are_refused_in_one_sentence(tmp_path, describe):
    (tmp_path / "mine.yaml").write_text("classes: [floor, floor]")
    for written, said in (
        ("[floor]", r"layout\.yaml: .*'person'"),
        ("mine.yaml", r"layout\.yaml: .*mine\.yaml: .*distinct names"),
        ("no.yaml", r"layout\.yaml: .*no\.yaml"),
        ("{clases: [a]}", "did you mean `classes`"),
        ("7", "class set"),
    ):
        with pytest.raises(DataError, match=said) as caught:
            layout(describe(OWN % written))
        assert "\n" not in str(caught.value)
    alone = (OWN % "[person]").replace(", 3: floor", "")
    with pytest.raises(DataError, match="two classes or more"):
        layout(describe(alone))
