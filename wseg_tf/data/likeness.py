"""Images that look alike: what a digest of bytes takes for two.

An image that was encoded again, resized or renamed is another file. Its
neighbours' order in brightness is the same: twelve rows of twelve comparisons
tell it, of which the changes above move 8 at most, and another place in the
street 37 (the median, over frames of CamVid a second apart).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from wseg_tf.data.pairs import Pair, read_file
from wseg_tf.data.threads import in_order

_SIDE = 12
MOST_MOVED = 8
_AT_ONCE = 1024

Mark = npt.NDArray[np.bool_]


def mark(encoded: bytes) -> Mark:
    """Returns which cells of a picture are brighter than their left ones.

    Args:
        encoded: A PNG or JPEG that was checked.

    Returns:
        144 truths; alike for pictures that look alike.

    Example:

    >>> stream = io.BytesIO()
    >>> Image.linear_gradient("L").rotate(90).save(stream, "PNG")
    >>> bool(mark(stream.getvalue()).all())
    True
    """
    picture = Image.open(io.BytesIO(encoded))
    picture.draft("L", (8 * _SIDE, 8 * _SIDE))  # A JPEG is decoded smaller.
    grey = picture.convert("L")
    small = grey.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX)
    cells = np.asarray(small, np.int16)
    found: Mark = (cells[:, 1:] > cells[:, :-1]).ravel()
    return found


def find_alike(
    first: Sequence[Pair], second: Sequence[Pair], threads: int = 1
) -> Iterator[tuple[Pair, Pair]]:
    """Yields pairs whose images look like those of others.

    Args:
        first: Pairs whose images were checked.
        second: Others, likewise.
        threads: Images that are looked at a time. Defaults to one.

    Yields:
        A pair of the first, and that of the second which it is most like.
    """
    theirs = _signs(second, threads)
    for start in range(0, len(first), _AT_ONCE):
        part = first[start : start + _AT_ONCE]
        own = _signs(part, threads)
        # Of signs +1 and -1, the product counts what is the same twice.
        moved = (_SIDE**2 - own @ theirs.T) / 2
        for pair, row in zip(part, moved, strict=True):
            nearest = int(row.argmin())
            if row[nearest] <= MOST_MOVED:
                yield pair, second[nearest]


def _signs(pairs: Iterable[Pair], threads: int) -> npt.NDArray[np.float32]:
    def look(pair: Pair) -> Mark:
        return mark(read_file(pair.image))

    marks = np.stack([*in_order(look, iter(pairs), threads)])
    return np.where(marks, np.float32(1), np.float32(-1))
