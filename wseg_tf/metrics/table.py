"""The one table of scores: a name, its formula, and the classes it is about.

The Keras metric, the selection of checkpoints, the gate's rules, TFMA and the
reports ask this table, so that a figure has one name everywhere. A score of
the whole count has a plain name, `mean_iou`; one of a class or of an importance
group is written `iou/car`, `iou_group/4`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wseg_tf.classes import ClassSet
from wseg_tf.metrics import formulas
from wseg_tf.metrics.formulas import Values

if TYPE_CHECKING:
    from wseg_tf.ground import GroundMatrix

# What a score may be about: all classes, the critical ones, or the class or
# the importance group that its name ends with.
ALL, CRITICAL, CLASS, GROUP = "all", "critical", "class", "group"


class Score(NamedTuple):
    """A row of the table.

    Attributes:
        formula: A function of `wseg_tf.metrics`; of counts and class ids, or
            of counts alone, or, for the severity, of counts and D.
        about: `"all"`, `"critical"`, `"class"` or `"group"`.
        lower_is_better: Whether it is, and is no share of 1. Defaults to False.
    """

    formula: Callable[..., Values]
    about: str
    lower_is_better: bool = False


TABLE: Mapping[str, Score] = {
    "mean_iou": Score(formulas.mean_iou, ALL),
    "critical_iou": Score(formulas.mean_iou, CRITICAL),
    "critical_minimum_iou": Score(formulas.minimum_iou, CRITICAL),
    "minimum_iou": Score(formulas.minimum_iou, ALL),
    "pixel_accuracy": Score(formulas.pixel_accuracy, ALL),
    "mean_recall": Score(formulas.mean_recall, ALL),
    "mean_precision": Score(formulas.mean_precision, ALL),
    "frequency_weighted_iou": Score(formulas.frequency_weighted_iou, ALL),
    "expected_severity": Score(formulas.expected_severity, ALL, True),
    "iou_group": Score(formulas.mean_iou, GROUP),
    "merged_recall": Score(formulas.merged_recall, GROUP),
    # The mean over one class is the class' own.
    "iou": Score(formulas.mean_iou, CLASS),
    "recall": Score(formulas.mean_recall, CLASS),
    "precision": Score(formulas.mean_precision, CLASS),
}
# Names that stand for several scores: of all classes or groups, or critical.
_SEVERAL = (
    *(kind for kind, row in TABLE.items() if row.about in (CLASS, GROUP)),
    *(f"{k}/{CRITICAL}" for k, row in TABLE.items() if row.about == CLASS),
)


def kind_of(name: str) -> Score:
    """Returns the row of a score.

    Args:
        name: A name that `expand` knows.

    Example:

    >>> kind_of("iou/car").about, kind_of("expected_severity").lower_is_better
    ('class', True)
    """
    return TABLE[name.partition("/")[0]]


def score_names(classes: ClassSet) -> list[str]:
    """Returns the names of all scores of a class set.

    Args:
        classes: The class set.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> names = score_names(CAMVID)
    >>> names[:3], names[-1]
    (['mean_iou', 'critical_iou', 'critical_minimum_iou'],
     'precision/bicyclist')
    """
    members = _members(classes)
    return [
        f"{kind}/{each}" if each else kind
        for kind, row in TABLE.items()
        for each in members.get(row.about, [""])
    ]


def expand(
    name: str, classes: ClassSet, argument: str | None = None
) -> list[str]:
    """Returns the scores that a name stands for.

    Args:
        name: A name of `score_names`; or `"iou"`, `"recall"` or `"precision"`
            for those of every class, and with `"/critical"` for those of the
            critical classes; or `"iou_group"` or `"merged_recall"` for those
            of every group.
        classes: The class set.
        argument: What holds the name, for the error. Defaults to None.

    Returns:
        Names of `score_names`.

    Raises:
        ValueError: If there is no such score; suggests the nearest name.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> expand("iou/critical", CAMVID)
    ['iou/car', 'iou/pedestrian', 'iou/bicyclist']
    """
    kind, slash, of = name.partition("/")
    about = TABLE[kind].about if kind in TABLE else None
    if about in (ALL, CRITICAL) and not slash:
        return [kind]
    members = _members(classes).get(about or "", [])
    if about == CLASS and of == CRITICAL:
        members = list(classes.critical)
    elif slash:
        members = [each for each in members if each == of]
    if not members:
        raise _unknown(name, argument, [*score_names(classes), *_SEVERAL])
    return [f"{kind}/{each}" for each in members]


def check_score(
    name: str, classes: ClassSet, argument: str | None = None
) -> None:
    """Refuses a name that is not of one score.

    Args:
        name: The name.
        classes: The class set.
        argument: What holds the name, for the error. Defaults to None.

    Raises:
        ValueError: If there is no such score; suggests the nearest name.
    """
    if expand(name, classes, argument) != [name]:
        raise _unknown(name, argument, score_names(classes))


def _members(classes: ClassSet) -> dict[str, list[str]]:
    groups = [str(group) for group in sorted(set(classes.groups))]
    return {CLASS: list(classes.names), GROUP: groups}


def _unknown(name: str, argument: str | None, known: list[str]) -> ValueError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean `{close[0]}`?)" if close else ""
    what, received = "score", repr(name)
    if argument is not None:
        what = f"value for argument `{argument}`"
        received = f"{argument}={name!r}"
    return ValueError(
        f"Invalid {what}. Expected one of {known}{hint}. Received: {received}."
    )


def classes_of(name: str, classes: ClassSet) -> list[int] | None:
    """Returns the classes that a score is about.

    Args:
        name: A name of `score_names`.
        classes: The class set.

    Returns:
        Class ids; None for a score of all classes, whichever are present.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> classes_of("iou_group/4", CAMVID), classes_of("mean_iou", CAMVID)
    ([8, 9, 10], None)
    """
    about, of = kind_of(name).about, name.partition("/")[2]
    if about == ALL:
        return None
    if about == CRITICAL:
        names = classes.critical
    else:
        names = (of,) if about == CLASS else classes.members(int(of))
    return [classes.index(each) for each in names]


def score(
    name: str,
    counts: npt.ArrayLike,
    classes: ClassSet,
    ground: GroundMatrix | npt.ArrayLike | None = None,
) -> Values:
    """Returns one score of one confusion count, or of many at once.

    Args:
        name: A name of `score_names`.
        counts: Counts `[..., N, N]`, rows truth, in the class set's order: a
            NumPy array, or a tensor of a floating type.
        classes: The class set.
        ground: D `[N, N]`, rows truth, which the expected severity needs; it
            is NaN without. A `GroundMatrix` with names is brought into the
            class set's order. Defaults to `None`.

    Returns:
        The score `[...]`, of the counts' kind; NaN for what is absent: see
        `wseg_tf.metrics.formulas`.

    Raises:
        ValueError: If there is no such score; suggests the nearest name.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> pair = np.stack([np.eye(11, dtype=int), np.zeros([11, 11], int)])
    >>> score("iou/car", pair, CAMVID)
    array([ 1., nan])
    """
    check_score(name, classes)
    formula = kind_of(name).formula
    if formula is formulas.expected_severity:
        if ground is None:
            return formulas.pixel_accuracy(counts) * np.nan
        return formula(counts, formulas.in_order(ground, classes.names))
    own = classes_of(name, classes)
    return formula(counts) if own is None else formula(counts, own)


def scores(
    counts: npt.ArrayLike,
    classes: ClassSet,
    ground: GroundMatrix | npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Returns every score of one confusion count by its name.

    Args:
        counts: Confusion count `[N, N]`, rows truth, in `classes`' order.
        classes: The class set.
        ground: D `[N, N]` for the expected severity. Defaults to `None`.

    Returns:
        Scores by the names of `score_names`; NaN for what is absent.

    Raises:
        ValueError: If `counts` does not have the class set's size.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> found = scores(np.diag([9] * 10 + [0]), CAMVID)
    >>> found["mean_iou"], found["iou_group/4"], found["iou/bicyclist"]
    (1.0, 1.0, nan)
    """
    matrix = np.asarray(counts)
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(
            "Invalid value for argument `counts`. Expected shape "
            f"{(len(classes), len(classes))} for {classes.name}. "
            f"Received: {matrix.shape}."
        )
    return {
        name: float(score(name, matrix, classes, ground))
        for name in score_names(classes)
    }


def summary(
    counts: npt.ArrayLike,
    classes: ClassSet,
    ground: GroundMatrix | npt.ArrayLike | None = None,
) -> dict[str, float | None]:
    """Returns every score of one confusion count, ready for JSON.

    Args:
        counts: Confusion count `[N, N]`, rows truth, in `classes`' order.
        classes: The class set.
        ground: D `[N, N]` for the expected severity. Defaults to `None`.

    Returns:
        Scores by the names of `score_names`; `None` for what is absent.

    Raises:
        ValueError: If `counts` does not have the class set's size.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> found = summary(np.diag([9] * 10 + [0]), CAMVID)
    >>> found["critical_iou"], found["iou/bicyclist"]
    (1.0, None)
    """
    found = scores(counts, classes, ground)
    return {k: None if math.isnan(v) else v for k, v in found.items()}


def iou_rows(
    values: Mapping[str, Any], classes: ClassSet
) -> list[tuple[str, str, float]]:
    """Returns the IoU of each class and group, most important first.

    Args:
        values: What `scores` returned.
        classes: The class set.

    Returns:
        Rows (name, kind, IoU): a `"group"` row, then its classes as `"class"`
        rows, and last a `"mean"` row. NaN where there is nothing.
    """
    rows = []
    for group in sorted(set(classes.groups), reverse=True):
        rows.append((f"group {group}", GROUP, values[f"iou_group/{group}"]))
        rows += [
            (name, CLASS, values[f"iou/{name}"])
            for name in classes.members(group)
        ]
    return [*rows, ("mean", "mean", values["mean_iou"])]
