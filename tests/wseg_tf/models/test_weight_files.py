"""The same layers from every format, told apart by what is in the file."""

import hashlib
import io
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tests.wseg_tf.models.lite0_peer import DATA
from tests.wseg_tf.models.small import IS_KERAS_2
from wseg_tf.models.weight_files import (
    KNOWN,
    known_as,
    read_file,
    read_layers,
    refuse_links,
)


def network():
    keras.utils.set_random_seed(3)
    image = keras.Input([8, 8, 3])
    x = keras.layers.Conv2D(4, 3, name="first")(image)
    x = keras.layers.DepthwiseConv2D(3, use_bias=False, name="deep")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(image, keras.layers.Dense(2, name="last")(x))
    for layer in model.layers:
        layer.set_weights(
            [w + np.random.rand(*w.shape) for w in layer.get_weights()]
        )
    return model


def as_torch(model):
    """The same weights as PyTorch calls them and lays them out."""
    first, deep, norm, last = (
        model.get_layer(name).get_weights()
        for name in ("first", "deep", "norm", "last")
    )
    return {
        "first.weight": first[0].transpose(3, 2, 0, 1),
        "first.bias": first[1],
        "deep.weight": deep[0].transpose(2, 3, 0, 1),
        "norm.weight": norm[0],
        "norm.bias": norm[1],
        "norm.running_mean": norm[2],
        "norm.running_var": norm[3],
        "norm.num_batches_tracked": np.array(5),
        "last.weight": last[0].T,
        "last.bias": last[1],
    }


def written(model, folder, kind):
    path = folder / kind
    if kind == "torch.npz":
        np.savez(path, **as_torch(model))
    elif kind == "keras.npz":
        arrays = {
            f"{layer.name}/{weight.name.split('/')[-1].split(':')[0]}": value
            for layer in model.layers
            for weight, value in zip(
                layer.weights, layer.get_weights(), strict=True
            )
        }
        np.savez(path, **arrays)
    elif kind == "own.keras":
        model.save(path)
    else:
        model.save_weights(path)
    return str(path)


KINDS = ["torch.npz", "keras.npz", "own.weights.h5", "own.keras"]
# Keras 3 writes no others.
KINDS += ["legacy.h5"] if IS_KERAS_2 else []
GENERIC = {
    "first": "conv2d",
    "deep": "depthwise_conv2d",
    "norm": "batch_normalization",
    "last": "dense",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_layers(kind, tmp_path):
    model = network()
    found = read_layers(written(model, tmp_path, kind))
    assert len(found) == 4
    for name, generic in GENERIC.items():
        # Keras 2 numbers the layers of `.weights.h5` by class.
        arrays = found.get(name) or found[generic]
        values = model.get_layer(name).get_weights()
        assert len(arrays) == len(values)
        for array, value in zip(arrays.values(), values, strict=True):
            np.testing.assert_array_equal(array, value)


def test_a_model_in_the_model_keeps_its_layers_names(tmp_path):
    if not IS_KERAS_2:
        pytest.skip("Keras 3 does not write the format")
    inner = network()
    image = keras.Input([8, 8, 3])
    outer = keras.Model(image, inner(image))
    outer.save_weights(tmp_path / "outer.h5")
    found = read_layers(str(tmp_path / "outer.h5"))
    assert set(found) == {"first", "deep", "norm", "last"}
    assert found["norm"].keys() == {
        "gamma", "beta", "moving_mean", "moving_variance"
    }  # fmt: skip


def test_files_are_told_by_their_content_not_by_their_name(tmp_path):
    path = tmp_path / "called.h5"
    path.write_bytes((DATA / "tensors_zip.pth").read_bytes())
    assert next(iter(read_layers(str(path)))) == "rows"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no", "2 bytes of another format"),
        (b"", "0 bytes"),
        (b"\x89HDF\r\n\x1a\nno", "cannot be read"),
    ],
)
def test_other_files_are_one_sentence(data, message, tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_layers(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hdf5_of_others_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a/b"] = np.zeros(3)
    with pytest.raises(ValueError, match="`layer_names` or groups `vars`"):
        read_layers(str(tmp_path / "other.h5"))


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    promised = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(promised, header)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", promised.getvalue())
    with pytest.raises(ValueError, match="arrays of numbers"):
        read_layers(str(tmp_path / "x.npz"))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("layers/conv/vars")
        group.create_dataset("0", [10**12], "f4", chunks=(1024,))
    with pytest.raises(ValueError, match="4000000000000 bytes"):
        read_layers(str(tmp_path / "x.h5"))
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="arrays of numbers"):
        read_layers(str(tmp_path / "x.npz"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.pth, which cannot be read"):
        read_file(str(tmp_path / "nowhere.pth"))


def test_a_name_with_a_digest_must_be_right(tmp_path):
    data = (DATA / "tensors_zip.pth").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    for start, is_right in ((digest[:8], True), ("0" * 8, False)):
        path = tmp_path / f"net-{start}.pth"
        path.write_bytes(data)
        if is_right:
            assert read_file(str(path)) == data
            continue
        with pytest.raises(ValueError, match="begins with 00000000"):
            read_file(str(path))


def test_known_files_are_told_by_either_digest(monkeypatch):
    assert known_as(b"anything") is None
    for digest in (hashlib.sha256, hashlib.md5):
        monkeypatch.setitem(KNOWN, digest(b"mine").hexdigest(), "mine")
        assert known_as(b"mine") == "mine"
        monkeypatch.delitem(KNOWN, digest(b"mine").hexdigest())
    assert all(len(each) in (32, 64) for each in KNOWN)


@pytest.mark.parametrize("how", ["link", "storage", "virtual"])
def test_weights_that_lie_in_another_file_are_refused(
    tmp_path: Path, how: str
) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(64))
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/conv/vars")
        if how == "link":
            group["0"] = h5py.ExternalLink("other.h5", "/x")
        elif how == "storage":
            external = [(str(secret), 0, 64)]
            group.create_dataset("0", (16,), "f4", external=external)
        else:
            layout = h5py.VirtualLayout((16,), "f4")
            layout[:] = h5py.VirtualSource("other.h5", "x", (16,))
            group.create_virtual_dataset("0", layout)
        group["loop"] = file["layers"]  # A group within itself has an end.
    content = path.read_bytes()
    for read in (
        lambda: read_layers(str(path)),
        lambda: refuse_links(content, str(path)),
    ):
        with pytest.raises(ValueError, match="which is in another file"):
            read()
