"""The confusion count as a Keras metric, for `model.compile(metrics=...)`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.class_ids import checked_void
from wseg_tf.class_values import checked_groups, is_integer
from wseg_tf.classes import ClassSet
from wseg_tf.classes import class_set as classes_of
from wseg_tf.ground import GroundMatrix, names_of
from wseg_tf.metrics import tensors
from wseg_tf.metrics.formulas import in_order
from wseg_tf.metrics.table import CRITICAL, GROUP, expand, kind_of, score

DEFAULT_NAME = "confusion"
DEFAULT_REPORT = ("mean_iou", "pixel_accuracy")


def _asking() -> Mapping[str, Any]:
    """Returns what Keras 3 knows where it asks a metric for its result.

    It says to no metric which output it is of, but asks in a loop over them.
    """
    known = sys._getframe(2).f_locals
    is_keras = type(known.get("self")).__name__ == "CompileMetrics"
    return known if is_keras else {}


def _names(report: Any) -> tuple[str, ...]:
    """Returns the names of scores, as the user gave them."""
    names = (report,) if isinstance(report, str) else report
    is_list = isinstance(names, Iterable)
    if not is_list or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "Invalid value for argument `report`. Expected names of scores. "
            f"Received: report={report!r}."
        )
    return tuple(names)


@keras.saving.register_keras_serializable(package="wseg_tf")
class Confusion(keras.metrics.Metric):
    """One exact confusion count; every score in the report derives from it.

    The count is int64: exact for any number of pixels. `result()` is a
    dictionary of scores, so Keras logs, prints and monitors each by its name
    (`val_mean_iou`), all from one count that is updated and reset once.

    An absent class, in neither truth nor predictions, is NaN and left out of
    means; see `wseg_tf.metrics.formulas`.

    Args:
        classes: The number of classes N.
        ignore_class: Label that is not counted (void). Defaults to `None`: no
            label is. Any other label outside `0..N-1` is refused, as the
            losses refuse it; compiled by XLA, which has no errors, all scores
            become NaN.
        report: Scores to give, by the names of `wseg_tf.metrics.score_names`:
            `"mean_iou"`, `"expected_severity"`, `"iou/car"`, ...; `"iou"` is
            that of every class, `"iou/critical"` of each critical one and
            `"iou_group"` of every group. A lone name is a report of one.
            Defaults to `"mean_iou"` and `"pixel_accuracy"`.
        names: N class names, for the scores by class. Defaults to the ids.
        groups: N importance groups, from 1, for the scores by group and those
            of the critical classes; or a dictionary of them by class id or
            name.
        critical: Names of the critical classes. Defaults to the most important
            group.
        ground: D `[N, N]`, `D[true, predicted]`, for the expected severity; a
            `GroundMatrix` with names is brought into the order of `names`.
        prefix: Put before each key. Defaults to None: nothing, or a `name` of
            your own and `_`, so that two metrics of one output have scores of
            their own. Where a model has several outputs, each one's name and
            `_` are put before it.
        name: Name of the metric. Defaults to `"confusion"`.
        dtype: Accepted for Keras; the count is int64 and the scores float32
            whatever it says.

    Raises:
        ValueError: If a score is unknown or lacks `groups` or `ground`, or an
            argument has not N entries; in Keras 3, where it asks for scores, if
            another metric of the model gives one of the same name.

    Example:

    >>> metric = Confusion(2, ignore_class=255)
    >>> metric.update_state([[0, 1, 1, 255]], [[0, 1, 0, 0]])
    >>> {name: float(value) for name, value in metric.result().items()}
    {'mean_iou': 0.5, 'pixel_accuracy': 0.6666666865348816}
    >>> metric.counts
    array([[1, 0],
           [1, 1]])
    """

    def __init__(
        self,
        classes: int,
        ignore_class: int | None = None,
        report: str | Sequence[str] = DEFAULT_REPORT,
        names: Sequence[str] | None = None,
        groups: Sequence[int] | Mapping[Any, int] | None = None,
        critical: Sequence[str] | None = None,
        ground: GroundMatrix | npt.ArrayLike | None = None,
        prefix: str | None = None,
        name: str | None = DEFAULT_NAME,
        dtype: Any = None,
    ) -> None:
        name = name or DEFAULT_NAME
        super().__init__(name=name, dtype=dtype)
        if not is_integer(classes) or classes < 1:
            raise ValueError(
                "Invalid value for argument `classes`. Expected the number of "
                "classes; `Confusion.of` takes a `ClassSet`. Received: "
                f"classes={classes!r}."
            )
        self.classes = classes = int(classes)
        self.ignore_class = checked_void(ignore_class)
        self.report = _names(report)
        self.names = names_of(names)
        self.groups = self.ground = None
        if groups is not None:
            self.groups = checked_groups(groups, self.names, classes)
        self.critical = None if critical is None else tuple(critical)
        if ground is not None:
            self.ground = in_order(GroundMatrix.of(ground), self.names)
        self.prefix = prefix
        self._own_name = name
        self._check_lengths()
        self._class_set = ClassSet(
            "the metric",
            self.names or tuple(map(str, range(classes))),
            ((0, 0, 0),) * classes,
            self.groups or (1,) * classes,
            void=-1,
            critical_classes=self.critical,
        )
        self._scores = self._resolved()
        self.count = self.add_weight(
            name="count",
            shape=(classes, classes),
            initializer="zeros",
            dtype="int64",
        )

    @classmethod
    def of(
        cls,
        class_set: ClassSet | Any,
        ground: GroundMatrix | npt.ArrayLike | None = None,
        report: str | Sequence[str] | None = None,
        **arguments: Any,
    ) -> Confusion:
        """Builds the metric for a class set: its void, names and groups.

        Args:
            class_set: The classes, or whatever `wseg_tf.class_set` takes.
            ground: D `[N, N]`, `D[true, predicted]`. Defaults to `None`.
            report: Scores to give. Defaults to `"mean_iou"`,
                `"critical_iou"`, `"pixel_accuracy"`, and, with `ground`,
                `"expected_severity"`.
            **arguments: Other arguments of the class.

        Returns:
            The metric.

        Example:

        >>> from wseg_tf.classes import CAMVID
        >>> Confusion.of(CAMVID).ignore_class
        11
        """
        classes = classes_of(class_set)
        if report is None:
            report = ("mean_iou", "critical_iou", "pixel_accuracy")
            report += () if ground is None else ("expected_severity",)
        return cls(
            len(classes),
            ignore_class=classes.void,
            report=report,
            names=classes.names,
            groups=classes.groups,
            critical=classes.critical,
            ground=ground,
            **arguments,
        )

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Adds a batch to the count; see `count_confusion` for the shapes."""
        self.count.assign_add(
            tensors.count_confusion(
                y_true, y_pred, self.classes, self.ignore_class, sample_weight
            )
        )

    def result(self) -> dict[str, tf.Tensor]:
        """Returns the scores of the report, float32 scalars by name."""
        counts = tf.cast(tf.convert_to_tensor(self.count), tf.float64)
        nothing = tf.constant(np.nan, counts.dtype)
        counts = tf.where(tf.reduce_min(counts) < 0, nothing, counts)
        asking = _asking()
        self._refuse_sharing(asking.get("self"))
        prefix = self._prefix(asking.get("mls"))
        found = {
            prefix + name: tf.cast(
                score(name, counts, self._class_set, self.ground), tf.float32
            )
            for name in self._scores
        }
        for earlier in asking.get("results", {}).values():
            if isinstance(earlier, dict) and (twice := {*earlier} & {*found}):
                raise ValueError(
                    "Invalid metrics. Expected each score of an output once; "
                    "give one `Confusion` a name of its own, "
                    "`Confusion(..., name='other')`. Received twice: "
                    f"{sorted(twice)}."
                )
        return found

    def reset_state(self) -> None:
        """Sets the count to zero."""
        self.count.assign(tf.zeros([self.classes, self.classes], tf.int64))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """The count so far as a NumPy array, for `wseg_tf.metrics.summary`.

        Raises:
            ValueError: If it holds labels that are neither a class nor void,
                which XLA could not refuse.
        """
        counts = np.array(tf.convert_to_tensor(self.count), np.int64)
        if counts.min() < 0:
            raise ValueError(
                f"Invalid labels or ids. Expected 0..{self.classes - 1} or "
                f"ignore_class={self.ignore_class}. Received others, in a "
                "count that XLA compiled."
            )
        return counts

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain values."""
        return {
            **super().get_config(),
            "name": self._own_name,
            "classes": self.classes,
            "ignore_class": self.ignore_class,
            "report": list(self.report),
            "names": None if self.names is None else list(self.names),
            "groups": None if self.groups is None else list(self.groups),
            "critical": None if self.critical is None else [*self.critical],
            "ground": None if self.ground is None else self.ground.tolist(),
            "prefix": self.prefix,
        }

    def _prefix(self, asking: Any) -> str:
        """Returns what tells this metric from the model's others."""
        output = getattr(asking, "output_name", None)
        # Keras 2 puts the output's name before the metric's.
        parts = [f"{output}_" if output else ""]
        parts.append(self.name.removesuffix(self._own_name))
        if self.prefix is not None:
            parts.append(self.prefix)
        elif self._own_name != DEFAULT_NAME:
            parts.append(f"{self._own_name}_")
        return "".join(parts)

    def _refuse_sharing(self, asking: Any) -> None:
        """Refuses to count several outputs as one, as Keras 2 does."""
        lists = [
            *getattr(asking, "_flat_metrics", ()),
            *getattr(asking, "_flat_weighted_metrics", ()),
        ]
        given = [each for some in lists if some for each in some.metrics]
        if sum(each is self for each in given) > 1:
            raise ValueError(
                "Invalid metrics. Expected a `Confusion` of its own for each "
                f"output. Received one, {self.name!r}, for several."
            )

    def _check_lengths(self) -> None:
        for argument in ("names", "ground"):
            value = getattr(self, argument)
            if value is not None and len(value) != self.classes:
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected one "
                    f"entry for each of the {self.classes} classes. "
                    f"Received: {len(value)} entries."
                )

    def _resolved(self) -> tuple[str, ...]:
        """Returns the names of the report, one a score."""
        resolved: list[str] = []
        for given in self.report:
            resolved += expand(given, self._class_set, "report")
            needed = None
            if given == "expected_severity":
                needed = "ground"
            elif CRITICAL in given or kind_of(given).about == GROUP:
                needed = "groups"
            if needed and getattr(self, needed) is None:
                raise ValueError(
                    f"Invalid value for argument `{needed}`. Expected a value "
                    f"since `report` holds {given!r}. Received: None."
                )
        return tuple(resolved)
