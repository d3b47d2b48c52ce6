"""Weights and groups by class id and by name, in every loss that has them."""

import json
from typing import Any

import keras
import numpy as np
import pytest

from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.losses import (
    CrossEntropyLoss,
    FocalLoss,
    ImportanceAwareLoss,
    LovaszSoftmaxLoss,
    MixtureLoss,
    WassersteinDiceLoss,
    WassersteinLoss,
)
from wseg_tf.metrics import Confusion

NAMES = ["sky", "car", "bus"]
HALVES = np.full((2, 2), 0.5, np.float32)
WEIGHTED = {
    "cross_entropy": CrossEntropyLoss,
    "focal": lambda w, **k: FocalLoss(2.0, w, **k),
    "importance_aware": lambda w, **k: ImportanceAwareLoss([1, 2, 1], w, **k),
    "lovasz": LovaszSoftmaxLoss,
}
every_weighted = pytest.mark.parametrize("name", WEIGHTED)


def batch() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (2, 5))
    return labels, random.normal(size=(2, 5, 3)).astype(np.float32)


def test_a_dictionary_by_id_by_hand() -> None:
    loss = CrossEntropyLoss({0: 1.0, 1: 5.0})
    assert float(loss([0, 1], HALVES)) == pytest.approx(3 * np.log(2))
    assert float(loss([1, 1], HALVES)) == pytest.approx(5 * np.log(2))


@every_weighted
@pytest.mark.parametrize(
    "given",
    [
        {0: 2.0, 1: 5.0, 2: 0.5},
        {2: 0.5, 1: 5.0, 0: 2.0},
        {"bus": 0.5, "car": 5.0, "sky": 2.0},
        {"car": 5.0, 0: 2.0, np.int64(2): 0.5},
        {"0": 2.0, "1": 5.0, "2": 0.5},  # As JSON and YAML have them.
        np.array([2.0, 5.0, 0.5]),
    ],
)
@pytest.mark.parametrize("soft", [False, True])
def test_dictionaries_are_lists(name: str, given: Any, soft: bool) -> None:
    labels, logits = batch()
    y_true = np.eye(3, dtype=np.float32)[labels] if soft else labels
    options = {"from_logits": True, "classes": NAMES}
    listed = WEIGHTED[name]([2.0, 5.0, 0.5], **options)
    expected = float(listed(y_true, logits))
    loss = WEIGHTED[name](given, **options)
    assert float(loss(y_true, logits)) == pytest.approx(expected)
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(saved)
    assert float(again(y_true, logits)) == pytest.approx(expected)


@every_weighted
def test_classes_left_out_weigh_one(name: str) -> None:
    labels, logits = batch()
    some = WEIGHTED[name]({1: 5.0}, from_logits=True)
    named = WEIGHTED[name]({"car": 5.0}, from_logits=True, classes=NAMES)
    whole = WEIGHTED[name]([1.0, 5.0, 1.0], from_logits=True)
    expected = float(whole(labels, logits))
    for loss in (some, named):
        saved = json.loads(
            json.dumps(keras.saving.serialize_keras_object(loss))
        )
        again = keras.saving.deserialize_keras_object(saved)
        for each in (loss, again):
            assert float(each(labels, logits)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ({"car": 5.0}, {}, r"names with `classes`.*Received the key 'car'"),
        ({"cat": 5.0}, {"classes": NAMES}, r"names of \['sky'.*'cat'"),
        ({-1: 5.0}, {}, r"Received the key -1"),
        ({3: 5.0}, {"classes": NAMES}, r"Received the key 3"),
        ({1.5: 5.0}, {}, r"Received the key 1.5"),
        ({True: 5.0}, {}, r"Received the key True"),
        ({"car": 5.0, 1: 2.0}, {"classes": NAMES}, r"each once.*the key 1"),
        ({1: -5.0}, {}, r"class_weights\[1\]=-5"),
        ([1.0, 2.0], {"classes": NAMES}, r"3 classes.*Received: 2 entries"),
        (5.0, {}, r"one value for each class.*5\.0"),
        ("abc", {}, r"one value for each class.*'abc'"),
        ({1.0, 2.0, 3.0}, {}, r"one value for each class"),
        ([1.0, None, 2.0], {}, r"class_weights\[1\]=None"),
        ({1: "heavy"}, {}, r"class_weights\[1\]='heavy'"),
        ([[1.0, 2.0, 3.0]], {}, r"class_weights\[0\]=\[1"),
        ([1.0, 1e39], {}, r"class_weights\[1\]=1e\+39"),
        (b"abc", {}, r"one value for each class.*b'abc'"),
    ],
)
@every_weighted
def test_what_is_no_weight_of_a_class_is_refused(
    name: str, given: Any, options: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=f"`class_weights`.*{said}"):
        WEIGHTED[name](given, **options)


@every_weighted
def test_an_id_beyond_the_predictions_is_refused(name: str) -> None:
    labels, logits = batch()
    loss = WEIGHTED[name]({7: 5.0}, from_logits=True)
    with pytest.raises(ValueError, match=r"`class_weights`.*0\.\.2"):
        loss(labels, logits)


GROUPS = [
    {0: 1, 1: 4, 2: 3},
    {2: 3, 0: 1, 1: 4},
    {"car": 4, "bus": 3, "sky": 1},
    [1.0, 4.0, 3.0],
]


def test_groups_by_id_by_name_and_by_class_set() -> None:
    labels, logits = batch()
    expected = float(ImportanceAwareLoss([1, 4, 3], None)(labels, _s(logits)))
    for groups in GROUPS:
        loss = ImportanceAwareLoss(groups, classes=NAMES)
        assert float(loss(labels, _s(logits))) == pytest.approx(expected)
    assert ImportanceAwareLoss(CAMVID).groups == CAMVID.groups
    turned = ImportanceAwareLoss(CAMVID, classes=CAMVID.names[::-1])
    assert turned.groups == CAMVID.groups[::-1]
    with pytest.raises(ValueError, match=r"`groups`.*\{1: 4\}"):
        ImportanceAwareLoss({1: 4}, classes=NAMES)
    with pytest.raises(ValueError, match=r"`groups`.*1\.5"):
        ImportanceAwareLoss([1, 1.5])


@pytest.mark.parametrize("groups", GROUPS)
def test_groups_of_the_metric_are_read_as_those_of_the_loss(
    groups: Any,
) -> None:
    metric = Confusion(3, report="iou_group", names=NAMES, groups=groups)
    assert metric.groups == (1, 4, 3)
    assert metric.groups == ImportanceAwareLoss(groups, classes=NAMES).groups
    metric.update_state([0, 1, 2], [0, 1, 1])
    found = {name: float(value) for name, value in metric.result().items()}
    assert found == {"iou_group/1": 1.0, "iou_group/4": 0.5, "iou_group/3": 0.0}


@pytest.mark.parametrize(
    "groups",
    [
        {1: ["sky"], 3: ["bus"], 4: ["car"]},
        {"car": 4},
        {0, 1},
        [1, 2],
        [1, 1.5, 2],
        [0, 1, 2],
    ],
)
def test_groups_that_are_none_are_refused_by_both(groups: Any) -> None:
    with pytest.raises(ValueError, match="`groups`"):
        Confusion(3, names=NAMES, groups=groups)
    with pytest.raises(ValueError, match="`groups`"):
        ImportanceAwareLoss(groups, classes=NAMES)


def test_a_series_is_read_by_its_index() -> None:
    pandas = pytest.importorskip("pandas")
    numbers = [5.0, 0.5, 2.0]
    named = pandas.Series(numbers, ["car", "bus", "sky"])
    numbered = pandas.Series(numbers, [1, 2, 0])
    plain = pandas.Series([2.0, 5.0, 0.5])
    for given in (named, numbered, plain):
        loss = CrossEntropyLoss(given, classes=NAMES)
        assert loss.class_weights == (2.0, 5.0, 0.5)
    D = GroundMatrix.from_importance(named, NAMES)
    assert D.cost("car", "sky") == 5.0
    assert GroundMatrix.from_importance(named) == D.subset([*named.index])
    assert GroundMatrix.from_importance(plain).classes is None
    groups = pandas.Series([4, 3, 1], ["car", "bus", "sky"])
    assert Confusion(3, names=NAMES, groups=groups).groups == (1, 4, 3)
    with pytest.raises(ValueError, match="`class_weights`"):
        CrossEntropyLoss(pandas.Series(numbers, [1, 1, 0]))


@pytest.mark.parametrize(
    "names",
    [
        {0: "sky", 1: "car", 2: "bus"},
        {"car": 1, "sky": 0, "bus": 2},
        {"sky", "car", "bus"},
        [b"sky", b"car", b"bus"],
        [(0, "sky"), (1, "car"), (2, "bus")],
    ],
)
@pytest.mark.parametrize(
    "take",
    [
        lambda names: CrossEntropyLoss(classes=names),
        lambda names: WassersteinLoss(1 - np.eye(3), classes=names),
        lambda names: GroundMatrix(1 - np.eye(3), names),
        lambda names: Confusion(3, names=names),
    ],
)
def test_names_are_a_list_of_texts(names: Any, take: Any) -> None:
    with pytest.raises(ValueError, match=r"`classes`.*names of the classes"):
        take(names)


@pytest.mark.parametrize("given", ["124", {1.0, 2.0, 4.0}, 3.0])
@pytest.mark.parametrize(
    "build",
    [
        GroundMatrix.from_importance,
        GroundMatrix.from_line,
        lambda given: GroundMatrix.from_groups(given, 1, 2),
    ],
)
def test_what_has_no_order_builds_no_matrix(given: Any, build: Any) -> None:
    with pytest.raises(ValueError, match="one value for each class in order"):
        build(given)


def _s(logits: Any) -> Any:
    powers = np.exp(logits)
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("loss", [WassersteinLoss, WassersteinDiceLoss])
def test_d_in_another_order_is_reordered_or_refused(loss: Any) -> None:
    labels, logits = batch()
    ground = GroundMatrix([[0, 1, 2], [4, 0, 1], [9, 3, 0]], NAMES)
    expected = float(loss(ground, from_logits=True)(labels, logits))
    turned = ground.subset(["bus", "sky", "car"])
    ordered = loss(turned, from_logits=True, classes=NAMES)
    assert ordered.ground == ground
    assert float(ordered(labels, logits)) == pytest.approx(expected)
    assert loss(ground.values, classes=NAMES).ground == ground
    with pytest.raises(ValueError, match=r"lacks some: \['bus', 'van'\]"):
        loss(ground, classes=["sky", "car", "van"])


def test_members_of_a_mixture_name_the_same_classes() -> None:
    ground = GroundMatrix(1 - np.eye(3), NAMES[::-1])
    ce = CrossEntropyLoss(classes=NAMES)
    with pytest.raises(ValueError, match="the same classes in the same order"):
        MixtureLoss([(1.0, ce), (0.2, WassersteinLoss(ground))])
    nested = MixtureLoss([(1.0, WassersteinLoss(ground))])
    with pytest.raises(ValueError, match="the same classes in the same order"):
        MixtureLoss([(1.0, ce), (0.2, nested)])
    nameless = WassersteinLoss(ground.values)
    mixture = MixtureLoss([(1.0, ce), (0.2, nameless)])
    assert mixture.class_names == tuple(NAMES)
