"""What a report says of the images that chose the weights."""

from pathlib import Path

import pytest

from pipeline.config.loading import load_pipeline
from pipeline.report.reporter import _data, _selected

DEMO = str(Path(__file__).parents[3] / "configs" / "demo.yaml")


@pytest.mark.parametrize(
    ("overrides", "selected", "validated"),
    [
        ([], "", "split val"),
        (["training.select=mean_iou"], "mean_iou", "split val"),
        (
            ["training.select=mean_iou", "data.validation=own"],
            "",
            "split own",
        ),
    ],
)
def test_only_a_split_of_its_own_leaves_the_figures_as_they_are(
    overrides: list[str], selected: str, validated: str
) -> None:
    settings = load_pipeline(DEMO, overrides)
    assert _selected(settings) == selected
    found = _data(settings, settings.data.class_set, {}, "manifest")
    assert found["validated on"] == validated
    assert found["judged on"] == "split val"
