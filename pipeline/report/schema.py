"""The JSON schema of `report.json`; every report has it beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

# Of the layout: raised when a reader of the last one could take a figure for
# another.
VERSION = 1


def _object(*optional: str, **properties: Schema) -> Schema:
    """An object of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _array(items: Schema, **more: int) -> Schema:
    return {"type": "array", "items": items, **more}


def _by_name(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, schema]}


_TEXT = {"type": "string"}
_BOOLEAN = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = {"type": "number"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_COLOUR = {"type": "string", "pattern": "^#[0-9a-f]{6}$"}
_FILES = _by_name(_TEXT)
_ANYTHING = {"type": "object"}
_SHARES = _by_name(_or_null(_SHARE))
_MEASURE: Mapping[str, Schema] = {
    "value": _or_null(_NUMBER),
    "baseline": _or_null(_NUMBER),
    "judged": _or_null(_NUMBER),
    "interval": _array(_or_null(_NUMBER), minItems=2, maxItems=2),
    "figure": _or_null(_NUMBER),
    "reason": _or_null(_TEXT),
}
_STARTED = _object(
    when=_TEXT,
    run=_or_null(_TEXT),
    by=_TEXT,
    command=_TEXT,
    commit=_or_null(_TEXT),
    clean=_or_null(_BOOLEAN),
    changed=_or_null(_COUNT),
)
_MACHINE = _object(
    system=_TEXT,
    processor=_TEXT,
    cores=_or_null(_COUNT),
    memory_gib=_or_null(_NUMBER),
    accelerators=_array(_TEXT),
)
_RULE = _object(
    rule=_TEXT,
    meaning=_TEXT,
    metric=_TEXT,
    bound={
        "enum": ["floor", "ceiling", "allowed_loss", "allowed_relative_loss"]
    },
    limit=_NUMBER,
    where=_or_null(_TEXT),
    confidence=_or_null(_NUMBER),
    shown_confidence=_NUMBER,
    **_MEASURE,
    holds=_BOOLEAN,
    sentence=_TEXT,
    slices=_array(_object(slice=_TEXT, **_MEASURE)),
    skipped=_array(_TEXT),
)
_ROW = _object(
    name=_TEXT,
    kind={"enum": ["class", "group", "mean"]},
    iou=_or_null(_SHARE),
    baseline=_or_null(_SHARE),
    recall=_or_null(_SHARE),
    precision=_or_null(_SHARE),
)
_SLICE = _object(
    kind=_TEXT,
    slice=_TEXT,
    images=_COUNT,
    mean=_or_null(_SHARE),
    iou=_SHARES,
    recall=_SHARES,
    precision=_SHARES,
)
_CONFUSION = _object(
    true=_TEXT, predicted=_TEXT, pixels=_COUNT, cost=_NUMBER, share=_SHARE
)
_IMAGE = _object(
    "files",
    class_name=_TEXT,
    name=_TEXT,
    drive=_TEXT,
    missed=_COUNT,
    invented=_COUNT,
    iou=_or_null(_SHARE),
    baseline=_or_null(_SHARE),
    files=_FILES,
)
_MISSED_OF_CLASS: Schema = _object(
    **{"class": _TEXT},
    regions=_COUNT,
    missed=_COUNT,
    share=_or_null(_SHARE),
    given=_array(_object(**{"class": _TEXT}, regions=_COUNT)),
)
_REGION = _object(
    "files",
    class_name=_TEXT,
    given=_TEXT,
    name=_TEXT,
    drive=_TEXT,
    pixels=_COUNT,
    box=_array(_COUNT, minItems=4, maxItems=4),
    files=_FILES,
)
_MISSED = _object(
    smallest=_COUNT,
    meaning=_TEXT,
    regions=_COUNT,
    missed=_COUNT,
    per_100_images={"type": "number", "minimum": 0},
    classes=_array(_MISSED_OF_CLASS),
    shown=_array(_REGION),
)
_SPLIT = _object(
    images=_COUNT, drives=_array(_TEXT), void=_SHARE, shares=_by_name(_SHARE)
)

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "report.json of wseg_tf",
    "description": "The facts of a run. Shares are 0..1; what was not "
    "measured is null; rows of matrices are the truth.",
    **_object(
        version={"const": VERSION},
        name=_TEXT,
        verdict={"enum": ["pushed", "refused"]},
        reason=_TEXT,
        started=_or_null(_STARTED),
        trained_on=_array(_MACHINE),
        blessed=_BOOLEAN,
        shared=_or_null(_TEXT),
        serving_check=_object(passes=_BOOLEAN, fault=_or_null(_TEXT)),
        pushed=_or_null(_TEXT),
        model=_TEXT,
        baseline=_or_null(_TEXT),
        remarks=_array(_object(about=_TEXT, text=_TEXT)),
        rules=_array(_RULE),
        images=_COUNT,
        pixels=_COUNT,
        scores=_by_name(_or_null(_NUMBER)),
        baseline_scores=_by_name(_or_null(_NUMBER)),
        table=_array(_ROW),
        slices=_array(_SLICE),
        classes=_array(_TEXT, minItems=1),
        groups=_array({"type": "integer", "minimum": 1}),
        critical=_array(_TEXT),
        confusion=_array(_array(_COUNT)),
        ground=_array(_array({"type": "number", "minimum": 0})),
        costliest=_array(_CONFUSION),
        worst=_array(_IMAGE),
        typical=_array(_IMAGE),
        missed=_or_null(_MISSED),
        curve=_array(
            _object(
                stage=_TEXT,
                loss=_or_null(_NUMBER),
                validation_loss=_or_null(_NUMBER),
                mean_iou=_or_null(_SHARE),
                critical_iou=_or_null(_SHARE),
            )
        ),
        data={
            "type": "object",
            "properties": {"splits": _by_name(_SPLIT)},
        },
        quarantine=_array(_object(split=_TEXT, name=_TEXT, reason=_TEXT)),
        lineage=_by_name(_ANYTHING),
        config=_TEXT,
        decisions=_array(_ANYTHING),
        legend=_by_name(_COLOUR),
        errors=_object(missed=_COLOUR, invented=_COLOUR),
    ),
}
