from dataclasses import dataclass, field
from typing import Optional

import pytest

from wseg_tf import configuration
from wseg_tf.configuration import ConfigurationError


@dataclass
class Stage:
    epochs: int = 1
    loss: str = "cross_entropy"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(
                "Invalid value for argument `epochs`. Expected at least 1. "
                f"Received: epochs={self.epochs}."
            )


@dataclass(frozen=True)
class Zoom:
    range: tuple[float, float] = (1.0, 1.0)


@dataclass
class Recipe:
    batch: int = 8
    zoom: Zoom = field(default_factory=Zoom)
    path: Optional[str] = None  # noqa: UP045 (OmegaConf reads it on 3.10)
    stages: list[Stage] = field(default_factory=lambda: [Stage()])


def load(text: str, *overrides: str) -> Recipe:
    return configuration.load(Recipe, text, "recipe.yaml", overrides)


def test_fills_nested_dataclasses_and_keeps_defaults() -> None:
    recipe = load("batch: 2\nstages: [{epochs: 3}, {loss: wasserstein}]")
    assert recipe == Recipe(2, stages=[Stage(3), Stage(1, "wasserstein")])


def test_overrides_come_last_and_reach_into_lists() -> None:
    recipe = load(
        "batch: 2",
        "batch=5",
        "stages.0.epochs=7",
        "path=a b",
        "zoom.range=[1, 2]",
    )
    assert recipe == Recipe(5, Zoom((1.0, 2.0)), "a b", [Stage(7)])


def test_dump_is_read_back() -> None:
    recipe = Recipe(3, Zoom((0.5, 2.0)), "x", [Stage(2), Stage(9)])
    assert load(configuration.dump(recipe)) == recipe


def test_empty_file_is_all_defaults() -> None:
    assert load("") == Recipe()


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("btach: 1", (), r"`btach` in recipe.yaml.*did you mean `batch`"),
        ("stages: [{epoch: 1}]", (), r"`stages.0.epoch`.*mean `epochs`"),
        ("batch: many", (), r"`batch` in recipe.yaml.*'many'.*Integer"),
        ("stages: [{epochs: 0}]", (), r"recipe.yaml: .*`epochs`.*epochs=0"),
        ("batch: [1", (), r"Invalid YAML in recipe.yaml line 1"),
        ("- 1", (), r"Expected keys and values. Received: a list"),
        ("", ("batch",), r"Expected key=value.*'batch'"),
        ("", ("stages.0.epoch=1",), r"`stages.0.epoch` in the command line"),
    ],
)
def test_refuses_in_one_sentence(
    text: str, overrides: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(text, *overrides)
    assert "\n" not in str(caught.value)
