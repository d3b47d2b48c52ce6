"""CamVid as first published: 701 stills with labels in 32 colours."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from wseg_tf.classes import CAMVID, Colour
from wseg_tf.data.checks import DataError
from wseg_tf.data.pairs import Pair, by_name, files, match

IMAGES = "701_StillsRaw_full"
LABELS = "LabeledApproved_full"
SPLITS = ("train", "val", "test")

# The 32 published labels, each with the class of the eleven it belongs to.
_LABELS: tuple[tuple[str, Colour, str | None], ...] = (
    ("Animal", (64, 128, 64), "pedestrian"),
    ("Archway", (192, 0, 128), "building"),
    ("Bicyclist", (0, 128, 192), "bicyclist"),
    ("Bridge", (0, 128, 64), "building"),
    ("Building", (128, 0, 0), "building"),
    ("Car", (64, 0, 128), "car"),
    ("CartLuggagePram", (64, 0, 192), "pedestrian"),
    ("Child", (192, 128, 64), "pedestrian"),
    ("Column_Pole", (192, 192, 128), "pole"),
    ("Fence", (64, 64, 128), "fence"),
    ("LaneMkgsDriv", (128, 0, 192), "road"),
    ("LaneMkgsNonDriv", (192, 0, 64), "road"),
    ("Misc_Text", (128, 128, 64), "sign"),
    ("MotorcycleScooter", (192, 0, 192), "bicyclist"),
    ("OtherMoving", (128, 64, 64), "car"),
    ("ParkingBlock", (64, 192, 128), "sidewalk"),
    ("Pedestrian", (64, 64, 0), "pedestrian"),
    ("Road", (128, 64, 128), "road"),
    ("RoadShoulder", (128, 128, 192), "sidewalk"),
    ("Sidewalk", (0, 0, 192), "sidewalk"),
    ("SignSymbol", (192, 128, 128), "sign"),
    ("Sky", (128, 128, 128), "sky"),
    ("SUVPickupTruck", (64, 128, 192), "car"),
    ("TrafficCone", (0, 0, 64), "pole"),
    ("TrafficLight", (0, 64, 64), "sign"),
    ("Train", (192, 64, 128), "car"),
    ("Tree", (128, 128, 0), "tree"),
    ("Truck_Bus", (192, 128, 192), "car"),
    ("Tunnel", (64, 0, 64), "building"),
    ("VegetationMisc", (192, 192, 0), "tree"),
    ("Void", (0, 0, 0), None),
    ("Wall", (64, 192, 0), "building"),
)

COLOUR_MAP: dict[Colour, int] = {
    colour: CAMVID.void if name is None else CAMVID.index(name)
    for _, colour, name in _LABELS
}


def find(
    folder: str,
    splits: Sequence[str] | None = None,
    dataset: str = "camvid_colours",
) -> Iterator[Pair]:
    """Finds the pairs of the stills, in the splits that SegNet published.

    Args:
        folder: The folder that holds `701_StillsRaw_full/` and
            `LabeledApproved_full/`.
        splits: Splits to read. Defaults to `train`, `val` and `test`, those
            that have a frame.
        dataset: Name of the dataset in the pairs.

    Yields:
        The pairs, by split and then by name.

    Raises:
        DataError: If a folder is missing, a split is empty, or an image or a
            label stands alone.
    """
    frames = match(
        by_name(files(posixpath.join(folder, IMAGES))),
        by_name(files(posixpath.join(folder, LABELS)), ["_l.png"]),
        "all",
        folder,
    )
    there = {published_split(name) for name, _, _ in frames}
    if splits is None:
        splits = [split for split in SPLITS if split in there]
    for split in splits:
        if split not in there:
            raise DataError(f"{folder}: no images in split {split!r}.")
        for name, image, label in frames:
            if published_split(name) == split:
                drive = name.split("_")[0]
                yield Pair(name, image, label, split, drive, dataset)


def published_split(name: str) -> str:
    """Returns the split of a frame: 367 train, 101 val, 233 test.

    The 15 Hz part of drive 0016E5 is val; Seq05VD and the second half of
    0001TP are test.

    Example:

    >>> published_split("0016E5_08001"), published_split("Seq05VD_f00000")
    ('val', 'test')
    """
    drive, _, frame = name.partition("_")
    digits = frame.lstrip("f")
    number = int(digits) if digits.isdecimal() else -1
    if drive == "0016E5" and 7959 <= number <= 8159:
        return "val"
    if drive == "Seq05VD" or (drive == "0001TP" and number > 8520):
        return "test"
    return "train"
