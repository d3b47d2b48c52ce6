import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from wseg_tf.data.checks import DataError
from wseg_tf.data.sampling import class_presence, copies, expected_copies


def test_presence_is_read_from_the_labels():
    labels = np.array([[[3, 3], [11, 4]], [[3, 9], [3, 3]], [[0, 0], [0, 0]]])
    images = np.zeros((3, 2, 2, 3), np.uint8)
    frames = tf.data.Dataset.from_tensor_slices(
        (images, labels.astype(np.uint8))
    )
    assert class_presence(frames, (9, 3)).tolist() == [
        [False, True],
        [True, True],
        [False, False],
    ]


def test_expectations_worked_by_hand():
    # Class a in frames 0 and 1, b in 1 alone, c in none.
    shows = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]], bool)
    # (1 - 0.4) + 0.4 * 4 / 2 * (1/2 for a, 1 for b)
    assert expected_copies(shows, 0.4) == pytest.approx([1.0, 1.8, 0.6, 0.6])
    assert expected_copies(shows, 0.0) == pytest.approx([1, 1, 1, 1])
    assert expected_copies(shows, 1.0) == pytest.approx([1, 3, 0, 0])
    with pytest.raises(DataError, match="a frame that shows a rare class"):
        expected_copies(shows[2:], 0.4)


presences = st.lists(
    st.lists(st.booleans(), min_size=2, max_size=2), min_size=1, max_size=30
)


@given(presences, st.floats(0, 1), st.floats(0, 1, exclude_max=True))
@example([[True, False]], 0.0, 1 - 2**-53)
def test_an_epoch_has_as_many_frames_as_there_are(shows, share, offset):
    presence = np.array(shows, bool)
    if not presence.any():
        return
    expected = expected_copies(presence, share)
    assert expected.sum() == pytest.approx(len(presence))
    drawn = copies(expected, tf.constant(offset, tf.float64)).numpy()
    assert drawn.sum() == len(presence)
    assert np.all(drawn >= np.floor(expected - 1e-9))
    assert np.all(drawn <= np.ceil(expected + 1e-9))


def test_over_all_offsets_each_frame_is_drawn_as_often_as_expected():
    expected = expected_copies(
        np.array([[1, 0], [0, 0], [0, 1], [0, 1], [0, 0]], bool), 0.3
    )
    grid = (np.arange(500) + 0.5) / 500
    drawn = [copies(expected, tf.constant(u, tf.float64)) for u in grid]
    assert np.mean(drawn, axis=0) == pytest.approx(expected, abs=0.01)
