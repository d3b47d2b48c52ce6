"""Labels drawn over images, with a legend of the classes to be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from wseg_tf.classes import ClassSet
from wseg_tf.plots import style

VOID_COLOUR = (0, 0, 0)
_AROUND = 2  # Pixels between a box and its frame.

# Class ids `[H, W]` and what was painted of them, RGB `[H, W, 3]`.
Painted = tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]


def overlay(
    image: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_set: ClassSet,
    opacity: float = 0.6,
) -> npt.NDArray[np.uint8]:
    """Paints labels over an image in the class set's `drawn` colours.

    Args:
        image: RGB `[H, W, 3]`, 0..255.
        labels: Class ids `[H, W]`; ids that are no class show the image.
        class_set: The colours.
        opacity: Of the paint, 0 (image alone) to 1 (colours alone).

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ValueError: If the sizes differ.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> overlay([[[200, 0, 100]]], [[CAMVID.index("car")]], CAMVID, 0.5)
    array([[[132,   0, 114]]], dtype=uint8)
    """
    pixels, ids = np.asarray(image, np.float64), np.asarray(labels)
    if pixels.shape != (*ids.shape, 3):
        raise ValueError(
            "Invalid value for argument `labels`. Expected the size of the "
            f"image, {pixels.shape[:2]}. Received: {ids.shape}."
        )
    palette = np.array((*class_set.drawn, VOID_COLOUR), np.float64)
    known = (ids >= 0) & (ids < len(class_set))
    paint = palette[np.where(known, ids, len(class_set))]
    strength = np.where(known, opacity, 0.0)[..., None]
    blended = np.round((1 - strength) * pixels + strength * paint)
    painted: npt.NDArray[np.uint8] = blended.clip(0, 255).astype(np.uint8)
    return painted


def plot_labels(
    image: npt.ArrayLike,
    maps: Mapping[str, npt.ArrayLike],
    class_set: ClassSet,
    opacity: float = 1.0,
) -> Figure:
    """Shows an image beside maps of labels painted over it.

    Args:
        image: RGB `[H, W, 3]`, 0..255.
        maps: Class ids `[H, W]` by caption, e.g. `{"truth": ...,
            "prediction": ...}`.
        class_set: Names, colours, groups and void.
        opacity: Of the paint, 0..1. Defaults to 1: the colours themselves.
            With less, the legend shows what they look like on the average.

    Returns:
        The figure: image, maps, and the classes that occur, by importance.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> import numpy as np
    >>> image, labels = np.zeros((4, 6, 3)), np.zeros((4, 6), int)
    >>> figure = plot_labels(image, {"truth": labels}, CAMVID)
    """
    pictures: dict[str, Any] = {"image": np.asarray(image).astype(np.uint8)}
    painted = {
        caption: (
            np.asarray(labels),
            overlay(image, labels, class_set, opacity),
        )
        for caption, labels in maps.items()
    }
    pictures |= {caption: own for caption, (_, own) in painted.items()}
    height, width = pictures["image"].shape[:2]
    panel_width = 3.6
    panel_height = panel_width * height / width
    columns = len(pictures)
    total_width = columns * panel_width + 0.08 * (columns - 1)
    handles = _legend(painted.values(), class_set)
    legend = _legend_height(handles, total_width)
    total_height = panel_height + 0.3 + legend
    figure = style.new_figure(total_width, total_height)
    for column, (caption, picture) in enumerate(pictures.items()):
        axes = figure.add_axes(
            (
                column * (panel_width + 0.08) / total_width,
                legend / total_height,
                panel_width / total_width,
                panel_height / total_height,
            )
        )
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(caption, fontsize=10, color=style.INK, loc="left")
        axes.set_axis_off()
    _draw_legend(figure, handles)
    return figure


def plot_frames(
    frames: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    class_set: ClassSet,
    opacity: float = 1.0,
    columns: int = 2,
) -> Figure:
    """Shows several frames, each as its image beside its labels over it.

    Args:
        frames: Image, RGB `[H, W, 3]`, and class ids `[H, W]` by caption.
        class_set: Names, colours, groups and void.
        opacity: Of the paint, 0..1. Defaults to 1: the colours themselves.
            With less, the legend shows what they look like on the average.
        columns: Frames in a row.

    Returns:
        The figure, with the classes that occur in any frame.

    Raises:
        ValueError: If there is no frame, or the sizes of one differ.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> import numpy as np
    >>> image, labels = np.zeros((4, 6, 3)), np.zeros((4, 6), int)
    >>> figure = plot_frames({"0001TP_006690": (image, labels)}, CAMVID)
    """
    if not frames:
        raise ValueError(
            "Invalid value for argument `frames`. Expected at least one. "
            "Received: none."
        )
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    width, gap, title = 3.0, 0.12, 0.26
    height = width * max(
        np.shape(labels)[0] / np.shape(labels)[1]
        for _, labels in frames.values()
    )
    total_width = columns * (2 * width + gap) - gap
    painted = {
        caption: (
            np.asarray(labels),
            overlay(image, labels, class_set, opacity),
        )
        for caption, (image, labels) in frames.items()
    }
    handles = _legend(painted.values(), class_set)
    legend = _legend_height(handles, total_width)
    total_height = rows * (height + title) + legend
    figure = style.new_figure(total_width, total_height)
    for index, (caption, (image, _)) in enumerate(frames.items()):
        row, column = divmod(index, columns)
        left = column * (2 * width + gap)
        bottom = total_height - (row + 1) * (height + title)
        pixels = np.asarray(image).astype(np.uint8)
        for place, picture in enumerate((pixels, painted[caption][1])):
            axes = figure.add_axes(
                (
                    (left + place * width) / total_width,
                    bottom / total_height,
                    width / total_width,
                    height / total_height,
                )
            )
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            if place == 0:
                axes.set_title(
                    caption, fontsize=9, color=style.INK, loc="left", pad=3
                )
    _draw_legend(figure, handles)
    return figure


def plot_comparison(
    frames: Mapping[str, tuple[npt.ArrayLike, Mapping[str, npt.ArrayLike]]],
    class_set: ClassSet,
    opacity: float = 1.0,
    boxes: Mapping[str, Mapping[str, Iterable[tuple[slice, slice]]]] = {},
) -> Figure:
    """Shows frames in rows: the image, then maps of labels painted over it.

    Args:
        frames: Image, RGB `[H, W, 3]`, and class ids `[H, W]` by caption
            (`{"truth": ..., "A": ..., "B": ...}`, the same captions in every
            frame; of one or more lines), by the frame's name.
        class_set: Names, colours, groups and void.
        opacity: Of the paint, 0..1. Defaults to 1: the colours themselves.
            With less, the legend shows what they look like on the average.
        boxes: What is framed, as rows and columns, by the frame's name and
            the caption. Defaults to nothing.

    Returns:
        The figure, with the classes that occur in any frame.

    Raises:
        ValueError: If there is no frame, or the sizes of one differ.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> import numpy as np
    >>> image, labels = np.zeros((4, 6, 3)), np.zeros((4, 6), int)
    >>> frames = {"0001TP_006690": (image, {"truth": labels, "A": labels})}
    >>> figure = plot_comparison(frames, CAMVID)
    """
    if not frames:
        raise ValueError(
            "Invalid value for argument `frames`. Expected at least one. "
            "Received: none."
        )
    lines = 1 + max(
        caption.count("\n") for _, maps in frames.values() for caption in maps
    )
    width, gap, title = 2.6, 0.08, 0.1 + 0.16 * lines
    height = width * max(
        np.shape(image)[0] / np.shape(image)[1] for image, _ in frames.values()
    )
    columns = 1 + max(len(maps) for _, maps in frames.values())
    total_width = columns * (width + gap) - gap
    painted = {
        (name, caption): (
            np.asarray(labels),
            overlay(image, labels, class_set, opacity),
        )
        for name, (image, maps) in frames.items()
        for caption, labels in maps.items()
    }
    handles = _legend(painted.values(), class_set)
    legend = _legend_height(handles, total_width)
    total_height = len(frames) * (height + title) + legend
    figure = style.new_figure(total_width, total_height)
    for row, (name, (image, maps)) in enumerate(frames.items()):
        pixels = np.asarray(image).astype(np.uint8)
        pictures = {name: pixels} | {
            caption: painted[name, caption][1] for caption in maps
        }
        bottom = total_height - (row + 1) * (height + title)
        for column, (caption, picture) in enumerate(pictures.items()):
            axes = figure.add_axes(
                (
                    column * (width + gap) / total_width,
                    bottom / total_height,
                    width / total_width,
                    height / total_height,
                )
            )
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(
                caption, fontsize=9, color=style.INK, loc="left", pad=3
            )
            axes.set_axis_off()
            for box in boxes.get(name, {}).get(caption, ()):
                _frame(axes, box)
    _draw_legend(figure, handles)
    return figure


def _frame(axes: Axes, box: tuple[slice, slice]) -> None:
    """Frames rows and columns, in white that stands out on any colour."""
    rows, columns = box
    axes.add_patch(
        Rectangle(
            (columns.start - _AROUND, rows.start - _AROUND),
            columns.stop - columns.start + 2 * _AROUND - 1,
            rows.stop - rows.start + 2 * _AROUND - 1,
            fill=False,
            edgecolor="white",
            linewidth=1.2,
            path_effects=[withStroke(linewidth=2.8, foreground=style.INK)],
        )
    )


def _legend_columns(handles: list[Patch], width: float) -> int:
    """Returns how many names stand side by side in so many inches."""
    names = (str(handle.get_label()) for handle in handles)
    return max(2, int(width / max(1.25, style.text_length(names) + 0.3)))


def _legend_height(handles: list[Patch], width: float) -> float:
    """Returns the inches that the legend takes: most classes fit in few."""
    rows = -(-len(handles) // _legend_columns(handles, width))
    return max(0.85, 0.28 + 0.19 * rows)


def _draw_legend(figure: Figure, handles: list[Patch]) -> None:
    """Draws the legend of classes along the bottom."""
    columns = _legend_columns(handles, figure.get_figwidth())
    figure.legend(
        handles=handles,
        loc="lower left",
        ncols=min(len(handles), columns),
        fontsize=8,
        frameon=False,
        title="class (importance group)",
        title_fontsize=8,
        alignment="left",
        handlelength=1.2,
        handleheight=1.2,
        borderaxespad=0.1,
    )


def _legend(painted: Iterable[Painted], class_set: ClassSet) -> list[Patch]:
    """Returns a patch for each class that occurs, most important first.

    Its colour is what was painted: the mean, where the image shines through.
    """
    count = len(class_set)
    sums, pixels = np.zeros([count + 1, 3]), np.zeros(count + 1)
    for labels, picture in painted:
        known = (labels >= 0) & (labels < count)
        ids = np.where(known, labels, count).ravel()
        pixels += np.bincount(ids, minlength=count + 1)
        for channel in range(3):
            sums[:, channel] += np.bincount(
                ids, picture[..., channel].ravel(), count + 1
            )
    classes = [int(i) for i in np.flatnonzero(pixels[:-1])]
    classes.sort(key=lambda i: (-class_set.groups[i], i))
    patches = [
        Patch(
            facecolor=tuple(sums[i] / pixels[i] / 255),
            label=f"{class_set.names[i]} ({class_set.groups[i]})",
        )
        for i in classes
    ]
    if pixels[-1]:  # Void shows the image.
        patches.append(
            Patch(
                facecolor="white",
                edgecolor=style.INK,
                hatch="////",
                label="void",
            )
        )
    return patches
