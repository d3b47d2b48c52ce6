"""Files that PyTorch itself wrote, and files that would do harm.

`lite0_peer` wrote the fixtures, with PyTorch 1.12, in both formats.
"""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from tests.wseg_tf.models.lite0_peer import DATA
from wseg_tf.models.torch_files import is_torch, read_torch

ROWS = np.arange(24, dtype=np.float32).reshape(4, 6) - 3.5
EXPECTED = {
    "rows": ROWS[1:3],
    "turned": ROWS.T,
    "half": ROWS[0].astype("f2"),
    "brain": ROWS[0],  # Small halves are exact in eight bits.
    "double": ROWS[0].astype("f8"),
    "long": np.array([2**40, -1]),
    "bool": np.array([True, False]),
    "scalar": np.array(2.5, "f4"),
}
FORMATS = ("zip", "legacy")


def content(kind):
    return (DATA / f"tensors_{kind}.pth").read_bytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_type_and_view_is_read(kind):
    assert is_torch(content(kind))
    found = read_torch(content(kind), "x.pth")
    assert list(found) == list(EXPECTED)
    for name, wanted in EXPECTED.items():
        assert found[name].dtype == wanted.dtype, name
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_are_one_sentence(kind):
    whole = content(kind)
    for length in (len(whole) // 3, len(whole) // 2, len(whole) - 9):
        with pytest.raises(ValueError, match=r"^Invalid file of weights x.pth"):
            read_torch(whole[:length], "x.pth")


class Harm:
    """A pickle of it would make a folder when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def legacy(state):
    """The row of pickles before PyTorch 1.6, of anything."""
    system = {"protocol_version": 1001, "little_endian": True}
    parts = (0x1950A86A20F9469CFC6C, 1001, system, state, [])
    return b"".join(pickle.dumps(each, 2) for each in parts)


def zipped(data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", np.zeros(4, "<f4").tobytes())
    return stream.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_in_a_file_is_run(form, tmp_path):
    path = tmp_path / "harm"
    state = {"weight": Harm(str(path))}
    data = legacy(state) if form == "legacy" else zipped(pickle.dumps(state, 2))
    with pytest.raises(ValueError, match=r"names `(posix|os)\.mkdir`"):
        read_torch(data, "x.pth")
    assert not path.exists()


def part(value):
    """A value as it stands in the middle of a pickle."""
    return pickle.dumps(value, 2)[2:-1]


def pickled_view(offset, size, stride, count=4):
    """A tensor that says of itself what it likes."""
    storage = part(("storage", "FloatStorage", "0", "cpu", count)) + b"Q"
    arguments = b"".join(map(part, (offset, size, stride, False, {})))
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + arguments + b"tR"
    return b"\x80\x02}" + part("w") + call + b"s."


def test_a_view_inside_its_storage_is_read():
    found = read_torch(zipped(pickled_view(1, (3,), (1,))), "x.pth")
    np.testing.assert_array_equal(found["w"], np.zeros(3))


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (2, (3,), (1,)),  # Ends behind it.
        (0, (2, 2), (3, 1)),
        (-1, (2,), (1,)),  # Begins before it.
        (0, (2,), (-1,)),
        (0, (10**12,), (0,)),  # One number, a terabyte of times.
        (0, (4,), (1, 1)),
    ],
)
def test_a_view_beyond_its_storage_is_refused(offset, size, stride):
    data = zipped(pickled_view(offset, size, stride))
    with pytest.raises(ValueError, match="cannot be read"):
        read_torch(data, "x.pth")


def test_a_storage_shorter_than_it_says_is_refused():
    data = zipped(pickled_view(0, (5,), (1,), count=5))
    with pytest.raises(ValueError, match="cut short"):
        read_torch(data, "x.pth")


def test_a_file_without_named_tensors_is_refused():
    with pytest.raises(ValueError, match="holds none by name"):
        read_torch(legacy({"epoch": 3}), "x.pth")
