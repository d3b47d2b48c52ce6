"""A small run, made by hand, and its report."""

import io
from typing import Any

import numpy as np
from PIL import Image

from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.judge import judge
from pipeline.gate.rules import Gate, Rule
from pipeline.report.facts import facts
from pipeline.report.missed import Missed, MissedRegion
from pipeline.report.pages import to_html
from pipeline.report.pictures import typical_images, worst_images
from pipeline.report.run import Run
from wseg_tf.classes import CAMVID, ClassSet

GROUND = np.arange(121.0).reshape(11, 11) * (1 - np.eye(11))
SKY, CAR, PEDESTRIAN = 0, 8, 9
EVIL = "<script>alert(1)</script>"

STARTED = {
    "when": "2026-01-02T03:04:05+00:00",
    "run": "2026-01-02T03:00:00.000001",
    "by": "somebody on a machine",
    "command": "wseg run configs/demo.yaml",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "clean": True,
    "changed": 0,
}
MACHINE = {
    "system": "Linux",
    "processor": "a processor",
    "cores": 2,
    "memory_gib": 8.0,
    "accelerators": (),
}
HISTORY = [
    {"stage": "one", "epoch": "1", "loss": "1.5", "mean_iou": ""},
    {"stage": "one", "epoch": "2", "loss": "nan", "mean_iou": "0.25"},
]


def images(baseline: bool = False) -> ImageCounts:
    """Three images; a tree is nowhere, and in the second pedestrians lack."""
    counts = np.stack([5 * np.eye(11, dtype=np.int64)] * 3)
    counts[:, 5] = 0
    counts[1, PEDESTRIAN] = [5, *[0] * 10]
    counts[2, SKY, CAR] = 7
    other = counts.copy()
    other[0, PEDESTRIAN, PEDESTRIAN] = 1
    return ImageCounts(
        ("a", "b", EVIL), ("A", "A", "B"), counts, other if baseline else None
    )


def missed() -> Missed:
    """Four pedestrians, of which one was called sky."""
    regions = np.zeros(11, np.int64)
    regions[PEDESTRIAN] = 4
    given = np.zeros([11, 11], np.int64)
    given[PEDESTRIAN, SKY] = 1
    box = (1, 3, 2, 4)
    shown = [MissedRegion("pedestrian", "sky", "b", "A", 120, box)]
    return Missed(regions, given, 3, 100, shown)


def run(
    rules: list[Rule] | None = None,
    own: ImageCounts | None = None,
    classes: ClassSet = CAMVID,
    **changes: Any,
) -> Run:
    """A run whose rules hold, or what becomes of it with changes."""
    own = own or images()
    if rules is None:
        rules = [
            Rule("iou/car", floor=0.1),
            Rule("iou/pedestrian", floor=0.1, every="drive", absent="skip"),
            Rule("iou/pedestrian", allowed_loss=0.0),
        ]
    gate = Gate(rules, slices=changes.pop("slices", {}))
    ground = changes.pop("ground", GROUND)
    findings = judge(gate, own, classes, ground)
    blessed = all(each.holds for each in findings)
    split = {
        "images": 3,
        "drives": ["A", "B"],
        "void": 0.01,
        "shares": dict.fromkeys(classes.names, 1 / len(classes)),
    }
    given = {
        "name": "test",
        "classes": classes,
        "ground": ground,
        "images": own,
        "findings": findings,
        "blessed": blessed,
        "serving_fault": "",
        "pushed": "serving/1" if blessed else None,
        "model": "model",
        "gate": gate,
        "worst": worst_images(own, classes),
        "typical": typical_images(own, classes),
        "missed": missed() if classes is CAMVID else None,
        "history": HISTORY,
        "started": STARTED,
        "machines": [MACHINE],
        "data": {"dataset": "camvid", "splits": {"eval": split}},
        "quarantine": [{"split": "train", "name": "x", "reason": EVIL}],
        "lineage": {
            "code": {"wseg_tf": "0", "tensorflow": "2"},
            "model": {
                "digest": "d" * 64,
                "network": "enet",
                "input": "1x1",
                "training": "none",
            },
            "data": {"digest": "e" * 64},
        },
        "config": "name: test\n```\n",
    }
    return Run(**(given | changes))


def with_files(found: dict[str, Any]) -> dict[str, Any]:
    """Names a picture for each row that shows some."""
    rows = [*found["worst"], *found["typical"]]
    rows += found["missed"]["shown"] if found["missed"] else []
    for number, row in enumerate(rows):
        row["files"] = {
            "image": f"image-{number}.jpg",
            "truth": f"truth-{number}.png",
        }
    return found


def report(**changes: Any) -> dict[str, Any]:
    """The facts of `run`, with pictures."""
    return with_files(facts(run(**changes)))


def picture(kind: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(stream, kind)
    return stream.getvalue()


def page(found: dict[str, Any]) -> str:
    """The page of a report, with pictures of one colour."""
    rows = [*found["worst"], *found["typical"]]
    rows += found["missed"]["shown"] if found["missed"] else []
    plots = ("severity.png", "confusion.png", "ground.png", "history.png")
    names = [file for row in rows for file in row["files"].values()]
    return to_html(
        found,
        {
            name: picture("PNG" if name.endswith("png") else "JPEG")
            for name in [*plots, *names]
        },
    )
