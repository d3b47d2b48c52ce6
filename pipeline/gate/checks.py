"""Refuses rules that nobody could judge, or that cannot fail, or never hold."""

from __future__ import annotations

import difflib

from pipeline.gate.rules import IMAGE, RECORDED, Gate, Rule
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.metrics.table import classes_of, expand, kind_of

# Drawn sets that must lie beyond a bound for it to be known.
TAIL = 10


def read_gate(path: str, classes: ClassSet) -> Gate:
    """Reads a gate from a file of its own, or from a run's configuration.

    Args:
        path: YAML with the fields of `Gate`, or with them under `gate`.
        classes: The class set that will be evaluated.

    Returns:
        The gate, checked.

    Raises:
        ConfigurationError: If there is none, or it does not fit the classes.
    """
    values = configuration.parse(configuration.text_of(path), path)
    gate = configuration.fill(Gate, values.get("gate", values), path)
    if not gate.rules:
        raise ConfigurationError(
            f"Invalid gate in {path}. Expected at least one rule, since a "
            "gate without rules passes nothing. Received: none."
        )
    check_rules(gate, classes, path)
    return gate


def check_rules(gate: Gate, classes: ClassSet, source: str) -> None:
    """Refuses a rule on a metric or a slice the evaluation does not have.

    Args:
        gate: The rules.
        classes: The class set that will be evaluated.
        source: The file the rules came from.

    Raises:
        ConfigurationError: If a metric or a kind of slice is unknown; lists
            those there are.
    """
    kinds = [*RECORDED, *gate.slices]
    for position, rule in enumerate(gate.rules):
        place = f"gate.rules.{position}"
        try:
            where = f"metric `{rule.metric}` in `{place}` of {source}"
            expand(rule.metric, classes, where)
            _check_bound(rule)
            _check_confidence(rule, gate)
            _check_group(rule, gate, classes)
        except ValueError as error:
            named = f"{error}"
            if not named.startswith("Invalid metric"):
                named = f"{source}: `{place}`: {error}"
            raise ConfigurationError(named) from error
        for key, value in (
            ("every", rule.every),
            ("slice", next(iter(rule.slice)) if rule.slice else None),
            ("resample", None if rule.resample == IMAGE else rule.resample),
        ):
            if value is not None:
                where = f"{key} `{value}` in `{place}`"
                _check(value, kinds, where, source)
        for kind, name in (rule.slice or {}).items():
            if kind in gate.slices:
                where = f"slice `{name}` in `{place}`"
                _check(name, [*gate.slices[kind]], where, source)


def _check(value: str, known: list[str], where: str, source: str) -> None:
    if value not in known:
        close = difflib.get_close_matches(value, known, n=1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        raise ConfigurationError(
            f"Invalid {where} of {source}. Expected one of {known}{hint}."
        )


def _refused(rule: Rule, expected: str, received: object) -> ValueError:
    return ValueError(
        f"Invalid rule on `{rule.metric}`. Expected {expected}. Received: "
        f"{received}."
    )


def _check_bound(rule: Rule) -> None:
    """Refuses a bound on the wrong side, or outside the score's range."""
    kind, figure = rule.bound
    received = f"{kind}={figure:g}"
    lower = kind_of(rule.metric).lower_is_better
    if kind == "ceiling" and not lower:
        expected = "a floor, since more is better"
        raise _refused(rule, expected, received)
    if kind == "floor" and lower:
        expected = "a ceiling, since less is better"
        raise _refused(rule, expected, received)
    if lower:
        if kind == "ceiling" and figure < 0:
            raise _refused(rule, "a ceiling of at least 0", received)
    elif kind == "floor" and not 0 <= figure <= 1:
        raise _refused(rule, "a floor in 0..1", received)
    elif kind != "floor" and not -1 <= figure < 1:
        expected = f"`{kind}` of at least -1 and below 1"
        raise _refused(rule, expected, received)


def _check_confidence(rule: Rule, gate: Gate) -> None:
    """Refuses a bound that the bootstrap draws too few sets to know."""
    if rule.confidence is None:
        return
    # Rounded: .95 of 200 leaves ten, whatever floats say.
    tail = round(gate.replicates * (1 - rule.confidence), 6)
    if tail < TAIL:
        raise _refused(
            rule,
            f"a confidence that {gate.replicates} replicates can carry, "
            f"{TAIL} of them beyond it (or more gate.replicates)",
            f"confidence={rule.confidence:g}, {tail:g} beyond it",
        )


def _check_group(rule: Rule, gate: Gate, classes: ClassSet) -> None:
    """Refuses a floor on a group's mean that holds without one of its classes.

    It does where the mean of the others reaches it, unless another rule is
    about each class.
    """
    kind, figure = rule.bound
    for metric in expand(rule.metric, classes):
        if not metric.startswith("iou_group/") or kind != "floor":
            continue
        members = classes_of(metric, classes) or []
        if len(members) < 2 or figure > 1 - 1 / len(members):
            continue
        guarded = _guarded(gate, classes)
        lost = [classes.names[m] for m in members if m not in guarded]
        if lost:
            raise _refused(
                rule,
                f"a floor for each class of the group too, since the mean "
                f"reaches {figure:g} without `{lost[0]}` (e.g. metric: "
                f"iou/{lost[0]})",
                f"none on {lost}",
            )


def _guarded(gate: Gate, classes: ClassSet) -> set[int]:
    """Returns the classes that a rule of their own, or a minimum, is about."""
    found: set[int] = set()
    for rule in gate.rules:
        if rule.bound[0] != "floor" or rule.bound[1] <= 0:
            continue
        for metric in expand(rule.metric, classes):
            own = classes_of(metric, classes)
            own = list(range(len(classes))) if own is None else own
            if len(own) == 1 or "minimum" in metric:
                found |= {*own}
    return found
