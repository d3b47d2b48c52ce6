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
        parts: Results of the same methods on the same images from other
            starts: of `starts: each`, or of one start and several seeds.

    Returns:
        The part of the first seed, with the runs of all.

    Raises:
        ConfigurationError: If they differ in more than their seeds, not every
            start has as many fine-tunings, or the counts of each image are
            missing.
    """
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        _check_alone(part)
    # The order of the files decides nothing.
    first, *others = sorted(parts, key=lambda part: part.outcomes[0].seed)
    for part in others:
        _check_alike(first, part)
    starts = sorted(
        (own for part in parts for own in _by_start(part)),
        key=lambda own: own[0].seed,
    )
    seeds = [own[0].seed for own in starts]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise _refused(
            "each start in one file", f"that of seed {twice[0]} in two"
        )
    tunings = [len({each.seed for each in own[1:]}) for own in starts]
    if len({*tunings}) > 1:
        raise _refused(
            "as many fine-tunings of each start",
            f"{tunings} of those of seeds {seeds}",
        )
    outcomes = [outcome for own in starts for outcome in own]
    told = f"Joined: {'; '.join(map(_told, [first, *others]))}."
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


def _by_start(part: Results) -> list[list[Outcome]]:
    """Returns the runs of each start, itself first."""
    found: list[list[Outcome]] = []
    for outcome in part.outcomes:
        if outcome.method == START:
            found.append([])
        found[-1].append(outcome)
    return found


def _check_alone(part: Results) -> None:
    """Refuses results whose seeds cannot stand beside others."""
    if part.over_units is not None:
        raise _refused(COUNTED, f"{part.experiment!r} without its .npz")
    if part.outcomes[0].method != START:
        raise _refused(
            "a start, and after it what goes on from it",
            f"{part.experiment!r}, which begins with "
            f"{part.outcomes[0].method!r}",
        )
    for own in _by_start(part):
        once = {START, *_decided_by_start(own)}
        for seed in sorted({each.seed for each in own[1:]}):
            there = once | {o.method for o in own[1:] if o.seed == seed}
            if missing := sorted({*part.methods} - there):
                raise _refused(
                    "every method of each seed",
                    f"{part.experiment!r}, seed {seed}, without {missing}",
                )


def _decided_by_start(own: Sequence[Outcome]) -> set[str]:
    """Returns what a start itself decides, whatever goes on from it."""

    def initial(outcome: Outcome) -> Any:
        return yaml.safe_load(outcome.recipe)["initial"]

    starts = {initial(each) for each in own[1:] if each.seconds}
    untrained = (each for each in own[1:] if not each.seconds)
    return {each.method for each in untrained if initial(each) in starts}


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
    """Returns a recipe but for its seed, and what its start came to."""
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
