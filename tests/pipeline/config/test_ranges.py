"""Every number of every configuration has a range, and is held to it."""

import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.adaptation_config import AdaptationConfig
from pipeline.config.loading import load
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.experiments.plan import Experiment
from pipeline.gate.candidates import InputOptions
from wseg_tf.configuration import ConfigurationError
from wseg_tf.ranges import LARGEST, Range, bounded, check_ranges, range_of

DEMO = str(Path(__file__).parents[3] / "configs" / "demo.yaml")


def dataclasses_in(kind: Any, found: dict[type, None]) -> dict[type, None]:
    """Collects the dataclasses that a type is made of."""
    if dataclasses.is_dataclass(kind) and kind not in found:
        assert isinstance(kind, type)
        found[kind] = None
        for inner in typing.get_type_hints(kind).values():
            dataclasses_in(inner, found)
    for inner in typing.get_args(kind):
        dataclasses_in(inner, found)
    return found


def holds_numbers(kind: Any) -> bool:
    if kind in (int, float):
        return True
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        parts = typing.get_args(kind)
        return any(holds_numbers(part) for part in parts)
    return any(holds_numbers(part) for part in typing.get_args(kind))


def numbers() -> Iterator[tuple[type, Any, Any]]:
    """Yields each field with numbers: its class, itself and its type."""
    found: dict[type, None] = {}
    for root in (PipelineConfig, AdaptationConfig, Experiment, InputOptions):
        dataclasses_in(root, found)
    for schema in found:
        hints = typing.get_type_hints(schema)
        for field in dataclasses.fields(schema):
            if holds_numbers(hints[field.name]):
                yield schema, field, hints[field.name]


NUMBERS = list(numbers())
IDS = [f"{schema.__name__}.{field.name}" for schema, field, _ in NUMBERS]
REQUIRED: dict[str, dict[str, Any]] = {
    "Rule": {"metric": "mean_iou", "floor": 0.5},
    "Experiment": {"name": "x"},
    "PipelineConfig": {"name": "x"},
    "AdaptationConfig": {"name": "x"},
}


def shaped(kind: Any, number: float) -> Any:
    """Puts a number where a type has one."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return [shaped(parts[0], number)]
    if origin is dict:
        return {"car": shaped(parts[1], number)}
    if origin is tuple:
        return tuple(number for part in parts if part is not Ellipsis)
    if parts:
        inner = [part for part in parts if part is not type(None)]
        return shaped(inner[0], number)
    return number


def test_the_fields_are_found() -> None:
    assert {"Gate.seed", "Stage.clip_norm", "Recipe.crop"} <= {*IDS}
    assert {"PodOptions.gpus", "Experiment.published"} <= {*IDS}
    assert len(IDS) > 60


@pytest.mark.parametrize("case", NUMBERS, ids=IDS)
def test_a_number_says_its_range_and_is_held_to_it(
    case: tuple[type, Any, Any],
) -> None:
    schema, field, kind = case
    allowed = range_of(field)
    assert allowed is not None, "the field says no range: use `bounded`"
    below = allowed.least - 1 if allowed.above == -math.inf else allowed.above
    above = allowed.most + 1 if allowed.below == math.inf else allowed.below
    for number in (below, above, math.nan, math.inf, -math.inf, 10**30):
        assert number not in allowed
        given = {field.name: shaped(kind, number)}
        with pytest.raises(ValueError, match=r"^Invalid (value|rule)") as said:
            schema(**(REQUIRED.get(schema.__name__, {}) | given))
        assert field.name in str(said.value)
        assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    "override",
    [
        "training.stages.0.clip_norm=.nan",
        "data.limit=-1",
        "gate.replicates=100000000000",
        "training.crop=[9999,9999]",
        "training.seed=-1",
        "training.seed=99999999999999999999",
        "training.height=100000000",
        "training.augmentation.scale=[1,.inf]",
        "training.stages.1.weight=-1",
        "training.views.scales=[0]",
        "training.ground.factors={car: .nan}",
        "data.streets.train=-5",
        "data.streets.look=night",
        "data.allowed_failures=nan",
    ],
)
def test_a_number_out_of_range_is_one_sentence(override: str) -> None:
    with pytest.raises(ConfigurationError, match="Expected") as caught:
        load(DEMO, [override])
    key = override.partition("=")[0]
    assert f"`{key}`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_crop_may_be_as_large_as_the_largest_frame() -> None:
    zoom = "training.augmentation.scale=[1, 2]"
    sizes = ["training.height=32", "training.width=64", zoom]
    assert load(DEMO, [*sizes, "training.crop=[64, 128]"])
    with pytest.raises(ConfigurationError, match=r"at most \(64, 128\)"):
        load(DEMO, [*sizes, "training.crop=[65, 128]"])


def test_ranges_by_hand() -> None:
    assert 1 in Range(0, 1)
    assert 1 not in Range(0, below=1)
    assert 0 not in Range(above=0)
    assert math.nan not in Range()
    assert LARGEST in Range()
    assert 2**31 not in Range()
    assert str(Range(0, 1)) == "0..1"
    assert str(Range(1, 2**14)) == "at least 1 and at most 16384"
    assert str(Range()) == "a finite number"


def test_truth_values_and_texts_are_no_numbers() -> None:
    @dataclasses.dataclass
    class Switches:
        xla: bool | str = True
        gain: float | None = bounded(None, above=5)

    check_ranges(Switches())
    with pytest.raises(ValueError, match=r"`gain`. Expected above 5"):
        check_ranges(Switches(gain=5.0))
