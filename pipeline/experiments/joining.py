"""Results that are looked at anew: seeds run apart, another reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import yaml

from pipeline.experiments.plan import START
from pipeline.experiments.results import Results
from pipeline.experiments.run import Outcome
from wseg_tf.configuration import ConfigurationError

# What may differ: the runs, what the whole is called, where it ran.
APART = ("experiment", "notes", "origin", "outcomes", "over_units")
COUNTED = "the counts of each image beside each results.json"


def joined(parts: Sequence[Results]) -> Results:
    """Returns the results of all seeds, as if one run had made them.

    Args:
        parts: Results of the same methods on the same images with other seeds,
            of which each has a start of its own (`starts: each`).

    Returns:
        The first part, with the runs of all; `parts` itself if there is one.

    Raises:
        ConfigurationError: If they differ in more than their seeds, or the
            counts of each image are missing.
    """
    first, *others = parts
    if not others:
        return first
    for part in parts:
        _check_alone(part)
    for part in others:
        _check_alike(first, part)
    outcomes = sorted(
        (outcome for part in parts for outcome in part.outcomes),
        key=lambda each: each.seed,
    )
    runs = [(each.method, each.seed) for each in outcomes]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise _refused("each seed in one file", f"{twice[0]} in two")
    told = f"Joined: {'; '.join(map(_told, parts))}."
    notes = "\n\n".join([*filter(None, [first.notes]), told])
    return replace(first, outcomes=outcomes, notes=notes)


def compared(found: Results, reference: str) -> Results:
    """Returns the same with differences to another method.

    Args:
        found: The results.
        reference: The method.

    Raises:
        ConfigurationError: If there is no such method, or the counts of each
            image are missing.
    """
    if reference not in found.methods:
        raise ConfigurationError(
            "Invalid value for argument `reference`. Expected one of "
            f"{found.methods}. Received: reference={reference!r}."
        )
    if found.over_units is not None:
        raise _refused(COUNTED, f"{found.experiment!r} without its .npz")
    return replace(found, reference=reference)


def _check_alone(part: Results) -> None:
    """Refuses results whose seeds cannot stand beside others."""
    if part.over_units is not None:
        raise _refused(COUNTED, f"{part.experiment!r} without its .npz")
    for seed in sorted({each.seed for each in part.outcomes}):
        own = {each.method for each in part.outcomes if each.seed == seed}
        if START not in own or own != {*part.methods}:
            raise _refused(
                "every method, and a start of its own, of each seed",
                f"{part.experiment!r}, seed {seed}, without "
                f"{sorted({START, *part.methods} - own)}",
            )


def _check_alike(first: Results, other: Results) -> None:
    ours, theirs = (_shared(each) for each in (first, other))
    for name, value in ours.items():
        if value != theirs[name]:
            raise _refused(f"the same {name} in all", "others")
    if extra := {*first.methods} ^ {*other.methods}:
        raise _refused("the same methods in all", f"{sorted(extra)} in one")
    recipes = {each.method: _recipe(each) for each in first.outcomes}
    frames = first.outcomes[0].frames
    for outcome in [*first.outcomes, *other.outcomes]:
        # Results of before frames were told have none to compare.
        if frames and outcome.frames and frames != outcome.frames:
            raise _refused("the same images in all", "others of these names")
        known, own = recipes[outcome.method], _recipe(outcome)
        for key in sorted({*known, *own}):
            if known.get(key) != own.get(key):
                raise _refused(
                    f"one recipe of {outcome.method!r}",
                    f"{key}={known.get(key)!r} and {own.get(key)!r}",
                )


def _shared(results: Results) -> dict[str, Any]:
    names = [each.name for each in fields(results) if each.name not in APART]
    return {name: getattr(results, name) for name in names}


def _recipe(outcome: Outcome) -> Mapping[str, Any]:
    """Returns a recipe but for its seed, and what the seed's start came to."""
    found: dict[str, Any] = yaml.safe_load(outcome.recipe)
    own = {"seed"} if outcome.method == START else {"seed", "initial"}
    return {name: value for name, value in found.items() if name not in own}


def _told(part: Results) -> str:
    seeds = sorted({each.seed for each in part.outcomes})
    said = (part.origin.get(name) for name in ("commit", "hardware"))
    where = ", ".join(str(each) for each in said if each)
    return f"seed{'s'[: len(seeds) > 1]} {', '.join(map(str, seeds))} ({where})"


def _refused(expected: str, received: str) -> ConfigurationError:
    return ConfigurationError(
        f"Invalid results. Expected {expected}. Received: {received}."
    )
