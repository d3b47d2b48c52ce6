"""The gate's rules: what a model must reach before it is pushed."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from typing import Optional

from pipeline.scores import score_names
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError


@dataclass
class Rule:
    """One condition a model must meet to be pushed.

    Args:
        metric: A metric of the evaluation, e.g. `"iou/pedestrian"`,
            `"iou_group/4"`, `"critical_iou/minimum"`, `"mean_iou"`.
        floor: The metric must be at least this.
        ceiling: The metric must be at most this, e.g. for
            `"expected_severity"`.
    """

    metric: str
    floor: Optional[float] = None  # noqa: UP045
    ceiling: Optional[float] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses a rule that demands nothing."""
        bounds = [b for b in (self.floor, self.ceiling) if b is not None]
        if not bounds or not all(math.isfinite(bound) for bound in bounds):
            raise ValueError(
                f"Invalid rule on `{self.metric}`. Expected a finite `floor` "
                f"or `ceiling`. Received: floor={self.floor}, "
                f"ceiling={self.ceiling}."
            )


@dataclass
class Gate:
    """What a model must reach before it is pushed.

    Args:
        rules: All of them must hold. Without any, nothing is ever pushed, so
            an empty list is refused.
    """

    rules: list[Rule] = field(default_factory=list)


def check_rules(gate: Gate, classes: ClassSet, source: str) -> None:
    """Refuses a rule on a metric the evaluation does not have.

    Args:
        gate: The rules.
        classes: The class set that will be evaluated.
        source: The file the rules came from.

    Raises:
        ConfigurationError: If a metric is unknown; lists those there are.
    """
    names = score_names(classes)
    for position, rule in enumerate(gate.rules):
        if rule.metric not in names:
            close = difflib.get_close_matches(rule.metric, names, n=1)
            hint = f" (did you mean `{close[0]}`?)" if close else ""
            raise ConfigurationError(
                f"Invalid metric `{rule.metric}` in `gate.rules.{position}` "
                f"of {source}. Expected one of {names}{hint}."
            )
