import io
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from wseg_tf.classes import CAMVID, class_set
from wseg_tf.ground import GroundMatrix
from wseg_tf.plots import (
    overlay,
    plot_comparison,
    plot_confusion,
    plot_frames,
    plot_ground,
    plot_history,
    plot_iou,
    plot_labels,
    plot_severity,
    style,
)

N = len(CAMVID)
# Most important group first; ids ascend within a group.
ORDER = [8, 9, 10, 3, 4, 6, 1, 2, 5, 7, 0]


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def _captions(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def _renders(figure: Figure) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_ground_rows_are_truth_sorted_by_importance() -> None:
    values = np.arange(N * N, dtype=float).reshape(N, N)
    np.fill_diagonal(values, 0)
    figure = plot_ground(GroundMatrix(values, CAMVID), CAMVID, "D")
    shown = figure.axes[0].get_images()[0].get_array()
    np.testing.assert_array_equal(shown, values[np.ix_(ORDER, ORDER)])
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == [CAMVID.names[i] for i in ORDER]
    assert "true  ↓    predicted  →" in _texts(figure)
    _renders(figure)


def test_ground_numbers_are_in_their_cells() -> None:
    figure = plot_ground(GroundMatrix([[0, 1], [4, 0]], ["sky", "car"]))
    cells = {
        text.get_position(): text.get_text() for text in figure.axes[0].texts
    }
    assert cells[(0, 1)] == "4"  # x = predicted sky, y = true car.
    assert cells[(1, 0)] == "1"


def test_ground_names_carry_their_groups_colour() -> None:
    figure = plot_ground(1 - np.eye(N), CAMVID)
    colours = [to_hex(t.get_color()) for t in figure.axes[0].get_yticklabels()]
    # Red, orange, teal and grey: the paper's four groups.
    found = {4: "#c0334d", 3: "#e08e2b", 2: "#3f8f8b", 1: "#8a94a6"}
    assert colours == [found[CAMVID.groups[i]] for i in ORDER]


def test_many_classes_have_no_numbers_in_their_cells() -> None:
    figure = plot_ground(1 - np.eye(40))
    assert len(_texts(figure)) == 1
    _renders(figure)


def test_confusion_shows_shares_of_the_truth() -> None:
    counts = np.zeros((N, N), int)
    counts[8, 8], counts[8, 0] = 3, 1
    figure = plot_confusion(counts, CAMVID)
    shown = np.ma.filled(figure.axes[0].get_images()[0].get_array(), np.nan)
    assert shown[0, 0] == 75
    assert shown[0, ORDER.index(0)] == 25
    assert np.isnan(shown[1:]).all()
    _renders(figure)


def test_severity_shows_where_the_cost_comes_from() -> None:
    counts, ground = np.zeros((N, N), int), np.ones((N, N)) - np.eye(N)
    counts[8, 8], counts[8, 0], counts[0, 9] = 99, 1, 6
    ground[8, 0], ground[0, 9] = 4, 2  # 4 of 16, and 12 of 16.
    figure = plot_severity(counts, ground, CAMVID)
    shown = figure.axes[0].get_images()[0].get_array()
    assert shown[0, ORDER.index(0)] == 25
    assert shown[ORDER.index(0), ORDER.index(9)] == 75
    assert shown.sum() == 100
    _renders(plot_severity(9 * np.eye(N), ground, CAMVID))


def test_iou_bars_and_group_means() -> None:
    counts = 9 * np.eye(N)
    counts[10] = counts[:, 10] = 0
    counts[9, 8] = 9  # A pedestrian called car, half of the time.
    figure = plot_iou({"one": counts, "two": np.eye(N)}, CAMVID, "IoU")
    first, second = figure.axes[0].containers
    heights = [bar.get_height() for bar in first]
    assert heights[:4] == pytest.approx([50, 50, 0, 100])
    assert [bar.get_height() for bar in second] == [100] * N
    texts = _texts(figure)
    assert "absent" in texts
    assert "mean 50 · 100" in texts
    _renders(figure)


def test_overlay_paints_classes_and_leaves_void() -> None:
    image = np.full((1, 3, 3), 100)
    labels = np.array([[CAMVID.index("car"), CAMVID.void, 0]])
    full = overlay(image, labels, CAMVID, 1.0)
    assert full.tolist() == [[[64, 0, 128], [100, 100, 100], [128, 128, 128]]]
    half = overlay(image, labels, CAMVID, 0.5)
    assert half[0, 0].tolist() == [82, 50, 114]
    with pytest.raises(ValueError, match="size of the image"):
        overlay(image, labels[:, :2], CAMVID)


def test_labels_legend_names_the_classes_that_occur() -> None:
    labels: Any = np.array([[0, 8], [CAMVID.void, 3]])
    image = np.zeros((2, 2, 3))
    figure = plot_labels(image, {"truth": labels}, CAMVID)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["car (4)", "road (3)", "sky (1)", "void"]
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["image", "truth"]
    _renders(figure)


@pytest.mark.parametrize("opacity", [1.0, 0.6])
def test_a_legend_shows_the_colours_as_drawn(opacity: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, [6, 8, 3])
    labels = np.full((6, 8), CAMVID.index("building"))
    labels[:, 4:] = CAMVID.index("pedestrian")
    maps = {"truth": labels}
    for figure in (
        plot_labels(image, maps, CAMVID, opacity),
        plot_frames({"a": (image, labels)}, CAMVID, opacity),
        plot_comparison({"a": (image, maps)}, CAMVID, opacity),
    ):
        (shown,) = figure.axes[1].get_images()
        painted = np.asarray(shown.get_array()) / 255
        assert shown.get_interpolation() == "nearest"  # no colour between
        swatches = {
            patch.get_label().partition(" ")[0]: patch.get_facecolor()[:3]
            for patch in figure.legends[0].get_patches()
        }
        for name, swatch in swatches.items():
            own = painted[labels == CAMVID.index(name)]
            assert swatch == pytest.approx(own.mean(axis=0))
            if opacity == 1:
                colour = CAMVID.drawn[CAMVID.index(name)]
                assert [255 * c for c in swatch] == pytest.approx(colour)
                assert (own == swatch).all()


def test_refuses_another_number_of_classes() -> None:
    with pytest.raises(ValueError, match="camvid"):
        plot_ground(1 - np.eye(3), CAMVID)


def test_a_comparison_has_a_row_a_frame_and_a_column_a_map() -> None:
    image, labels = np.zeros((4, 6, 3)), np.full((4, 6), 8)
    maps = {"truth": labels, "A": labels, "B": np.zeros((4, 6), int)}
    frames = {"one": (image, maps), "two": (image, maps)}
    figure = plot_comparison(frames, CAMVID)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["one", "truth", "A", "B", "two", "truth", "A", "B"]
    (legend,) = figure.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == ["car (4)", "sky (1)"]
    _renders(figure)


def test_what_is_named_is_framed_around_its_pixels() -> None:
    image, labels = np.zeros((20, 30, 3)), np.full((20, 30), 8)
    frames = {
        name: (image, {"truth": labels, "A": labels}) for name in ("one", "two")
    }
    boxes = {"two": {"A": [(slice(5, 9), slice(10, 20))]}}
    figure = plot_comparison(frames, CAMVID, boxes=boxes)
    (framed,) = (axes for axes in figure.axes if axes.patches)
    assert framed is figure.axes[5]
    (box,) = framed.patches
    # Pixels 5 to 8 and 10 to 19, and two beyond on each side.
    assert box.get_bbox().extents.tolist() == [8, 3, 21, 10]
    _renders(figure)


def test_a_history_begins_a_curve_of_the_loss_with_each_stage() -> None:
    rows = [
        {"stage": "one", "loss": "3.0", "mean_iou": ""},
        {"stage": "one", "loss": "2.0", "mean_iou": "0.25"},
        {"stage": "two", "loss": "7.0", "mean_iou": "0.5"},
    ]
    for row, value in zip(rows, ("", "2.5", "8.0"), strict=True):
        row["validation_loss"] = value
    figure = plot_history(rows, "demo")
    loss, iou = figure.axes
    curves = [
        (list(line.get_xdata()), list(line.get_ydata()))
        for line in loss.lines
        if line.get_marker() == "o"
    ]
    trained, judged = curves[:2], curves[2:]
    assert trained == [([1, 2], [3.0, 2.0]), ([3], [7.0])]
    assert judged == [([2], [2.5]), ([3], [8.0])]
    assert _captions(loss) == ["training", "validation"]
    assert _captions(iou) == ["mean IoU", "IoU of critical classes"]
    mean = iou.lines[0]
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == (
        [2, 3],
        [25.0, 50.0],
    )
    assert _texts(figure) == ["one", "two"]
    _renders(figure)
    # Without a validation, none is promised.
    loss = plot_history([{"stage": "one", "loss": 3.0}]).axes[0]
    assert _captions(loss) == ["training"]


FLEET = class_set(
    [
        {"name": f"kind of thing {k}", "group": 1 + (k * 7) % 11}
        for k in range(300)
    ]
)


def test_any_number_of_groups_has_colours_of_its_own() -> None:
    colours = style.group_colours([9, 2, 40, 2])
    assert [*colours] == [2, 9, 40]
    assert (colours[2], colours[40]) == ("#8a94a6", "#c0334d")
    assert style.group_colours([3, 3]) == {3: "#8a94a6"}
    assert len({*style.group_colours(FLEET.groups).values()}) == 11


def test_pictures_of_three_hundred_classes_in_eleven_groups() -> None:
    count = len(FLEET)
    heat_map = plot_ground(GroundMatrix.severity_aware(FLEET), FLEET)
    rows = heat_map.axes[0].get_yticklabels()
    order = sorted(range(count), key=lambda k: -FLEET.groups[k])
    assert [row.get_text() for row in rows] == [FLEET.names[k] for k in order]
    assert max(heat_map.get_size_inches()) < 30
    bars = plot_iou({"model": np.eye(count)}, FLEET)
    assert sum(text.startswith("group ") for text in _texts(bars)) == 11
    labels = np.arange(count).reshape(10, 30)
    image = np.zeros((10, 30, 3))
    shown = plot_labels(image, {"truth": labels}, FLEET)
    names = shown.legends[0].get_texts()
    assert len(names) == count
    # The legend stays below the pictures.
    shown.canvas.draw()
    top = shown.legends[0].get_window_extent().y1
    assert top <= shown.axes[0].get_window_extent().y0
    for figure in (heat_map, bars, shown):
        _renders(figure)


@pytest.mark.parametrize("name", ["a$b$", "$x_{", "$", "x" * 300, r"\frac{1}"])
def test_any_name_is_drawn_as_it_stands(name: str) -> None:
    figure = style.new_figure(2, 2)
    figure.text(0, 0, name)
    axes = figure.add_subplot()
    axes.set_title(name)
    axes.plot([0, 1], label=name)
    axes.set_xticks([0], [name])
    axes.legend()
    _renders(figure)
    image = np.zeros([4, 6, 3], np.uint8)
    labels = np.zeros([4, 6], np.uint8)
    _renders(plot_comparison({name: (image, {name: labels})}, CAMVID))
