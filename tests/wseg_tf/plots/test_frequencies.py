import io

import numpy as np
import pytest

from wseg_tf.classes import CAMVID
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.plots import plot_frames, plot_frequencies


def statistics(**pixels: int) -> PixelStatistics:
    counts = [pixels.get(name, 0) for name in (*CAMVID.names, "void")]
    return PixelStatistics.of_frame(counts, (1, sum(counts)))


def test_marks_stand_at_the_share_on_the_line_of_their_class() -> None:
    figure = plot_frequencies(
        {
            "train": statistics(road=60, car=30, sky=10, void=100),
            "val": statistics(road=90, car=10),
        },
        CAMVID,
        "Streets",
    )
    (axes,) = figure.axes
    rows = dict(
        zip(
            (text.get_text() for text in axes.get_yticklabels()),
            axes.get_yticks(),
            strict=True,
        )
    )
    marks = [line for line in axes.lines if line.get_marker() not in ("None",)]
    shares = [
        {
            min(rows, key=lambda name: abs(rows[name] - y)): float(x)
            for x, y in zip(*line.get_data(), strict=True)
        }
        for line in marks
    ]
    assert shares == [
        pytest.approx({"road": 0.6, "car": 0.3, "sky": 0.1}),
        pytest.approx({"road": 0.9, "car": 0.1}),
    ]
    assert max(rows, key=lambda name: rows[name]) == "car"
    assert min(rows, key=lambda name: rows[name]) == "sky"
    words = [text.get_text() for text in axes.texts]
    assert words.count("absent in val") == 9
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "train (1 images, 50.0% void)",
        "val (1 images, 0.0% void)",
    ]
    figure.savefig(io.BytesIO(), format="png")


def test_statistics_without_a_labelled_pixel_are_refused() -> None:
    for empty in ({}, {"train": statistics(void=3)}):
        with pytest.raises(ValueError, match="with labelled pixels"):
            plot_frequencies(empty, CAMVID)


def test_frames_stand_beside_their_overlays() -> None:
    image = np.full((4, 6, 3), 200, np.uint8)
    labels = np.full((4, 6), CAMVID.index("car"))
    labels[0] = CAMVID.void
    frames = dict.fromkeys("abc", (image, labels))
    figure = plot_frames(frames, CAMVID, opacity=1.0)
    assert len(figure.axes) == 6
    assert [axes.get_title("left") for axes in figure.axes[::2]] == [*"abc"]
    shown = np.asarray(figure.axes[1].get_images()[0].get_array())
    assert tuple(shown[1, 0]) == CAMVID.colours[CAMVID.index("car")]
    assert tuple(shown[0, 0]) == (200, 200, 200)  # void shows the image
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["car (4)", "void"]
    with pytest.raises(ValueError, match="at least one"):
        plot_frames({}, CAMVID)
