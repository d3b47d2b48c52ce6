import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import harness


def _times(*seconds: float) -> Callable[[], float]:
    """A case that takes these seconds, after two runs to warm up."""
    answers: Iterator[float] = iter((0.0, 0.0, *seconds))
    return lambda: next(answers)


def _report() -> harness.Report:
    report = harness.Report("title")
    report.add_case("ours", _times(1.0, 2.0, 30.0))
    report.add_case("peer", _times(4.0, 2.0, 60.0), units=2)
    return report


def test_a_ratio_compares_the_cases_of_one_round() -> None:
    report = _report()
    report.run(3)
    # By unit the peer takes 2, 1, 30: the ratios are 0.5, 2 and 1.
    assert report.ratio("ours", "peer") == 1.0
    assert report.median("peer") == 2.0


def test_goals_are_met_missed_or_absent(tmp_path: Path) -> None:
    def broken() -> None:
        raise RuntimeError("no such kernel\nand more")

    report = _report()
    report.add("broken", broken)
    report.run(3)
    report.goals = [
        harness.Goal("fast", "ours", "peer", 1.5),
        harness.Goal("faster", "ours", "peer", 0.9),
        harness.Goal("3x", "peer", "ours", 3.0, at_least=True),
        harness.Goal("broken", "ours", "broken", 1.0),
    ]
    harness.write([report], str(tmp_path / "results.json"))
    (results,) = json.loads((tmp_path / "results.json").read_text())
    assert [goal["met"] for goal in results["goals"]] == [
        True,
        False,
        False,
        None,
    ]
    assert results["absent"] == {"broken": "RuntimeError: no such kernel"}
    assert results["goals"][3]["missing"] == ["broken"]


def test_the_batch_is_what_it_says() -> None:
    batch = harness.street_batch()
    labels, predictions = batch["labels"], batch["predictions"]
    assert batch["logits"].shape == (2, 360, 480, 19)
    assert (labels == 255).mean() == pytest.approx(0.05, abs=0.002)
    right = (labels == predictions)[labels != 255].mean()
    assert right == pytest.approx(0.9, abs=0.01)
    np.testing.assert_array_equal(batch["logits"].argmax(-1), predictions)
