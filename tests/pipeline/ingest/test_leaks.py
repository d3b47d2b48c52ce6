"""What a model is judged on is not what it learned from, or all can see it."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.config.loading import load, load_pipeline
from pipeline.ingest import leaks
from pipeline.ingest.leaks import Shared, find_shared, read_shared
from pipeline.ingest.listing import prepare_domains, prepare_manifest
from pipeline.ingest.manifest import splits_of
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.layouts import find_pairs
from wseg_tf.data.pairs import Pair

CONFIGS = Path(__file__).parents[3] / "configs"
GATE = {"rules": [{"metric": "mean_iou", "floor": 0.1}]}


def prepare(folder: Path, data: Path, **changes: object) -> str:
    values = {
        "name": "a",
        "root": str(folder / "runs"),
        "data": {"dataset": "camvid", "path": str(data)},
        "gate": {**GATE, "allow_shared": changes.pop("allowed", [])},
    }
    values["data"].update(changes)
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return prepare_manifest(load_pipeline(str(path)))


def test_one_is_said_in_the_singular() -> None:
    assert Shared(("a",), ("b",)).sentence == (
        "1 of the images judged on is a training image (a); 1 drive is both "
        "trained and judged on (b)"
    )
    assert Shared(("a", "c"), ("b", "d")).sentence == (
        "2 of the images judged on are training images (a, c); 2 drives are "
        "both trained and judged on (b, d)"
    )


def test_other_drives_share_nothing(
    street_folder: Path, tmp_path: Path
) -> None:
    manifest = prepare(tmp_path, street_folder)
    assert read_shared(manifest) == Shared()
    assert read_shared(manifest).sentence == ""


def test_a_split_is_not_judged_on_itself(
    street_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigurationError, match="5 of the images judged on are training"
    ):
        prepare(tmp_path, street_folder, eval="train")
    with pytest.raises(ConfigurationError, match="2 drives are both"):
        prepare(tmp_path, street_folder, eval="train", allowed=["image"])
    manifest = prepare(
        tmp_path, street_folder, eval="train", allowed=["image", "drive"]
    )
    said = read_shared(manifest).sentence
    assert "5 of the images" in said
    assert "2 drives" in said


def test_the_same_bytes_under_another_name_are_the_same_image(
    street_folder: Path, tmp_path: Path
) -> None:
    for suffix in ("", "annot"):
        shutil.copy(
            street_folder / f"train{suffix}" / "A_2.png",
            street_folder / f"val{suffix}" / "C_9.png",
        )
    with pytest.raises(ConfigurationError, match=r"1 of the images.*\(C_9\)"):
        prepare(tmp_path, street_folder)
    # Another image of the same length is another image.
    train = find_pairs("camvid", str(street_folder), "train")
    content = bytearray((street_folder / "val" / "C_9.png").read_bytes())
    content[-20] ^= 1
    (street_folder / "val" / "C_9.png").write_bytes(content)
    judged = find_pairs("camvid", str(street_folder), "val")
    assert find_shared(train, judged).images == ()


def test_a_drive_of_both_splits_is_found(
    street_folder: Path, tmp_path: Path
) -> None:
    for suffix in ("", "annot"):
        place = street_folder / f"val{suffix}"
        (place / "C_1.png").rename(place / "A_7.png")
    with pytest.raises(ConfigurationError, match=r"1 drive is.*\(A\).*drive\]"):
        prepare(tmp_path, street_folder)
    manifest = prepare(tmp_path, street_folder, allowed=["drive"])
    assert read_shared(manifest) == Shared(drives=("A",))


def test_what_is_validated_on_is_neither_trained_nor_judged_on(
    street_folder: Path, tmp_path: Path
) -> None:
    def validate_on(split: str, name: str, as_name: str) -> None:
        for suffix in ("", "annot"):
            place = street_folder / f"own{suffix}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            own = street_folder / f"{split}{suffix}" / f"{name}.png"
            shutil.copy(own, place / f"{as_name}.png")

    validate_on("train", "A_2", "D_1")
    with pytest.raises(
        ConfigurationError, match=r"`data.validation`.*'own', of which D_1 are"
    ):
        prepare(tmp_path, street_folder, validation="own")
    validate_on("val", "C_1", "C_2")
    with pytest.raises(
        ConfigurationError,
        match=r"judged on is a training or validation image \(C_1\)",
    ):
        prepare(tmp_path, street_folder, validation="own")
    allowed = ["image", "drive"]
    manifest = prepare(
        tmp_path, street_folder, validation="own", allowed=allowed
    )
    assert splits_of(manifest) == ["eval", "train", "validation"]
    said = read_shared(manifest)
    assert said == Shared(("C_1",), ("C",), validated=True)
    assert "1 drive is both trained or validated and judged" in said.sentence
    # An image of its own shares nothing.
    validate_on("val", "C_1", "D_1")
    with (street_folder / "own" / "D_1.png").open("ab") as file:
        file.write(b"other")
    manifest = prepare(tmp_path, street_folder, validation="own")
    assert read_shared(manifest) == Shared(validated=True)
    assert read_shared(manifest).sentence == ""


def test_where_no_drive_is_told_none_is_shared(
    street_folder: Path, tmp_path: Path
) -> None:
    described = tmp_path / "flat.yaml"
    described.write_text(
        'classes: camvid\nimages: "{split}/{name}.png"\n'
        'labels: "{split}annot/{name}.png"\n'
    )
    manifest = prepare(tmp_path, street_folder, dataset=str(described))
    assert read_shared(manifest) == Shared()


def test_a_target_is_not_judged_on_what_either_domain_trains_on(
    street_folder: Path, tmp_path: Path
) -> None:
    path = str(CONFIGS / "day_to_dusk.yaml")
    own = [
        f"root={tmp_path}",
        "source.drives=[B]",
        "target.drives=[A]",
        "target.train=train",
        "target.held_out=0.5",
        "source.eval=train",
        "target.eval=train",
    ]
    listed = prepare_domains(load(path, own, data=str(street_folder)))
    assert read_shared(listed["target"]) == Shared(drives=("A",))
    with pytest.raises(ConfigurationError, match="drive is both trained"):
        prepare_domains(
            load(path, [*own, "gate.allow_shared=[]"], data=str(street_folder))
        )


def test_files_of_one_size_in_both_splits_are_compared_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pair(name: str, content: bytes, split: str) -> Pair:
        path = tmp_path / f"{split}_{name}.png"
        path.write_bytes(content)
        return Pair(name, str(path), "", split, f"drive of {split}", "toy")

    training = [
        pair("a", b"12", "t"),
        pair("b", b"3", "t"),
        pair("c", b"", "t"),
    ]
    judged = [
        pair("d", b"4", "j"),
        pair("e", b"123", "j"),
        pair("f", b"3", "j"),
    ]
    gone = Pair("g", str(tmp_path / "gone.png"), "", "t", "x", "toy")
    read: list[str] = []

    def read_bytes(path: str) -> bytes:
        read.append(Path(path).name)
        return Path(path).read_bytes()

    monkeypatch.setattr(leaks, "read_bytes", read_bytes)
    assert find_shared(training, judged) == Shared(images=("f",))
    assert sorted(read) == ["j_d.png", "j_f.png", "t_b.png"]
    # A file that is not there is still itself.
    assert find_shared([gone], [gone]) == Shared(("g",), ("x",))
