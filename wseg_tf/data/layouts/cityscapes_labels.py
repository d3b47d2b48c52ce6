"""Cityscapes' label table: what each id in a `labelIds` image means."""

from __future__ import annotations

from wseg_tf.classes import CITYSCAPES

# Name by id, 0..33, in the published order. The license plate has id -1,
# which no image holds.
NAMES = (
    "unlabeled",
    "ego vehicle",
    "rectification border",
    "out of roi",
    "static",
    "dynamic",
    "ground",
    "road",
    "sidewalk",
    "parking",
    "rail track",
    "building",
    "wall",
    "fence",
    "guard rail",
    "bridge",
    "tunnel",
    "pole",
    "polegroup",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "caravan",
    "trailer",
    "train",
    "motorcycle",
    "bicycle",
)

# Class id (`trainId`) or void for each id: what is not evaluated is void.
TRAIN_IDS: dict[int, int] = {
    label: CITYSCAPES.index(name)
    if name in CITYSCAPES.names
    else CITYSCAPES.void
    for label, name in enumerate(NAMES)
}
