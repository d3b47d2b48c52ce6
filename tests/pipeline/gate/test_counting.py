"""Counts of images of which a hand-made model gets a known share wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.gate.counting import check_classes, count_images
from tests.pipeline.gate.hand_made import export_model, write_images
from wseg_tf.classes import CAMVID
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.serving import ServedModel


def test_images_are_counted_under_one_or_two_models(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", ["B", "A"], 2)
    right = ServedModel(str(export_model(tmp_path / "right", [])))
    wrong = ServedModel(
        str(export_model(tmp_path / "wrong", [("car", "road", 1.0)]))
    )
    described = layout("camvid")
    pairs = find_pairs("camvid", str(data), "val")
    one, other = right.count_confusion, wrong.count_confusion
    check_classes(right.classes, described)
    found = count_images(one, pairs, described, other)
    assert list(found.names) == [pair.name for pair in pairs]
    assert found.drives == ("A", "A", "B", "B")
    assert found.baseline is not None
    # Every label is right, all 24 x 32 pixels but the void ones.
    diagonal = np.einsum("bii->bi", found.candidate)
    np.testing.assert_array_equal(found.candidate.sum((1, 2)), diagonal.sum(1))
    car, road = CAMVID.index("car"), CAMVID.index("road")
    np.testing.assert_array_equal(
        found.baseline[:, car, road], diagonal[:, car]
    )
    alone = count_images(one, pairs, described)
    assert alone.baseline is None
    np.testing.assert_array_equal(alone.candidate, found.candidate)
    with pytest.raises(ValueError, match=r"`camvid`.*Received: those of `city"):
        check_classes(right.classes, layout("cityscapes"))
    # Groups are a model's own: `data.classes` may have given it others.
    check_classes(replace(CAMVID, groups=(1,) * 11), described)
    with pytest.raises(ValueError, match=r"void 255.*void 11"):
        check_classes(replace(CAMVID, void=255), described)
    swapped = replace(CAMVID, names=(*CAMVID.names[:9], *CAMVID.names[:8:-1]))
    with pytest.raises(ValueError, match="'bicyclist', 'pedestrian'"):
        check_classes(swapped, described)
