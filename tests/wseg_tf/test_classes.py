from pathlib import Path
from typing import Any

import pytest

from wseg_tf.classes import CAMVID, CITYSCAPES, ClassSet, class_set
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
        ("kitti", "Invalid class set.*'kitti'"),
        ([], "`classes`. Expected a list of classes"),
        ({"clases": ["a"]}, "Invalid key `clases`.*did you mean `classes`"),
        ({"classes": "abc"}, "`classes`. Expected a list"),
        ([{"name": "a", "color": [0, 0, 0]}], "`classes.0.color`"),
        (["a", 7], r"`classes\.1\.name`.*quote.*=7"),
        ([True], r"`classes\.0\.name`"),
        (["a/b"], r"`classes\.0\.name`.*without `/`"),
        ([{"name": "a", "group": 0}], "groups from 1 on"),
        ([{"name": "a", "group": "high"}], r"classes\.0\.group.*whole number"),
        (
            [{"name": "a", "colour": [0, 0, 300]}],
            r"classes\.0\.colour.*0\.\.255",
        ),
        ([{"name": "a", "colour": "red"}], r"classes\.0\.colour"),
        ({"classes": ["a"], "void": 0}, "`void`. Expected a label"),
        ({"classes": ["a"], "critical": ["b"]}, r"`critical`.*\['b'\]"),
        ({"classes": ["a"], "critical": [4]}, r"`critical`.*some of \[1\]"),
        ({"classes": ["a"], "critical": "a"}, "a list of groups or of"),
    ],
)
def test_what_is_no_set_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        class_set(value)
    assert "\n" not in str(caught.value)
