import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics.formulas import in_order

NAMES = ["sky", "car", "person"]
VALUES = [[0, 1, 1], [4, 0, 2], [5, 3, 0]]


@pytest.fixture
def matrix():
    return GroundMatrix(VALUES, NAMES)


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, 2, -1.0, r"costs >= 0.*D\[1, 2\].*true car, predicted person"),
        (0, 1, np.nan, r"finite costs.*D\[0, 1\].*= nan"),
        (2, 0, np.inf, r"finite costs.*D\[2, 0\].*= inf"),
        (1, 1, 0.5, r"zero diagonal.*D\[1, 1\]"),
    ],
)
def test_a_wrong_entry_is_named(row, column, value, message):
    values = np.array(VALUES, float)
    values[row, column] = value
    with pytest.raises(ValueError, match=message):
        GroundMatrix(values, NAMES)


@pytest.mark.parametrize("shape", [(2, 3), (3,), (1, 1), (2, 2, 2)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match="Received: shape="):
        GroundMatrix(np.zeros(shape))


@pytest.mark.parametrize(
    "values",
    ["abc", [[0, 1], [1]], [[0, "x"], [1, 0]], [[0, 1j], [1, 0]], {0: [0, 1]}],
)
def test_what_is_no_numbers_is_refused(values):
    with pytest.raises(ValueError, match="Expected"):
        GroundMatrix(values)


def test_names_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="Received 2: "):
        GroundMatrix(VALUES, ["sky", "car"])
    with pytest.raises(ValueError, match=r"Received twice: \['car'\]"):
        GroundMatrix(VALUES, ["car", "car", "person"])
    with pytest.raises(ValueError, match="Received 11: "):
        GroundMatrix(VALUES, CAMVID)


def test_it_cannot_be_changed(matrix):
    with pytest.raises(ValueError, match="read-only"):
        matrix.values[0, 1] = 7
    with pytest.raises(AttributeError):
        matrix.values = np.zeros((3, 3))
    tree = GroundMatrix.from_importance([1, 2, 3]).structure
    for found in (tree.up, tree.down, tree.members):
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 7
    mine = np.array(VALUES, float)
    copy = GroundMatrix(mine)
    mine[0, 1] = 7
    assert copy.values[0, 1] == 1


def test_equality_covers_values_names_and_order(matrix):
    assert matrix == GroundMatrix(np.array(VALUES), tuple(NAMES))
    assert hash(matrix) == hash(GroundMatrix(VALUES, NAMES))
    assert matrix != GroundMatrix(VALUES)
    assert matrix != matrix.subset(["car", "sky", "person"])
    assert matrix != VALUES
    assert eval(repr(matrix)) == matrix


def test_a_negative_zero_is_a_zero():
    negative = GroundMatrix([[-0.0, 1], [1, 0]])
    positive = GroundMatrix([[0.0, 1], [1, 0]])
    assert negative == positive
    assert hash(negative) == hash(positive)


def test_subset_reorders_rows_and_columns_alike(matrix):
    swapped = matrix.subset(["person", "sky"])
    assert swapped.values.tolist() == [[0, 5], [1, 0]]
    assert swapped.classes == ("person", "sky")
    with pytest.raises(ValueError, match="Received: 'bus'"):
        matrix.subset(["bus", "sky"])
    with pytest.raises(ValueError, match="without class names"):
        GroundMatrix(VALUES).subset(["sky", "car"])


def test_maps_by_hand(matrix):
    assert matrix.linear() is matrix
    assert matrix.power(2).values[2].tolist() == [25, 9, 0]
    assert matrix.power(1.5).values[1, 0] == pytest.approx(8)
    # d <= 2: d^2; beyond: 2 (2 d - 2).
    assert matrix.huber(2).values.tolist() == [
        [0, 1, 1],
        [12, 0, 4],
        [16, 8, 0],
    ]
    assert matrix.step().values.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert matrix.power(2).classes == tuple(NAMES)


def test_huber_is_continuous_and_smooth_at_tau():
    around = GroundMatrix.from_line([0, 2 - 1e-6, 2 + 1e-6, 5]).huber(2)
    rise = around.values[0, 2] - around.values[0, 1]
    assert rise / 2e-6 == pytest.approx(4, rel=1e-5)


def test_huber_warns_when_tau_changes_nothing(matrix):
    with pytest.warns(UserWarning, match="changes nothing"):
        assert matrix.huber(5) == matrix.power(2)


@pytest.mark.parametrize("tau", [0, -1, np.nan, np.inf])
def test_huber_refuses_a_senseless_tau(matrix, tau):
    with pytest.raises(ValueError, match="`tau`"):
        matrix.huber(tau)


@pytest.mark.parametrize("exponent", [0.5, np.nan, np.inf])
def test_power_refuses_what_is_not_convex(matrix, exponent):
    with pytest.raises(ValueError, match="`exponent`"):
        matrix.power(exponent)


def test_importance_weighs_the_row_of_the_truth():
    by_name = GroundMatrix.from_importance({"sky": 1, "car": 4})
    assert by_name == GroundMatrix.from_importance([1, 4], ["sky", "car"])
    assert by_name.values.tolist() == [[0, 1], [4, 0]]
    with pytest.raises(ValueError, match="an entry for each"):
        GroundMatrix.from_importance({"sky": 1}, ["sky", "car"])


def test_groups_cost_by_the_group_of_the_truth():
    made = GroundMatrix.from_groups(
        [*"aab"], {"a": 1, "b": 0}, {"a": 3, "b": 7}
    )
    assert made.values.tolist() == [[0, 1, 3], [1, 0, 3], [7, 7, 0]]
    with pytest.raises(ValueError, match="a cost for group 'b'"):
        GroundMatrix.from_groups([*"aab"], {"a": 1}, 2)


def test_tree_paths_go_up_from_the_prediction_and_down_to_the_truth():
    edges = {
        "vehicle": ("any", 10, 20),
        "car": ("vehicle", 1, 2),
        "bus": ("vehicle", 3, 4),
        "sky": ("any", 100, 200),
    }
    made = GroundMatrix.from_tree(edges)
    assert made.classes == ("car", "bus", "sky")
    assert made.cost("car", "bus") == 3 + 2
    assert made.cost("sky", "bus") == 3 + 10 + 200
    assert made.cost("bus", "sky") == 100 + 20 + 4
    ordered = GroundMatrix.from_tree(edges, ["sky", "car", "bus"])
    assert ordered == made.subset(["sky", "car", "bus"])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ({"a": ("r", 1, 1), "b": ("s", 1, 1)}, r"roots=\['r', 's'\]"),
        ({"a": ("b", 1, 1), "b": ("a", 1, 1)}, "Expected one root"),
        (
            {
                "x": ("r", 1, 1),
                "c": ("d", 1, 1),
                "d": ("e", 1, 1),
                "e": ("d", 1, 1),
            },
            "a cycle",
        ),
    ],
)
def test_what_is_no_tree_is_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        GroundMatrix.from_tree(edges)


def test_tree_refuses_classes_that_are_not_its_leaves():
    edges = {"a": ("r", 1, 1), "b": ("r", 1, 1)}
    with pytest.raises(ValueError, match="the leaves"):
        GroundMatrix.from_tree(edges, ["a", "c"])


@pytest.mark.parametrize("class_set", [CAMVID, CITYSCAPES])
def test_presets_follow_the_groups(class_set):
    severity = GroundMatrix.severity_aware(class_set)
    importance = GroundMatrix.importance_aware(class_set)
    assert severity.classes == importance.classes == class_set.names
    for j, true in enumerate(class_set.groups):
        for i, predicted in enumerate(class_set.groups):
            same = 0.5 if true == predicted else 1.0
            assert severity.values[j, i] == (j != i) * same * true
            assert importance.values[j, i] == (j != i) * true


def test_presets_take_whatever_names_classes():
    own = ["floor", {"name": "Parked Car", "group": 3}]
    severity = GroundMatrix.severity_aware({"classes": own})
    np.testing.assert_array_equal(severity.values, [[0, 1], [3, 0]])
    assert severity.classes == ("floor", "Parked Car")
    assert GroundMatrix.importance_aware("camvid").classes == CAMVID.names
    with pytest.raises(ValueError, match="Invalid class set"):
        GroundMatrix.severity_aware("camvidd")
    with pytest.raises(ValueError, match=r"`weights`. Expected one value"):
        GroundMatrix.from_importance(CAMVID)


@pytest.mark.parametrize("names", [None, NAMES, ["a,b", 'say "x"', "é: - #"]])
def test_files_read_back_equal(tmp_path, names):
    made = GroundMatrix(np.array(VALUES) / 3, names)
    made.to_yaml(tmp_path / "d.yaml")
    made.to_csv(tmp_path / "d.csv")
    assert GroundMatrix.from_yaml(tmp_path / "d.yaml") == made
    assert GroundMatrix.from_csv(tmp_path / "d.csv") == made
    assert GroundMatrix.from_config(made.get_config()) == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",a,b\na,0,1\nb,x,0\n", "line 3: 'x'"),
        (",a,b\nb,0,1\na,1,0\n", "the same names, in the same order"),
        ("0,1\n-1,0\n", r"D\[1, 0\]"),
        ("", "empty"),
    ],
)
def test_a_bad_csv_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refusal:
        GroundMatrix.from_csv(path)
    assert "bad.csv" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [a, b]", "Expected the keys"),
        ("values: [[0, 1], [1, 0]]\nnames: [a, b]", r"also: \['names'\]"),
        ("values: [[0, 1], [1", "Expected YAML"),
        ("classes: [a]\nvalues: [[0, 1], [1, 0]]", "Expected 2 names"),
    ],
)
def test_a_bad_yaml_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refusal:
        GroundMatrix.from_yaml(path)
    assert "bad.yaml" in str(refusal.value)


def test_numpy_takes_it_for_an_array(matrix):
    assert np.asarray(matrix).tolist() == VALUES
    assert np.asarray(matrix, np.float32).dtype == np.float32
    assert len(matrix) == 3


def test_it_needs_no_tensorflow():
    """TensorFlow takes 13 s to import; a matrix must not."""
    code = "import sys, wseg_tf.ground; assert 'tensorflow' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda D: pickle.loads(pickle.dumps(D))]
)
def test_copies_and_pickles_are_equal_and_immutable(again):
    D = GroundMatrix([[0, 1], [4, 0]], ["sky", "car"])
    other = again(D)
    assert other == D
    assert hash(other) == hash(D)
    assert other.classes == ("sky", "car")
    for each in (D, other):
        with pytest.raises(ValueError, match="read-only"):
            each.values[0, 1] = 7
        with pytest.raises(ValueError, match="WRITEABLE"):
            each.values.flags.writeable = True
        with pytest.raises(AttributeError):
            each.values = np.ones((2, 2))


def test_of_reorders_by_name():
    D = GroundMatrix([[0, 1], [4, 0]], ["sky", "car"])
    assert GroundMatrix.of(D) is D
    assert GroundMatrix.of(D, ["sky", "car"]) is D
    assert GroundMatrix.of(D, ["car", "sky"]).cost("car", "sky") == 4
    assert GroundMatrix.of([[0, 1], [4, 0]], ["sky", "car"]) == D
    with pytest.raises(ValueError, match=r"\['bus', 'car'\]"):
        GroundMatrix.of(D, ["sky", "bus"])


def test_costs_beyond_float32_are_refused():
    with pytest.raises(ValueError, match=r"D\[0, 1\] = 1e\+39"):
        GroundMatrix([[0, 1e39], [1, 0]])


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        (GroundMatrix.from_csv, b"0,\xff\n1,0\n", "Expected text in UTF-8"),
        (GroundMatrix.from_yaml, b"values: \xff", "Expected text in UTF-8"),
        (GroundMatrix.from_yaml, b"values: []\nclasses: 1", "list of names"),
        (GroundMatrix.from_yaml, b"values: []\nclasses: ab", "list of names"),
    ],
)
def test_a_file_that_holds_no_matrix_is_named(tmp_path, read, content, said):
    path = tmp_path / "ground"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as found:
        read(str(path))
    assert type(found.value) is ValueError
    assert str(path) in str(found.value)


class Table:
    """Rows and columns with names, as a DataFrame has them."""

    def __init__(self, values, index, columns):
        self.values, self.index, self.columns = values, index, columns

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


def test_the_names_of_a_table_are_kept_and_put_in_order():
    values = [[0, 1, 2], [3, 0, 4], [5, 6, 0]]
    names = ["sky", "car", "road"]
    table = Table(values, names, names)
    D = GroundMatrix(table)
    assert D.classes == tuple(names)
    other = GroundMatrix.of(table, ["car", "sky", "road"])
    assert other.cost("car", "sky") == 3
    assert other.values[0, 1] == 3
    np.testing.assert_array_equal(
        in_order(table, ["car", "sky", "road"]), other.values
    )
    with pytest.raises(ValueError, match="reorders it"):
        GroundMatrix(table, ["car", "sky", "road"])
    with pytest.raises(ValueError, match="same names, in the same order"):
        GroundMatrix(Table(values, names, names[::-1]))
    nameless = Table(values, range(3), range(3))
    assert GroundMatrix(nameless, names) == D
