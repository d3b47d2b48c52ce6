import numpy as np
import pytest

from tests.wseg_tf.data import fuzz
from wseg_tf.data.checks import check_pair


def test_500_mutated_files_are_refused_in_a_sentence_or_read_rightly():
    found = fuzz.fuzz(500, seed=1)
    for kind in range(5):
        assert found[kind, "refused"] > 20
    # So that the mutations are not all too coarse to try what passes.
    assert sum(found[kind, "passed"] for kind in range(5)) > 25


def test_the_seeds_pass():
    images, labels = fuzz.seeds()
    for image in images:
        assert fuzz.try_image(image, fuzz.grey(8)) == "passed"
    for label in labels:
        assert fuzz.try_label(images[0], label) == "passed"


def test_a_changed_id_would_be_found(monkeypatch):
    def wrong(image, label, classes):
        checked = check_pair(image, label, classes)
        ids = np.full((checked.height, checked.width), 2, np.uint8)
        object.__setattr__(checked, "label", fuzz.saved(ids, "PNG"))
        return checked

    images, _ = fuzz.seeds()
    monkeypatch.setattr(fuzz, "check_pair", wrong)
    with pytest.raises(AssertionError):
        fuzz.try_label(images[0], fuzz.grey(4))
