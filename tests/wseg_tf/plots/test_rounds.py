import pytest

from wseg_tf.plots.rounds import PANELS, plot_rounds

ROWS = [
    {"round": 0, "mean_iou": 0.25, "critical_iou": 0.125},
    {
        "round": 1,
        "mean_iou": 0.5,
        "critical_iou": None,
        "kept_share": 0.2,
        "label_accuracy": 0.9,
    },
]


def test_each_panel_draws_what_is_known():
    figure = plot_rounds({"cbst": ROWS, "lrent": ROWS[:1]})
    drawn = {
        axes.get_ylabel(): [line.get_xydata().tolist() for line in axes.lines]
        for axes in figure.axes
    }
    assert list(drawn) == list(PANELS.values())
    assert drawn["mean IoU, %"] == [[[0, 25], [1, 50]], [[0, 25]]]
    assert drawn["IoU of critical classes, %"][0] == [[0, 12.5]]
    assert drawn["labels kept, %"] == [[[1, 20]], []]


def test_no_run_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        plot_rounds({})
