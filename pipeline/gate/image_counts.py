"""The confusion count of each evaluated image, for one or two models.

They are what every rule is judged by: a few hundred integers an image, from
which totals, slices and resampled evaluation sets are sums.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wseg_tf.metrics.confusion import Counts

# Share of an image's pixels that another processor may round another way.
TOLERANCE = 0.001

# Name and drive of an image, and its counts under each model.
Image = tuple[str, str, Mapping[str, Counts]]
# The drives of each slice, by kind of slice.
Slices = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class ImageCounts:
    """Exact counts of the same images under a model and maybe a baseline.

    Args:
        names: Name of each image.
        drives: The drive, or city, of each image.
        candidate: Counts `[images, N, N]`, int64; rows truth.
        baseline: The same for the last blessed model, or None.
    """

    names: tuple[str, ...]
    drives: tuple[str, ...]
    candidate: Counts
    baseline: Counts | None = None

    def __post_init__(self) -> None:
        """Refuses counts that are not of the same images."""
        for argument in ("drives", "candidate", "baseline"):
            received = getattr(self, argument)
            if received is not None and len(received) != len(self.names):
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected one "
                    f"entry for each of the {len(self.names)} images. "
                    f"Received: {len(received)}."
                )
        ours, theirs = self.candidate, self.baseline
        if theirs is not None and theirs.shape != ours.shape:
            raise ValueError(
                "Invalid value for argument `baseline`. Expected counts of "
                f"{ours.shape[-1]} classes, as the candidate's. Received: "
                f"{theirs.shape[-1]} classes."
            )

    @classmethod
    def gathered(
        cls,
        images: Iterable[Image],
        classes: int,
        candidate: str,
        baseline: str | None,
    ) -> ImageCounts:
        """Brings images together in the order of their names.

        Args:
            images: Name, drive and counts by model; any order, maybe none.
            classes: The number of classes N.
            candidate: Name of the model that is judged.
            baseline: Name of the baseline, or None without one.
        """
        listed = list(images)

        def stacked(model: str) -> Counts:
            own = [counts[model] for _, _, counts in listed]
            return np.array(own, np.int64).reshape(-1, classes, classes)

        return cls(
            tuple(name for name, _, _ in listed),
            tuple(drive for _, drive, _ in listed),
            stacked(candidate),
            None if baseline is None else stacked(baseline),
        ).in_order()

    def __len__(self) -> int:
        """The number of images."""
        return len(self.names)

    def chosen(self, images: Sequence[int]) -> ImageCounts:
        """Returns the counts of some of the images."""
        index = np.asarray(images, int)
        return ImageCounts(
            tuple(self.names[i] for i in index),
            tuple(self.drives[i] for i in index),
            self.candidate[index],
            None if self.baseline is None else self.baseline[index],
        )

    def in_order(self) -> ImageCounts:
        """Returns the images in the order of their names, then drives."""
        keys = [*zip(self.names, self.drives, strict=True)]
        return self.chosen(sorted(range(len(self)), key=keys.__getitem__))

    def by_slice(self, kind: str, slices: Slices) -> dict[str, ImageCounts]:
        """Splits the images into the slices of a kind; see `members`."""
        members = self.members(kind, slices)
        return {name: self.chosen(own) for name, own in members.items()}

    def members(self, kind: str, slices: Slices) -> dict[str, list[int]]:
        """Returns the images of each slice of a kind.

        Args:
            kind: `"drive"`, `"city"` or a key of `slices`.
            slices: The drives of each slice, by kind of slice.

        Returns:
            Positions of images by name of the slice, sorted; a slice of
            `slices` that no image belongs to has none.

        Raises:
            ValueError: If an image's drive is in no slice of this kind: which
                rule it falls under would be anybody's guess.
        """
        members: dict[str, list[int]] = {
            name: [] for name in slices.get(kind, ())
        }
        owner = {
            drive: name
            for name, drives in slices.get(kind, {}).items()
            for drive in drives
        }
        for index, drive in enumerate(self.drives):
            if kind in slices and drive not in owner:
                raise ValueError(
                    f"the drive {drive!r} is in no slice of `{kind}`"
                )
            members.setdefault(owner.get(drive, drive), []).append(index)
        return dict(sorted(members.items()))

    def to_bytes(self) -> bytes:
        """Returns the counts as a compressed NumPy archive."""
        stream = io.BytesIO()
        arrays = {
            "names": np.array(self.names, np.str_),
            "drives": np.array(self.drives, np.str_),
            "candidate": self.candidate,
        }
        if self.baseline is not None:
            arrays["baseline"] = self.baseline
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> ImageCounts:
        """Reads what `to_bytes` returned."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(
                tuple(map(str, arrays["names"])),
                tuple(map(str, arrays["drives"])),
                arrays["candidate"],
                arrays.get("baseline"),
            )
