"""Writes a discovery down: the YAML of a description, to be edited."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

from wseg_tf.configuration import in_one_line
from wseg_tf.data.discovery.contents import Contents, unpacked
from wseg_tf.data.discovery.folder import Discovery

_SHOWN, _MOST_OF_8 = 8, 255
_FIXED = "A class may be renamed, here and in the map above it alike."
_DIRECT = "The files hold class ids: a class' place in this list is its id."


def describe(found: Discovery) -> str:
    """Returns a description of a folder, as YAML with comments.

    Args:
        found: What `discover` returned.
    """
    total = sum(found.contents.values(), start=Contents())
    lines = [
        f"# What is in {_quoted(found.folder)}:",
        f"# {summary(found)}.",
        "# `{split}`, `{drive}` and `{name}` stand for what differs.",
        f"dataset: {_quoted(found.name)}",
        f"images: {_quoted(found.match.images.text)}",
        f"labels: {_quoted(found.match.labels.text)}",
        *_unlabelled(found),
        *_splits(found),
        *_bits(found, total),
        *_map(found, total),
        *_classes(found, total),
    ]
    return "\n".join([*lines, ""])


def summary(found: Discovery) -> str:
    """Returns in a line what was found."""
    height, width = found.size
    pairs = {
        split: sum(each.sizes.values()) + each.unreadable
        for split, each in found.contents.items()
    }
    counts = ", ".join(f"{split} {count}" for split, count in pairs.items())
    count = found.left_out
    left_out = f"; {count} image{'s' * (count > 1)} left out" * (count > 0)
    what = "colours" if found.match.in_colours else "ids"
    told = found.meaning.known
    classes = f"{len(found.meaning.classes)} classes"
    named = f"told by {told}" if told else "without names"
    return (
        f"{sum(pairs.values())} pairs ({counts}), {height}x{width}, "
        f"labels of {what}; {classes}, {named}{left_out}"
    )


def critical_classes(found: Discovery) -> tuple[str, ...]:
    """Returns the critical classes that the split to judge on shows."""
    return tuple(
        name
        for name in found.meaning.classes.critical
        if found.frames(name, found.eval)
    )


def _unlabelled(found: Discovery) -> list[str]:
    paths = [image.path for image in found.match.unlabelled]
    if not paths:
        return []
    return [
        f"# Images without a label: {len(paths)}, such as {_quoted(paths[0])}.",
        "# Without this line they are refused.",
        "unlabelled: skip",
    ]


def _splits(found: Discovery) -> list[str]:
    own = found.splits
    if own.lists:
        lists = [f"  {in_one_line({k: v})[1:-1]}" for k, v in own.lists.items()]
        return ["# These lists tell the splits.", "lists:", *lists]
    if not own.shares:
        return []
    drives = sorted(found.drives[found.eval])
    named = ", ".join(drives[:_SHOWN]) + ", ..." * (len(drives) > _SHOWN)
    return [
        "# No folder is called train or val: drives, or runs of frames, are",
        f"# drawn by lot to be judged on ({named}); another seed draws others.",
        "# Or name them: drives: {val: [...]}",
        f"shares: {in_one_line(own.shares)}",
        f"seed: {own.seed}",
    ]


def _map(found: Discovery, total: Contents) -> list[str]:
    if found.meaning.is_direct:
        return []
    pixels = sum(total.pixels.values())
    lines = ["# What each value means: a class, or void (not learned)."]
    lines += ["colours:" if found.match.in_colours else "ids:"]
    for value, name in found.meaning.names.items():
        key: object = value
        if found.match.in_colours:
            key = " ".join(map(str, unpacked(value)))
        share = _share(total.pixels[value], pixels)
        lines.append(f"  {in_one_line({key: name})[1:-1]}  # {share}")
    absent = [
        name
        for name in found.meaning.classes.names
        if name not in found.meaning.names.values()
    ]
    if absent:
        lines += ["# Classes that no value becomes."]
        lines += [f"absent: {in_one_line(absent)}"]
    return lines


def _bits(found: Discovery, total: Contents) -> list[str]:
    is_wide = not found.match.in_colours and max(total.pixels) > _MOST_OF_8
    return ["bits: 16"] if is_wide else []


def _classes(found: Discovery, total: Contents) -> list[str]:
    own = replace(
        found.meaning.classes, critical_classes=critical_classes(found)
    )
    if not found.meaning.known:
        own = replace(own, name=found.name)
    *head, heading = own.to_yaml().splitlines()[: -len(own)]
    rows = own.to_yaml().splitlines()[-len(own) :]
    pixels = _by_class(found, total.pixels)
    lines = [
        "# " + (_DIRECT if found.meaning.is_direct else _FIXED),
        "# Groups: 1 matters least, higher ones more, as many as you like; a",
        "# class of a critical group must not be missed. Critical are names or",
        "# groups, such as [4].",
        "classes:",
        *(f"  {line}" for line in (*head, heading)),
    ]
    counted = sum(total.pixels.values())
    for name, row in zip(own.names, rows, strict=True):
        mark = ";" if "  # " in row else "  #"
        seen = ", ".join(
            f"{found.frames(name, split)} of {sum(each.sizes.values())} {split}"
            for split, each in found.contents.items()
        )
        share = _share(pixels[name], counted)
        lines.append(f"  {row}{mark} {share}, in {seen}")
    return lines


def _by_class(found: Discovery, pixels: Counter[int]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for value, name in found.meaning.names.items():
        counted[name] += pixels[value]
    return counted


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if part else "no pixel"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
