from pathlib import Path
from typing import Any

import pytest
import yaml

from wseg_tf.classes import (
    CAMVID,
    CITYSCAPES,
    CLASS_SETS,
    ClassSet,
    class_set,
)
from wseg_tf.palettes import palette

YARD = {
    "name": "yard",
    "void": 7,
    "critical": ["person"],
    "classes": [
        "ground",
        {"name": "person", "group": 5, "colour": [255, 0, 0]},
        {"name": "forklift", "group": 5},
    ],
}


@pytest.mark.parametrize("classes", [CAMVID, CITYSCAPES, class_set(YARD)])
def test_a_set_travels_by_value(classes: ClassSet) -> None:
    again = class_set(classes.as_dict())
    assert again == classes
    assert again.colours == classes.colours
    assert again.name == classes.name
    assert again.critical == classes.critical


def test_what_is_left_out_has_defaults() -> None:
    yard = class_set(YARD)
    assert yard.groups == (1, 5, 5)
    assert yard.levels == (1, 5)
    assert yard.critical == ("person",)
    assert yard.colours[1] == (255, 0, 0)
    assert yard.colours[2] == palette(3)[2]
    plain = class_set(["a", "b"])
    assert (plain.groups, plain.critical, plain.void) == ((1, 1), (), 255)
    many = class_set([f"class {i}" for i in range(300)])
    assert many.void == 65535
    assert len(set(many.colours)) == 300


def test_critical_classes_are_named_by_groups_too() -> None:
    both = class_set({**YARD, "critical": [5]})
    assert both.critical == ("person", "forklift")
    assert class_set({**YARD, "critical": []}).critical == ()
    # The most important of three groups, although it is not the fourth.
    rows = [{"name": str(group), "group": group} for group in (1, 2, 3)]
    assert class_set(rows).critical == ("3",)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "yard.yaml"
    path.write_text("void: 9\nclasses: [ground, {name: person, group: 2}]")
    assert class_set(str(path)).names == ("ground", "person")
    path.write_text("- ground\n- person")
    assert class_set(str(path)).void == 255
    path.write_text("classes: [ground, ground]")
    with pytest.raises(ValueError, match=r"yard\.yaml: .*distinct names"):
        class_set(str(path))


def test_a_description_of_data_stands_for_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "yard-data.yaml"
    (tmp_path / "yard.yaml").write_text("[ground, person]")
    for written, names in (
        ("classes: [a, b]", ("a", "b")),
        ("classes: {void: 9, classes: [a, {name: b, group: 2}]}", ("a", "b")),
        ("classes: yard.yaml", ("ground", "person")),
        ("classes: camvid", CAMVID.names),
        ("", CITYSCAPES.names),
    ):
        path.write_text(f"images: '{{name}}.jpg'\nlabels: x\n{written}")
        assert class_set(str(path)).names == names
    path.write_text("images: x\nlabels: x\nclasses: yard-data.yaml")
    with pytest.raises(ValueError, match=r"yard-data\.yaml: .*`images`"):
        class_set(str(path))


def test_equal_sets_mean_the_same_whatever_they_are_called() -> None:
    painted = {**YARD, "name": "other", "classes": [
        "ground",
        {"name": "person", "group": 5, "colour": [0, 0, 255]},
        {"name": "forklift", "group": 5},
    ]}  # fmt: skip
    assert class_set(painted) == class_set(YARD)
    for change in (
        {"void": 8},
        {"critical": ["forklift"]},
        {"classes": ["person", "ground", "forklift"]},
    ):
        assert class_set({**YARD, **change, "critical": []}) != class_set(YARD)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("lorries", "Invalid class set.*'ade20k'.*'lorries'"),
        ([], "`classes`. Expected a list of classes"),
        ({"clases": ["a"]}, "Invalid key `clases`.*did you mean `classes`"),
        ({"classes": "abc"}, "`classes`. Expected a list"),
        ([{"name": "a", "color": [0, 0, 0]}], "`classes.0.color`"),
        (["a", 7], r"`classes\.1\.name`.*quote.*=7"),
        ([True], r"`classes\.0\.name`"),
        (["a/b"], r"`classes\.0\.name`.*without `/`"),
        # What a terminal, a page or a sheet would take for more than a name.
        (["a\nb"], r"`classes\.0\.name`.*characters that print"),
        (["a\x1b[31m"], r"`classes\.0\.name`.*characters that print"),
        (["\u202ea"], r"`classes\.0\.name`.*characters that print"),
        (["=cmd|x"], r"`classes\.0\.name`.*not begun by"),
        (["a" * 101], r"`classes\.0\.name`.*at most 100"),
        (["a", "critical"], r"`names`.*reserved.*=\['critical'\]"),
        (["void", "a"], r"`names`.*reserved.*=\['void'\]"),
        ([{"name": "a", "group": 0}], "groups from 1 on"),
        ([{"name": "a", "group": "high"}], r"classes\.0\.group.*whole number"),
        (
            [{"name": "a", "colour": [0, 0, 300]}],
            r"classes\.0\.colour.*0\.\.255",
        ),
        ([{"name": "a", "colour": "red"}], r"classes\.0\.colour"),
        ({"classes": ["a"], "void": 0}, "`void`. Expected a label"),
        (
            {"classes": ["a"], "critical": ["b"]},
            r"`critical`.*some of \['a', 1\].*'b'",
        ),
        (
            {"classes": ["a"], "critical": [4]},
            r"`critical`.*some of \['a', 1\].*=4",
        ),
        ({"classes": ["a"], "critical": "a"}, "a list of groups or of"),
        ({"classes": ["a"], "inferred": ["b"]}, "`inferred`.*'b'"),
        ({"classes": ["a"], "inferred": True}, "`inferred`.*a list of"),
    ],
)
def test_what_is_no_set_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        class_set(value)
    assert "\n" not in str(caught.value)


def voc_colour(index: int) -> tuple[int, ...]:
    """Pascal VOC's own rule: bits of the id, highest first, by channel."""
    bits = f"{index:024b}"[::-1]
    return tuple(int(bits[channel::3][:8], 2) for channel in range(3))


def test_built_in_sets_are_what_is_published() -> None:
    found = {name: class_set(name) for name in CLASS_SETS}
    assert {name: (len(each), each.void) for name, each in found.items()} == {
        "ade20k": (150, 255),
        "bdd100k": (19, 255),
        "camvid": (11, 11),
        "cityscapes": (19, 255),
        "kitti": (19, 255),
        "mapillary_vistas": (65, 65),
        "pascal_voc": (21, 255),
    }
    for name, each in found.items():
        assert each.name == name
        assert each.levels == (1, 2, 3, 4)
        # ADE20K paints roads and skyscrapers alike.
        alike = 1 if name == "ade20k" else 0
        assert len({*each.colours}) == len(each) - alike
    assert found["camvid"] == CAMVID
    assert found["bdd100k"] == found["kitti"] == CITYSCAPES
    voc = found["pascal_voc"]
    assert voc.colours == tuple(voc_colour(k) for k in range(21))
    assert (voc.index("person"), voc.index("tvmonitor")) == (15, 20)
    # Ids of the scene parsing challenge, less one.
    ade = found["ade20k"]
    assert [ade.names[k - 1] for k in (1, 13, 21, 150)] == [
        "wall", "person", "car", "flag",
    ]  # fmt: skip
    vistas = found["mapillary_vistas"]
    assert (vistas.index("Person"), vistas.index("Car")) == (19, 55)


def test_a_guessed_group_is_marked_and_the_text_is_read_back() -> None:
    assert "person" not in CITYSCAPES.inferred
    assert {*class_set("ade20k").inferred} == {*class_set("ade20k").names}
    for name in CLASS_SETS:
        each = class_set(name)
        text = each.to_yaml()
        again = class_set(yaml.safe_load(text))
        assert (again, again.colours) == (each, each.colours)
        assert text.count("# group inferred") == len(each.inferred)
    odd = class_set(["a: b", "null", "ölrinne, 2", "#", "1"])
    assert class_set(yaml.safe_load(odd.to_yaml())).names == odd.names


@pytest.mark.parametrize("key", ["void", "group"])
def test_a_number_that_no_tensor_holds_is_refused(key):
    values = {"void": 255, "group": 1, key: 2**31}
    row = {"name": "a", "group": values["group"]}
    with pytest.raises(ValueError, match=rf"{key}.*at most 2147483647"):
        class_set({"classes": [row, "b"], "void": values["void"]})
