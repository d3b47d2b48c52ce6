import pytest

from pipeline.gate.rules import Gate, Rule
from pipeline.report.words import meaning
from wseg_tf.classes import CAMVID, class_set
from wseg_tf.metrics.table import TABLE, score_names


@pytest.mark.parametrize("name", ["camvid", "cityscapes"])
def test_every_metric_of_the_table_has_a_meaning(name: str) -> None:
    own = class_set(name)
    for metric in score_names(own):
        lower = TABLE[metric.partition("/")[0]].lower_is_better
        bound = {"ceiling" if lower else "floor": 0.25}
        rule = Rule(metric, **bound)
        said = meaning(rule, Gate([rule]), own)
        assert "{" not in said
        assert "less" in said if lower else "more" in said
        assert "0.25" in said
        of = metric.partition("/")[2]
        assert of in said


def test_a_rule_says_where_and_how_surely() -> None:
    rule = Rule(
        "merged_recall/4",
        allowed_relative_loss=0.1,
        slice={"condition": "dusk"},
        confidence=0.95,
        resample="drive",
    )
    assert meaning(rule, Gate([rule]), CAMVID) == (
        "On condition dusk alone, of all pixels of group 4 (car, pedestrian "
        "and bicyclist), the share that is called any of them may be worse "
        "than the baseline's by 10 % of it at most. It must be so with 95 % "
        "confidence, if as many drives like these were drawn anew. Without a "
        "baseline it holds, with nothing measured."
    )
    required = meaning(rule, Gate([rule], baseline="required"), CAMVID)
    assert "nothing measured" not in required
