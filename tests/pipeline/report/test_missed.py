"""The model's own look: what it misses, and what is not its own."""

import io
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.gate.image_counts import ImageCounts
from pipeline.report.evidence import (
    check_classes,
    check_counts,
    check_digests,
)
from pipeline.report.missed import MissedRegion, look
from pipeline.report.pictures import (
    INVENTED,
    MISSED,
    ClassImage,
    draw_missed,
    draw_panels,
    legend,
    to_hex,
)
from wseg_tf.classes import CAMVID, class_set
from wseg_tf.data.checks import DataError
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.metrics.confusion import confusion_count
from wseg_tf.palettes import distance

ROAD, CAR, PEDESTRIAN = 3, 8, 9


def png(values: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


class Model:
    """Sees a scene by the first pixel of its image."""

    def __init__(self, answers: dict[int, Any]) -> None:
        self.answers = answers

    def segment(self, encoded: bytes) -> Any:
        pixels = np.asarray(Image.open(io.BytesIO(encoded)))
        return self.answers[int(pixels[0, 0, 0])]


def scene(number: int) -> tuple[dict[str, tf.Tensor], Any, Any]:
    """A street with two pedestrians; one, of 12 x 10 pixels, is missed."""
    pixels = np.random.default_rng(number).integers(0, 256, [40, 60, 3])
    pixels[0, 0] = number
    label = np.full([40, 60], ROAD, np.uint8)
    label[5:17, 5:15] = label[20:32, 40:50] = PEDESTRIAN
    predicted = label.copy()
    predicted[5:17, 5:15] = ROAD
    predicted[5:9, 5:15] = CAR  # a third
    record = {
        "name": tf.constant(f"frame {number}"),
        "drive": tf.constant("A"),
        "image/encoded": tf.constant(png(pixels)),
        "label/encoded": tf.constant(png(label)),
    }
    return record, label, predicted


def given() -> tuple[Model, list[dict[str, tf.Tensor]], ImageCounts]:
    scenes = [scene(number) for number in range(3)]
    counts = np.stack(
        [
            confusion_count(label, own, 11, CAMVID.void)
            for _, label, own in scenes
        ]
    )
    names = tuple(f"frame {number}" for number in range(3))
    model = Model({number: own for number, (_, _, own) in enumerate(scenes)})
    return (
        model,
        [r for r, _, _ in scenes],
        ImageCounts(names, ("A",) * 3, counts),
    )


def test_regions_are_counted_and_the_largest_shown() -> None:
    model, records, images = given()
    found = look(model, records, images, CAMVID)
    assert found.images == 3
    assert found.regions[PEDESTRIAN] == found.regions.sum() == 6
    assert found.missed[PEDESTRIAN, ROAD] == found.missed.sum() == 3
    assert [each.name for each in found.shown] == ["frame 0", "frame 1"]
    assert found.shown[0].box == (5, 17, 5, 15)
    row = found.by_class(CAMVID)[1]
    assert (row["class"], row["share"]) == ("pedestrian", 0.5)
    assert row["given"] == [{"class": "road", "regions": 3}]
    assert found.by_class(CAMVID)[0]["share"] is None


@pytest.mark.parametrize("change", ["records", "model", "metrics", "fewer"])
def test_what_is_anothers_stops_the_report(change: str) -> None:
    model, records, images = given()
    if change == "records":  # two frames, each under the other's name
        records[0]["label/encoded"], _, _ = (
            tf.constant(png(np.full([40, 60], ROAD))), 0, 0,
        )  # fmt: skip
    elif change == "model":
        model.answers[1] = np.full([40, 60], ROAD)
    elif change == "metrics":
        other = images.candidate.copy()
        other[2] = other[2].T
        images = ImageCounts(images.names, images.drives, other)
    else:
        records = records[:2]
    with pytest.raises(DataError, match="Invalid evaluation"):
        look(model, records, images, CAMVID)


def test_a_renamed_class_order_is_refused() -> None:
    rows = CAMVID.as_dict()
    rows["classes"] = [*rows["classes"][::-1]]
    with pytest.raises(DataError, match=r"Invalid baseline.*in its order"):
        check_classes(CAMVID, class_set(rows), "baseline")
    check_classes(CAMVID, class_set("camvid"), "candidate")


def test_the_counts_of_another_run_are_refused() -> None:
    _, _, images = given()
    pixels = np.append(images.candidate.sum(axis=(0, 2)), 0)
    zeros = np.zeros(11, np.int64)
    check_counts(images, PixelStatistics(pixels, zeros, zeros, 3))
    with pytest.raises(DataError, match="4 images"):
        check_counts(images, PixelStatistics(pixels, zeros, zeros, 4))
    moved = pixels.copy()
    moved[[ROAD, CAR]] += [-1, 1]
    with pytest.raises(DataError, match="another run"):
        check_counts(images, PixelStatistics(moved, zeros, zeros, 3))


def test_another_digest_is_refused() -> None:
    check_digests("", "b", "model")  # an earlier version noted none
    check_digests("b", "b", "model")
    with pytest.raises(DataError, match=r"the records that the verdict.*aaa"):
        check_digests("aaa", "b", "records")


def pixels_of(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_panels_show_the_colours_of_the_legend_and_no_others() -> None:
    model, records, _ = given()
    colours = legend(CAMVID)
    shown = ClassImage("pedestrian", "frame 0", "A", 120, 0, 0.5, None)
    panels = draw_panels(records[0], {"candidate": model}, shown, CAMVID)
    assert [*panels] == ["image", "truth", "candidate", "errors"]
    for caption, names in (
        ("truth", {"road", "pedestrian"}),
        ("candidate", {"road", "pedestrian", "car"}),
    ):
        own = pixels_of(panels[caption]).reshape(-1, 3)
        assert {to_hex(c) for c in np.unique(own, axis=0)} == {
            colours[name] for name in names
        }
    errors = pixels_of(panels["errors"]).reshape(-1, 3)
    assert (errors == MISSED).all(axis=-1).sum() == 120
    assert not (errors == INVENTED).all(axis=-1).any()
    assert distance(MISSED, INVENTED) > 14


def test_a_missed_region_is_framed_and_shown_from_near() -> None:
    model, records, _ = given()
    region = MissedRegion(
        "pedestrian", "road", "frame 0", "A", 120, (5, 17, 5, 15)
    )
    panels = draw_missed(records[0], model, region, CAMVID)
    assert [*panels] == [
        "image", "near", "truth, near", "prediction, near",
    ]  # fmt: skip
    near = pixels_of(panels["truth, near"])
    assert near.shape == (29, 27, 3)  # 12 more to each side that there is
    colour = CAMVID.drawn[PEDESTRIAN]
    assert (near == colour).all(axis=-1).sum() == 120
    assert pixels_of(panels["image"])[4, 10].min() > 150  # the frame's white


def test_a_large_image_is_shrunk_without_mixing_its_colours() -> None:
    label = np.tile(np.array([[ROAD, CAR]], np.uint8), [40, 1500])
    record = {
        "image/encoded": tf.constant(png(np.zeros([40, 3000, 3]))),
        "label/encoded": tf.constant(png(label)),
    }
    shown = ClassImage("car", "x", "A", 0, 0, 1.0, None)
    panels = draw_panels(
        record, {"candidate": Model({0: label})}, shown, CAMVID
    )
    own = pixels_of(panels["truth"])
    assert own.shape[1] == 960
    assert len(np.unique(own.reshape(-1, 3), axis=0)) <= 2
