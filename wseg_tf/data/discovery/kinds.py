"""What image files are: photographs, labels of ids or labels of colours."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from PIL import Image

from wseg_tf.data.checks import DataError
from wseg_tf.data.discovery.paths import files_below
from wseg_tf.data.discovery.patterns import LAST_WORD

PHOTOGRAPH, IDS, COLOURS = "photograph", "ids", "colours"
_ENDINGS = (".png", ".jpg", ".jpeg")
# Neighbours that are equal: 0.95 and more in labels, 0.2 in photographs.
_FLAT = 0.7
# Files of a sort that are looked at; one where there are many sorts.
_SAMPLES, _MANY = 2, 40
_LABEL_WORDS = re.compile(
    r"label|mask|annot|(?<![a-z])gt|truth|segm|(?<![a-z])seg(?![a-z])|semantic",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class File:
    """A file of an image.

    Args:
        path: Relative to the folder that is looked at.
        kind: `PHOTOGRAPH`, `IDS` or `COLOURS`.
    """

    path: str
    kind: str


def image_files(folder: str) -> list[str]:
    """Returns the PNG and JPEG files below a folder, relative to it.

    Args:
        folder: The folder. What is hidden in it is left out.

    Raises:
        DataError: If there is no such folder, or no such file.
    """
    found = files_below(folder)
    shown = [path for path in found if path.lower().endswith(_ENDINGS)]
    if not shown:
        raise DataError(
            f"{folder}: expected images and labels, PNG or JPEG. Found: none "
            f"among {len(found)} files."
        )
    return shown


def classify(folder: str, paths: Sequence[str]) -> list[File]:
    """Says what each file is, by a look at some of each sort.

    Args:
        folder: The folder.
        paths: Files, relative to it.

    Returns:
        The files that are images or labels, in the order of `paths`; others,
        such as depth, are left out.
    """
    sorts: dict[tuple[str, ...], list[str]] = {}
    tokens = [_token(path) for path in paths]
    often = Counter(tokens)
    for path, token in zip(paths, tokens, strict=True):
        # A word that stands once is a name, not a sort.
        own = token if often[token] > 1 else ""
        ending = posixpath.splitext(path)[1].lower()
        sorts.setdefault((posixpath.dirname(path), own, ending), []).append(
            path
        )
    found: dict[str, str | None] = {}
    with ThreadPoolExecutor() as pool:
        for sort in sorts.values():
            count = _SAMPLES if len(sorts) <= _MANY else 1
            places = np.linspace(0, len(sort) - 1, count).astype(int)
            looked_at = [sort[place] for place in sorted({*places.tolist()})]
            seen = pool.map(lambda p: _kind(folder, p), looked_at)
            kinds = {kind for kind in seen if kind}  # torn: of its sort
            if len(kinds) > 1:  # Several sorts after all.
                each = pool.map(lambda p: _kind(folder, p), sort)
                found.update(zip(sort, each, strict=True))
            else:
                found.update(dict.fromkeys(sort, next(iter(kinds), None)))
    files = [
        File(path, kind) for path in paths if (kind := found[path]) is not None
    ]
    return [*_told_by_name(files)]


def _told_by_name(files: Sequence[File]) -> Iterator[File]:
    """Tells drawn images from colour labels by names, if pixels do not."""
    has_photographs = any(file.kind == PHOTOGRAPH for file in files)
    for file in files:
        is_drawn = file.kind == COLOURS and not has_photographs
        if is_drawn and not is_called_label(file.path):
            yield File(file.path, PHOTOGRAPH)
        else:
            yield file


def is_called_label(path: str) -> bool:
    """Whether a path has a word in it by which labels go.

    Example:

    >>> is_called_label("trainannot/1.png"), is_called_label("rgb/1.png")
    (True, False)
    """
    return _LABEL_WORDS.search(path) is not None


def _token(path: str) -> str:
    """Returns the last word of a name, such as `_mask`."""
    stem = posixpath.splitext(posixpath.basename(path))[0]
    found = LAST_WORD.search(stem)
    return found[0] if found else ""


def _kind(folder: str, path: str) -> str | None:
    """Looks at one file; None if it is neither image nor label."""
    try:
        with tf.io.gfile.GFile(posixpath.join(folder, path), "rb") as file:
            picture = Image.open(file)
            if picture.format != "PNG":
                return PHOTOGRAPH
            pixels = np.asarray(picture)
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        tf.errors.OpError,
    ):
        return None  # `wseg data check` says what is wrong with it.
    if picture.mode in ("P", "1"):
        return IDS
    alike = pixels[:, 1:] == pixels[:, :-1]
    flat = alike.all(axis=-1) if pixels.ndim == 3 else alike
    if flat.size and flat.mean() < _FLAT:
        return None if picture.mode.startswith("I") else PHOTOGRAPH
    return IDS if pixels.ndim == 2 else COLOURS
