"""Where a run's images and labels come from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Optional

from wseg_tf import classes as class_sets
from wseg_tf.classes import ClassSet
from wseg_tf.data.layouts import Layout
from wseg_tf.data.layouts import layout as find_layout
from wseg_tf.data.streets.look import LOOKS
from wseg_tf.data.streets.scene import SMALLEST
from wseg_tf.ranges import bounded, check_ranges
from wseg_tf.training.recipe import LONGEST

# TensorFlow's own advice for record files: large enough to read in one go.
SHARD_MEGABYTES = 128
# The data set that is drawn.
STREETS = "streets"


@dataclass
class StreetsOptions:
    """The embedded, procedurally drawn data set.

    Args:
        train: Images to train on.
        eval: Images the gate judges on; of other drives.
        validation: Images of the split `data.validation`, if it is named.
        height: Height of the drawn images.
        width: Width of the drawn images.
        seed: Seeds the drawing.
        look: `"day"` or `"dusk"`.
    """

    train: int = bounded(96, 1)
    eval: int = bounded(32, 1)
    validation: int = bounded(16, 1)
    height: int = bounded(120, SMALLEST, LONGEST)
    width: int = bounded(160, SMALLEST, LONGEST)
    seed: int = bounded(0, 0)
    look: str = "day"

    def __post_init__(self) -> None:
        """Refuses what cannot be drawn."""
        check_ranges(self)
        if self.look not in LOOKS:
            raise ValueError(
                f"Invalid value for argument `look`. Expected one of "
                f"{[*LOOKS]}. Received: look={self.look!r}."
            )


@dataclass
class DataOptions:
    """Where images and labels come from.

    Args:
        dataset: A layout of `wseg_tf.data.layouts`, e.g. `"camvid"`, or the
            path of a YAML description of a folder.
        classes: The classes of the labels, with other groups, critical
            classes or colours than the data set's own: whatever
            `wseg_tf.classes.class_set` takes. The data set's by default.
        path: Folder of the data set; not used for `"streets"`.
        train: The data set's split to train on.
        eval: The data set's split the gate judges on.
        validation: The data set's split that a training is evaluated on while
            it runs, and that `training.select` chooses by. `eval` by default:
            then the gate judges on images that chose the weights.
        allowed_failures: Share of pairs that may fail their checks, 0..1;
            they are listed in the run's quarantine. None by default.
        limit: Read at most this many images of each split; all by default.
        shard_megabytes: About how many MiB of images and labels each record
            file holds; several workers share the work by file.
        drift_limit: The run stops before it trains where a class has a share
            of the labelled pixels of `eval` that is this many times as large,
            or as small, as its share of `train`. Off by default.
        drift_reference: `statistics.json` of data known to be good: `train`
            is held to it by the same limit.
        streets: How the embedded streets are drawn.
    """

    dataset: str = STREETS
    path: Optional[str] = None  # noqa: UP045
    classes: Any = None
    train: str = "train"
    eval: str = "val"
    validation: Optional[str] = None  # noqa: UP045
    allowed_failures: float = bounded(0.0, 0, 1)
    limit: Optional[int] = bounded(None, 1)  # noqa: UP045
    shard_megabytes: int = bounded(SHARD_MEGABYTES, 1)
    drift_limit: Optional[float] = bounded(None, above=1)  # noqa: UP045
    drift_reference: Optional[str] = None  # noqa: UP045
    streets: StreetsOptions = field(default_factory=StreetsOptions)

    def __post_init__(self) -> None:
        """Refuses what is out of range."""
        check_ranges(self)
        if self.validation in (self.train, self.eval):
            raise ValueError(
                "Invalid value for argument `validation`. Expected another "
                f"split than {self.train!r}, which is trained on, and "
                f"{self.eval!r}, which is judged on. Received: "
                f"validation={self.validation!r}."
            )
        if self.drift_reference is not None and self.drift_limit is None:
            raise ValueError(
                "Invalid value for argument `drift_reference`. Expected a "
                "`drift_limit` beside it. Received: drift_limit=None."
            )

    @cached_property
    def layout(self) -> Layout:
        """How the data are laid out and what labels mean; read once.

        Raises:
            DataError: If a description cannot be used.
            ValueError: If there is no such layout, or `classes` are others.
        """
        found = find_layout(self.dataset)
        if self.classes is None:
            return found
        own = class_sets.class_set(self.classes)
        theirs = found.classes
        if (own.names, own.void) != (theirs.names, theirs.void):
            raise ValueError(
                "Invalid value for argument `classes`. Expected the names and "
                f"the void label of {self.dataset}: {list(theirs.names)}, "
                f"{theirs.void}. Received: {list(own.names)}, {own.void}."
            )
        return replace(found, classes=own)

    @property
    def splits(self) -> dict[str, str]:
        """The data set's splits by the pipeline's: `train`, `eval`, ..."""
        own = {"train": self.train, "eval": self.eval}
        if self.validation is not None:
            own["validation"] = self.validation
        return own

    @property
    def validated_on(self) -> str:
        """The pipeline's split that a training is evaluated on."""
        return "eval" if self.validation is None else "validation"

    @property
    def class_set(self) -> ClassSet:
        """The class set the labels are written in."""
        if self.classes is not None:
            return class_sets.class_set(self.classes)
        return self.layout.classes
