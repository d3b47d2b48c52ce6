import pytest

from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.data.layouts.described import find_images

SPLIT_IN_PATH = """
dataset: yard
classes: camvid
images: "{split}/frames/{drive}/{name}.jpg"
labels: "{split}/masks/{drive}/{name}_mask*.png"
ids: {0: void, 1: road, 2: pedestrian}
"""
BY_DRIVE = """
classes: camvid
images: "{drive}/{name}.jpg"
labels: "{drive}/{name}_mask.png"
colours: {"1 2 3": road, "0 0 0": void}
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
    assert layout(path).colour_map == {(1, 2, 3): 3, (0, 0, 0): 11}
    (tmp_path / "south" / "a_mask.png").unlink()
    with pytest.raises(DataError, match="image without label"):
        find_pairs(path, str(tmp_path))


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
    found = find_images(
        "{split}/{drive}/{name}.jpg", str(tmp_path), "dusk", "yard"
    )
    assert [(p.name, p.drive, p.split) for p in found] == [
        ("a_1", "a", "dusk"), ("b_1", "b", "dusk"), ("b_2", "b", "dusk"),
    ]  # fmt: skip
    assert {(pair.label, pair.dataset) for pair in found} == {("", "yard")}
    assert found[0].image == str(tmp_path / "dusk/a/1.jpg")
    with pytest.raises(DataError, match="no images of split 'night'"):
        find_images("{split}/{drive}/{name}.jpg", str(tmp_path), "night", "x")
    for pattern in ("frames/*.jpg", "{name}_{camera}.jpg"):
        with pytest.raises(DataError, match=r"a pattern with {name}"):
            find_images(pattern, str(tmp_path), "dusk", "x")


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
    found = layout(describe(OWN % "[person, floor, 'two words']"))
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
        ("7", "`classes`"),
    ):
        with pytest.raises(DataError, match=said) as caught:
            layout(describe(OWN % written))
        assert "\n" not in str(caught.value)
