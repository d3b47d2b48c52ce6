"""Reads a gate, and refuses rules that these classes cannot be judged by."""

from __future__ import annotations

import difflib

from pipeline.gate.rules import IMAGE, RECORDED, Gate
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics.table import TABLE, expand


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
            expand(rule.metric, classes)
        except ValueError as error:
            where = f"metric `{rule.metric}` in `{place}` of {source}"
            said = str(error).replace("score", where, 1)
            raise ConfigurationError(said) from error
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


def check_severities(gate: Gate, ground: GroundMatrix, source: str) -> None:
    """Refuses a bound on a severity that D makes hold always, or never.

    Args:
        gate: The rules.
        ground: D of the expected severity, which lies in 0..max(D).
        source: The file the rules came from.

    Raises:
        ConfigurationError: If there is one; names the rule and max(D).
    """
    worst = float(ground.values.max())
    for position, rule in enumerate(gate.rules):
        row = TABLE.get(rule.metric)
        kind, bound = rule.bound
        if row is None or not row.lower_is_better:
            continue
        least = -worst if kind == "allowed_loss" else 0
        if kind != "allowed_relative_loss" and not least <= bound < worst:
            raise ConfigurationError(
                f"Invalid rule on `{rule.metric}` in `gate.rules.{position}` "
                f"of {source}. Expected {kind} below {worst:g}, the largest "
                f"entry of D, and at least {least:g}, since no model is "
                f"further off. Received: {kind}={bound:g}."
            )


def _check(value: str, known: list[str], where: str, source: str) -> None:
    if value not in known:
        close = difflib.get_close_matches(value, known, n=1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        raise ConfigurationError(
            f"Invalid {where} of {source}. Expected one of {known}{hint}."
        )
