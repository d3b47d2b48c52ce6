"""PyTorch's files of tensors, read without PyTorch.

A `.pth` is a pickle, and a pickle may run anything. The unpickler here knows
tensors and dictionaries alone, and refuses every other name, so that reading a
file runs nothing of it. Both formats are read: the zip archive that PyTorch
writes since 1.6, and the row of pickles before.

Source: `torch.serialization` of PyTorch 2.
"""

from __future__ import annotations

import io
import math
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
# NumPy has no bfloat16: its two bytes are the upper half of a float32.
BFLOAT16 = "bfloat16"
STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# Where checkpoints keep the tensors of their model.
STATES = ("state_dict", "model_state_dict", "model_state", "model")
PARALLEL = "module."  # What DataParallel puts before every name.

Array = NDArray[Any]
Order = Literal["little", "big"]


class _Storage(NamedTuple):
    """Where the numbers of tensors lie."""

    kind: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def is_torch(content: bytes) -> bool:
    """Says whether bytes are a file of PyTorch.

    Args:
        content: All of the file.

    Example:

    >>> is_torch(b"PK"), is_torch(pickle.dumps(MAGIC, 2))
    (False, True)
    """
    if zipfile.is_zipfile(io.BytesIO(content)):
        return _record(zipfile.ZipFile(io.BytesIO(content))) is not None
    # A pickle of protocol 2 that holds the magic number, in ten bytes.
    return content.startswith(pickle.dumps(MAGIC, 2))


def read_torch(content: bytes, path: str) -> dict[str, Array]:
    """Returns the tensors of a file that `torch.save` wrote.

    Args:
        content: All of the file.
        path: Its path, for errors.

    Returns:
        Arrays by the names of the state dictionary, in its order; those of a
        checkpoint are found below `state_dict` and the like, and what
        `DataParallel` puts before names is taken off.

    Raises:
        ValueError: If the file is damaged, holds code, or no tensors.

    Example:

    >>> read_torch(content, "net.pth")["fc.bias"].shape  # doctest: +SKIP
    (1000,)
    """
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            state, stored = _from_zip(content)
        else:
            state, stored = _from_pickles(content)
        arrays = {
            name: _array(tensor, stored) for name, tensor in _tensors(state)
        }
    except _CodeError as error:
        raise ValueError(
            f"Invalid file of weights {path}. Expected the tensors of a "
            "`state_dict`, saved by `torch.save(model.state_dict(), path)`. "
            f"Received: a pickle that names `{error}`, which would have to run."
        ) from error
    # What a damaged pickle raises is any of these.
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        TypeError,
        UnicodeDecodeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"Invalid file of weights {path}. Expected a file of PyTorch. "
            f"Received: one that cannot be read ({error})."
        ) from error
    if not arrays:
        raise ValueError(
            f"Invalid file of weights {path}. Expected a `state_dict` of "
            "tensors. Received: a file of PyTorch that holds none by name."
        )
    return arrays


class _CodeError(Exception):
    """A pickle names something that is no tensor."""


class _Unpickler(pickle.Unpickler):
    """Knows dictionaries and tensors, and nothing that runs."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return name
        known: Mapping[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("torch", "Size"): tuple,
        }
        if (module, name) not in known:
            raise _CodeError(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        mark, kind, key, _, count = pid[:5]
        if mark != "storage" or kind not in STORAGES:
            raise pickle.UnpicklingError(f"unknown storage {kind!r}")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("a storage that is part of another")
        storage = _Storage(kind, str(key), int(count))
        return self.storages.setdefault(storage.key, storage)


def _tensor(
    storage: _Storage, offset: int, size: Any, stride: Any, *_: Any
) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(size), tuple(stride))


def _record(archive: zipfile.ZipFile) -> str | None:
    """Returns the folder in the archive that holds `data.pkl`."""
    for name in archive.namelist():
        folder, slash, file = name.rpartition("/")
        if slash and file == "data.pkl" and "/" not in folder:
            return folder
    return None


def _from_zip(content: bytes) -> tuple[Any, dict[_Storage, Array]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        folder = _record(archive)
        names = set(archive.namelist())
        order: Order = sys.byteorder
        if f"{folder}/byteorder" in names:
            written = archive.read(f"{folder}/byteorder")
            order = "little" if written == b"little" else "big"
        reader = _Unpickler(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        loaded = reader.load()
        stored = {
            storage: _numbers(
                archive.read(f"{folder}/data/{key}"), storage, order
            )
            for key, storage in reader.storages.items()
        }
    return loaded, stored


def _from_pickles(content: bytes) -> tuple[Any, dict[_Storage, Array]]:
    stream = io.BytesIO(content)
    if _Unpickler(stream).load() != MAGIC:
        raise pickle.UnpicklingError("no magic number")
    _Unpickler(stream).load()  # The protocol, always 1001.
    system = _Unpickler(stream).load()
    order: Order = "little" if system["little_endian"] else "big"
    reader = _Unpickler(stream)
    loaded = reader.load()
    stored = {}
    for key in _Unpickler(stream).load():
        storage = reader.storages[str(key)]
        if int.from_bytes(stream.read(8), order) != storage.length:
            raise pickle.UnpicklingError(f"storage {key} of another length")
        data = stream.read(storage.length * _width(storage))
        stored[storage] = _numbers(data, storage, order)
    return loaded, stored


def _width(storage: _Storage) -> int:
    kind = STORAGES[storage.kind]
    return 2 if kind == BFLOAT16 else np.dtype(kind).itemsize


def _numbers(data: bytes, storage: _Storage, order: Order) -> Array:
    if len(data) != storage.length * _width(storage):
        raise pickle.UnpicklingError(f"storage {storage.key} is cut short")
    kind = STORAGES[storage.kind]
    sign = "<" if order == "little" else ">"
    if kind == BFLOAT16:
        halves = np.frombuffer(data, f"{sign}u2").astype(np.uint32)
        return (halves << 16).view(np.float32)
    return np.frombuffer(data, f"{sign}{kind}").astype(kind)


def _tensors(state: Any) -> Iterator[tuple[str, _Tensor]]:
    """Yields the named tensors of a state dictionary or a checkpoint."""
    for key in STATES:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if isinstance(state, dict):
        for name, value in state.items():
            if isinstance(value, _Tensor):
                yield str(name).removeprefix(PARALLEL), value


def _array(tensor: _Tensor, stored: Mapping[_Storage, Array]) -> Array:
    """Copies a view; what it says of itself is not believed."""
    numbers = stored[tensor.storage]
    size, stride = tensor.size, tensor.stride
    count = math.prod(size)
    last = tensor.offset + sum(
        (length - 1) * step for length, step in zip(size, stride, strict=True)
    )
    fits = min((tensor.offset, *size, *stride)) >= 0 and count <= numbers.size
    if not fits or (count and last >= numbers.size):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    view = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :],
        size,
        [step * numbers.itemsize for step in stride],
    )
    return view.copy()
