"""The published layouts, through the configuration for them, to a verdict."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import REFUSED
from pipeline.release.lineage import latest_run
from tests.wseg_tf.training.small import small_net
from wseg_tf import models
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.data.input import read_records
from wseg_tf.data.layouts.cityscapes_labels import NAMES
from wseg_tf.data.records import decode
from wseg_tf.data.streets import draw_scene

CONFIG = str(Path(__file__).parents[3] / "configs/gta5_to_cityscapes.yaml")
TINY = [
    "training.height=32",
    "training.width=32",
    "training.crop=null",
    "training.stages.0.epochs=1",
    "adaptation.rounds=1",
    "adaptation.scales=[1.0]",
    "adaptation.stage.epochs=1",
]
OTHER_NAMES = {
    "tree": "vegetation",
    "sign": "traffic sign",
    "pedestrian": "person",
    "bicyclist": "rider",
}
CITYSCAPES_ID = np.zeros(len(CAMVID) + 1, np.uint8)  # Void is 0, unlabeled.
CITYSCAPES_ID[:-1] = [
    NAMES.index(OTHER_NAMES.get(name, name)) for name in CAMVID.names
]
PALETTE = [value for k in range(256) for value in (9, k, 1)]


def draw(seed: int, look: str, image: Path, label: Path) -> None:
    pixels, classes = draw_scene(seed, 40, 64, look)
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(image)
    ids = Image.fromarray(CITYSCAPES_ID[classes])
    if look == "day":
        ids.putpalette(PALETTE)
    ids.save(label)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domains")
    source, target = folder / "gta5", folder / "cityscapes"
    for number in range(1, 9):
        name = f"{number:05d}.png"
        draw(number, "day", source / "images" / name, source / "labels" / name)
    numbers = {"trainIds": range(1, 5), "valIds": (5, 6), "testIds": (7, 8)}
    savemat(
        source / "split.mat",
        {key: [[number] for number in own] for key, own in numbers.items()},
    )
    for split, city, count in (("train", "aachen", 4), ("val", "ulm", 2)):
        for k in range(count):
            frame = f"{city}_{k:06d}_000019"
            draw(
                100 * count + k,
                "dusk",
                target / f"leftImg8bit/{split}/{city}/{frame}_leftImg8bit.png",
                target / f"gtFine/{split}/{city}/{frame}_gtFine_labelIds.png",
            )
    return folder


@pytest.fixture(scope="module")
def screen(root: Path) -> str:
    data = [f"source.path={root}/gta5", f"target.path={root}/cityscapes"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "build", small_net)
        result = CliRunner().invoke(
            app, ["run", CONFIG, f"root={root}", *data, *TINY]
        )
    assert result.exit_code == REFUSED, result.output
    return result.output


def test_the_gate_names_the_critical_classes_it_could_not_see(
    screen: str,
) -> None:
    assert "Verdict: refused" in screen
    assert "critical_iou is not measured" in screen
    for name in ("truck", "bus", "motorcycle", "bicycle"):
        assert f"images/{name} is not measured" in screen


@pytest.mark.parametrize("step", ["SourceIngest", "TargetIngest"])
def test_both_layouts_were_read_by_their_published_splits(
    root: Path, screen: str, step: str
) -> None:
    run = latest_run(str(root / "gta5-to-cityscapes" / "metadata.sqlite"))
    folder = run[step].outputs["examples"][0].uri
    seen = set()
    for split, images in (("train", 4), ("eval", 2)):
        labels = [
            label.numpy()
            for _, label in map(
                decode, read_records(f"{folder}/Split-{split}/*", "")
            )
        ]
        assert len(labels) == images
        seen |= set(np.concatenate([own.ravel() for own in labels]).tolist())
    drawn = {
        CITYSCAPES.index(OTHER_NAMES.get(name, name)) for name in CAMVID.names
    }
    assert seen <= drawn | {CITYSCAPES.void}
    assert {CITYSCAPES.index("road"), CITYSCAPES.index("car")} < seen
