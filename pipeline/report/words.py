"""What a rule means, in words for who does not know its metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.gate.rules import IMAGE, IMAGES, Gate, Rule
from wseg_tf.classes import ClassSet

# Each metric of the table, of `{}`: a class, or the classes it is about.
_METRICS = {
    "iou": "of all pixels that are {0} or are called {0}, the share that is "
    "both",
    "recall": "of all pixels of {}, the share that is found",
    "precision": "of all pixels called {}, the share that is right",
    "iou_group": "the mean IoU of {}",
    "merged_recall": "of all pixels of {}, the share that is called any of "
    "them",
    "critical_minimum_iou": "the IoU of the worst of {}",
    "critical_iou": "the mean IoU of {}",
    "minimum_iou": "the IoU of the worst class of all",
    "mean_iou": "the mean IoU of all classes",
    "pixel_accuracy": "of all pixels, the share that is right",
    "mean_recall": "the mean, over all classes, of the share of a class' "
    "pixels that is found",
    "mean_precision": "the mean, over all classes, of the share that is right "
    "of the pixels called so",
    "frequency_weighted_iou": "the mean IoU of all classes, each counted by "
    "its pixels",
    "expected_severity": "the mean cost of a pixel by D (0 if all are right)",
    IMAGES: "the number of images judged that show {}",
}
_BOUNDS: dict[str, Callable[[str], str]] = {
    "floor": "must be {} or more".format,
    "ceiling": "must be {} or less".format,
    "allowed_loss": "may be worse than the baseline's by {} at most".format,
    "allowed_relative_loss": "may be worse than the baseline's by {} of it at "
    "most".format,
}


def meaning(rule: Rule, gate: Gate, classes: ClassSet) -> str:
    """Says what a rule demands.

    Args:
        rule: A rule of one metric.
        gate: The gate it is of.
        classes: The class set.

    Returns:
        One or two sentences.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> rule = Rule("recall/car", floor=0.9, every="drive")
    >>> meaning(rule, Gate([rule]), CAMVID)
    'On every drive by itself, of all pixels of car, the share that is found
    must be 0.9 or more.'
    """
    kind, _, of = rule.metric.partition("/")
    kind_of_bound, bound = rule.bound
    figure = f"{bound:g}"
    if kind_of_bound == "allowed_relative_loss":
        figure = f"{100 * bound:g} %"
    words = _METRICS[kind].format(_subject(kind, of, classes))
    sentence = f"{words} {_BOUNDS[kind_of_bound](figure)}"
    if rule.where:
        alone = " by itself" if rule.every else " alone"
        sentence = f"on {rule.where}{alone}, {sentence}"
    said = [sentence]
    if rule.confidence is not None:
        unit = "images" if rule.resample == IMAGE else f"{rule.resample}s"
        said.append(
            f"it must be so with {100 * rule.confidence:.4g} % confidence, if "
            f"as many {unit} like these were drawn anew"
        )
    if rule.compares and gate.baseline == "optional":
        said.append("without a baseline it holds, with nothing measured")
    if rule.absent == "skip":
        said.append("a slice that shows too little of the class is left out")
    return " ".join(f"{each[:1].upper()}{each[1:]}." for each in said)


def _subject(kind: str, of: str, classes: ClassSet) -> str:
    if kind.startswith("critical"):
        return f"the critical classes ({listed(classes.critical)})"
    if kind in ("iou_group", "merged_recall"):
        return f"group {of} ({listed(classes.members(int(of)))})"
    return of


def listed(names: Sequence[str]) -> str:
    """Returns names as a sentence has them.

    Example:

    >>> listed(["car", "bus", "person"])
    'car, bus and person'
    """
    *others, last = names or ("none",)
    return f"{', '.join(others)} and {last}" if others else last
