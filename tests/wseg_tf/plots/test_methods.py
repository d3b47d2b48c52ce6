import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from wseg_tf.plots import plot_methods, style

POINTS = {
    "start": ([40.0], [20.0]),
    "CE": ([50.0, 52.0], [28.0, 30.0]),
    "CE by D": ([51.0, 51.0], [33.0, 33.0]),
}
LABELS = ("mean IoU, %", "IoU of group 4, %")


def test_methods_stand_at_their_means_with_their_numbers() -> None:
    figure = plot_methods(POINTS, LABELS, "CE", ["CE by D"], "val: 9 images")
    [axes] = figure.axes
    found = {text.get_text(): text.xy for text in axes.texts}
    assert found == {"0": (40, 20), "1": (51, 29), "2": (51, 33)}
    legend = [text.get_text() for text in figure.texts]
    assert legend == ["0  start", "1  CE", "2  CE by D", "val: 9 images"]
    decided, trained = figure.texts[2], figure.texts[0]
    assert decided.get_color() != trained.get_color()
    assert (axes.get_xlabel(), axes.get_ylabel()) == LABELS
    # The reference's lines.
    lines = [line.get_data() for line in axes.lines[:2]]
    assert [set(np.ravel(lines[0][0])), set(np.ravel(lines[1][1]))] == [
        {51.0},
        {29.0},
    ]


def test_a_spread_is_one_standard_deviation_over_seeds() -> None:
    [axes] = plot_methods(POINTS, LABELS, "CE").axes
    segments = [
        [np.ptp(segment, axis=0).tolist() for segment in bars.get_segments()]
        for bars in axes.collections
    ]
    # CE has sqrt(2) on either side of both; the start has one seed.
    width = 2 * np.std([50, 52], ddof=1)
    assert segments[0:2] == [[[0, 0]], [[0, 0]]]
    np.testing.assert_allclose(segments[2:4], [[[width, 0]], [[0, width]]])


def test_long_names_stay_on_the_picture() -> None:
    long = {f"{name}, and a very long story": p for name, p in POINTS.items()}
    figure = plot_methods(long, LABELS, next(iter(long)))
    renderer = FigureCanvasAgg(figure).get_renderer()
    right = max(text.get_window_extent(renderer).x1 for text in figure.texts)
    assert right < figure.bbox.width
    assert style.text_length(long) > 1


def test_a_reference_that_is_no_method_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`reference`.*Received: .*'W'"):
        plot_methods(POINTS, LABELS, "W")
