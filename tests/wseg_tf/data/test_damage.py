import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.data.fuzz import saved
from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import DataError, check_pair
from wseg_tf.data.damage import naming_damage
from wseg_tf.data.input import evaluation_batches, read_records
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise

IMAGE = saved(np.full((4, 6, 3), 9, np.uint8), "PNG")
LABEL = saved(np.full((4, 6), 3, np.uint8), "PNG")
PAIR = Pair("a", "a", "a", "train", "a", "a")
RECORD = serialise(PAIR, check_pair(IMAGE, LABEL, CAMVID))


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def read(folder):
    with naming_damage(f"{folder}/*"):
        examples = read_records(f"{folder}/*", compression="")
        return len(list(evaluation_batches(examples, (4, 6), 1)))


@pytest.mark.parametrize(
    "damaged",
    [
        b"\xff\xfe" + RECORD,  # no example; no text either
        RECORD[:-9],
        RECORD.replace(b"label/encoded", b"label/\xe4ncoded"),
        RECORD.replace(IMAGE[:8], b"\x89PNX\r\n\x1a\n"),
        b"",
    ],
)
def test_a_record_damaged_inside_its_checksum_is_named(tmp_path, damaged):
    write(tmp_path / "one", [RECORD])
    write(tmp_path / "two", [RECORD, damaged, RECORD])
    with pytest.raises(DataError, match=r"two: .* damage in record 2,"):
        read(tmp_path)


def test_a_file_that_ends_early_is_named(tmp_path):
    write(tmp_path / "[one]*", [RECORD, RECORD])
    assert read(tmp_path) == 2
    whole = (tmp_path / "[one]*").read_bytes()
    (tmp_path / "[one]*").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"\[one\]\*: .* record 2,"):
        read(tmp_path)


def test_what_is_no_damage_stays_as_it_is(tmp_path):
    write(tmp_path / "one", [RECORD])
    own = tf.errors.ResourceExhaustedError(None, None, "full")
    with pytest.raises(tf.errors.ResourceExhaustedError, match="full"):  # noqa: SIM117
        with naming_damage(str(tmp_path / "one")):
            raise own
