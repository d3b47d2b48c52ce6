import numpy as np
import pytest

from pipeline.gate.image_counts import ImageCounts

COUNTS = np.arange(4 * 4).reshape(4, 2, 2) + 2**40
IMAGES = ImageCounts(("1", "2", "é 3", "4"), ("B", "A", "B", "C"), COUNTS)
SLICES = {"condition": {"day": ["B"], "dusk": ["A", "C"], "night": ["X"]}}


@pytest.mark.parametrize("baseline", [None, COUNTS[::-1]])
def test_bytes_hold_everything_exactly(baseline: np.ndarray | None) -> None:
    written = ImageCounts(IMAGES.names, IMAGES.drives, COUNTS, baseline)
    read = ImageCounts.from_bytes(written.to_bytes())
    assert (read.names, read.drives) == (written.names, written.drives)
    np.testing.assert_array_equal(read.candidate, COUNTS)
    assert (read.baseline is None) == (baseline is None)
    if baseline is not None:
        np.testing.assert_array_equal(read.baseline, baseline)
    assert written.to_bytes() == read.to_bytes()


def test_slices_are_drives_or_named_sets_of_them() -> None:
    assert IMAGES.members("drive", SLICES) == {"A": [1], "B": [0, 2], "C": [3]}
    assert IMAGES.members("city", {}) == IMAGES.members("drive", {})
    conditions = IMAGES.by_slice("condition", SLICES)
    assert [*conditions] == ["day", "dusk", "night"]
    np.testing.assert_array_equal(conditions["dusk"].candidate, COUNTS[[1, 3]])
    assert len(conditions["night"]) == 0


def test_a_drive_that_is_in_no_slice_is_refused() -> None:
    with pytest.raises(ValueError, match="'C' is in no slice of `condition`"):
        IMAGES.members("condition", {"condition": {"day": ["A", "B"]}})


def test_a_baseline_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 classes.*Received: 3 classes"):
        ImageCounts(
            IMAGES.names, IMAGES.drives, COUNTS, np.zeros([4, 3, 3], np.int64)
        )
