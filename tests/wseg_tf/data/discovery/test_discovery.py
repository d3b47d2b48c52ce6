"""What `discover` finds is what the door then reads: every pair, and alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.wseg_tf.data.discovery.folders import areas, ids, photograph
from wseg_tf.data.checks import DataError
from wseg_tf.data.discovery import describe, discover
from wseg_tf.data.inspection import inspect
from wseg_tf.data.layouts import find_pairs, layout

# Split, drive and number of a frame, to the paths of its image and label.
Layout = Callable[[str, str, int], tuple[str, str]]
FRAMES = [
    ("train", "north", 7),
    ("train", "north", 8),
    ("train", "south", 7),
    ("train", "south", 19),
    ("val", "west end", 101),
    ("val", "west end", 7),
]

LAYOUTS: dict[str, Layout] = {
    "as CamVid": lambda s, d, n: (
        f"{s}/{d}_{n:05}.png",
        f"{s}annot/{d}_{n:05}.png",
    ),
    "as Cityscapes": lambda s, d, n: (
        f"leftImg8bit/{s}/{d}/{d}_{n:06}_000019_leftImg8bit.png",
        f"gtFine/{s}/{d}/{d}_{n:06}_000019_gtFine_labelIds.png",
    ),
    "split first": lambda s, d, n: (
        f"{s}/images/{d}_{n}.jpg",
        f"{s}/labels/{d}_{n}.png",
    ),
    "split last": lambda s, d, n: (
        f"my data/rgb/{s}/{d}_{n}.jpg",
        f"my data/semantic masks/{s}/{d}_{n}.png",
    ),
    "split in a folder's name, twice": lambda s, d, n: (
        f"{s}/{s}_images/{d} {n}.jpg",
        f"{s}/{s}_masks/{d} {n}.png",
    ),
    "drives above": lambda s, d, n: (
        f"{d}/{s}/camera/{n}.jpg",
        f"{d}/{s}/truth/{n}.png",
    ),
    "one folder, jpg and png": lambda s, d, n: (
        f"{s}/{d}_{n}.jpg",
        f"{s}/{d}_{n}_mask.png",
    ),
    "one folder, png alone": lambda s, d, n: (
        f"{s}/{d}_{n}.png",
        f"{s}/{d}_{n}_L.png",
    ),
    "one folder, both with a word": lambda s, d, n: (
        f"{s}/{d}_{n}_left.png",
        f"{s}/{d}_{n}_label.png",
    ),
    "one folder, words before": lambda s, d, n: (
        f"{s}/frame {d}-{n}.png",
        f"{s}/mask {d}-{n}.png",
    ),
    "odd names": lambda s, d, n: (
        f"Bilder [neu]/{s}/Straße ({n}) über {d}, 50% #1.jpg",
        f"Masken {{alt}}/{s}/Straße ({n}) über {d}, 50% #1.png",
    ),
    "endings of all kinds": lambda s, d, n: (
        f"{s}/img/{d}_{n}.{('jpg', 'PNG', 'jpeg', 'JPG')[n % 4]}",
        f"{s}/gt/{d}_{n}.png",
    ),
    "a word before the one, another behind the other": lambda s, d, n: (
        f"{s}/pictures/{d}/img-{n:03}.jpg",
        f"{s}/truth/{d}/{n:03}.gt.png",
    ),
    "names with dots": lambda s, d, n: (
        f"{s}/img/{d}.v1.{n}.jpg",
        f"{s}/gt/{d}.v1.{n}.png",
    ),
    "another word for the splits": lambda s, d, n: (
        f"images/{s}ing/{d}{n}.jpg".replace("valing", "validation"),
        f"labels/{s}ing/{d}{n}.png".replace("valing", "validation"),
    ),
}


def write(folder: Path, lay: Layout) -> set[tuple[str, str]]:
    """Writes the frames; returns the paths of image and label of each."""
    found = set()
    for k, frame in enumerate(FRAMES):
        image, label = (str(folder / each) for each in lay(*frame))
        photograph(Path(image), seed=k)
        ids(Path(label), areas(0, 1, 2, 255))
        found.add((image, label))
    return found


def pairs_of(folder: Path, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """Reads the folder by what was found out: split, image and label."""
    description = tmp_path / "found.yaml"
    description.write_text(describe(discover(str(folder))))
    for pair in find_pairs(str(description), str(folder)):
        yield pair.split, pair.image, pair.label


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_pair_of_a_layout_is_found(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "mes données [1]"
    expected = write(folder, LAYOUTS[name])
    found = discover(str(folder))
    read = {*pairs_of(folder, tmp_path)}
    assert {(image, label) for _, image, label in read} == expected
    assert {split for split, _, _ in read} == {found.train, found.eval}
    assert found.train.startswith("train")
    assert found.eval.startswith("val")
    for split, image, _ in read:
        assert f"{'train' if split == found.train else 'val'}" in image
    # And the door lets all of it in.
    description = str(tmp_path / "found.yaml")
    pairs = find_pairs(description, str(folder))
    assert inspect(pairs, layout(description)).problems == ()


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_image_without_a_label_is_left_out_and_told_of(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    expected = write(folder, LAYOUTS[name])
    image, label = (
        str(folder / each) for each in LAYOUTS[name]("train", "south", 19)
    )
    Path(label).unlink()
    read = {*pairs_of(folder, tmp_path)}
    assert {(own, its) for _, own, its in read} == expected - {(image, label)}
    text = (tmp_path / "found.yaml").read_text()
    assert "; 1 image left out" in text
    assert f'label: 1, such as "{Path(image).relative_to(folder)}"' in text
    assert yaml.safe_load(text)["unlabelled"] == "skip"


def test_a_picture_that_no_frame_is_called_like_is_no_frame(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    expected = write(folder, LAYOUTS["split first"])
    photograph(folder / "train" / "images" / "preview.jpg")
    read = {*pairs_of(folder, tmp_path)}
    assert {(image, label) for _, image, label in read} == expected
    assert "unlabelled" not in (tmp_path / "found.yaml").read_text()


def test_files_that_are_neither_are_left_out(tmp_path: Path) -> None:
    expected = write(tmp_path / "data", LAYOUTS["split first"])
    train = tmp_path / "data" / "train"
    photograph(train / "thumbnails" / "one.jpg")
    photograph(train / "images" / "._north_7.jpg")
    photograph(tmp_path / "data" / ".cache" / "train" / "images" / "a.jpg")
    (train / "images" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "data" / "notes.txt").write_text("north_7\n")
    read = {*pairs_of(tmp_path / "data", tmp_path)}
    assert {(image, label) for _, image, label in read} == expected


def test_ids_are_taken_before_colours_and_instances(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write(folder, LAYOUTS["as Cityscapes"])
    for label in [*folder.glob("gtFine/*/*/*_labelIds.png")]:
        instances = label.name.replace("labelIds", "instanceIds")
        ids(label.with_name(instances), areas(0, 26001, 26002))
        ids(label, areas(0, 7, 24))
    found = discover(str(folder))
    assert "labelIds" in found.match.labels.text
    assert found.meaning.classes.name == "cityscapes"


def test_a_split_without_labels_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    expected = write(folder, LAYOUTS["split first"])
    photograph(folder / "test" / "images" / "a_1.jpg")
    found = discover(str(folder))
    assert {found.train, found.eval} == {"train", "val"}
    description = tmp_path / "found.yaml"
    description.write_text(describe(found))
    pairs = find_pairs(str(description), str(folder))
    assert {(pair.image, pair.label) for pair in pairs} == expected


def test_drives_are_drawn_where_nothing_tells_splits(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for drive in "abcde":
        for n in range(4):
            photograph(folder / drive / "rgb" / f"{n}.jpg", seed=n)
            ids(folder / drive / "seg" / f"{n}.png", areas(0, 1))
    read = [*pairs_of(folder, tmp_path)]
    drives = {
        split: {Path(image).parts[-3] for own, image, _ in read if own == split}
        for split in ("train", "val")
    }
    assert len(read) == 20
    assert len(drives["val"]) == 1
    assert drives["train"] == {*"abcde"} - drives["val"]
    assert discover(str(folder)).drives == drives


def test_frames_without_drives_are_parted_into_runs(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for n in range(40):
        photograph(folder / f"frame{n:04}.png", seed=n)
        ids(folder / f"frame{n:04}_mask.png", areas(0, 1))
    read = [*pairs_of(folder, tmp_path)]
    judged = sorted(
        int(Path(image).stem[-4:]) for split, image, _ in read if split == "val"
    )
    assert len(read) == 40
    # A run of ten frames that follow each other, not every fifth frame.
    assert judged == [*range(judged[0], judged[0] + 10)]


def test_drives_that_are_called_as_splits_are_drives(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for drive in ("train station", "test track", "harbour"):
        for n in range(4):
            photograph(folder / drive / "rgb" / f"{n}.jpg", seed=n)
            ids(folder / drive / "seg" / f"{n}.png", areas(0, 1))
    read = [*pairs_of(folder, tmp_path)]
    assert len(read) == 12
    assert {split for split, _, _ in read} == {"train", "val"}


def test_the_larger_drives_are_trained_on(tmp_path: Path) -> None:
    for name in ("ab", "ba"):
        folder = tmp_path / name
        for drive, count in zip(name, (20, 4), strict=True):
            for n in range(count):
                photograph(folder / drive / "rgb" / f"{n}.jpg", seed=n)
                ids(folder / drive / "seg" / f"{n}.png", areas(0, 1))
        assert discover(str(folder)).drives == {
            "train": {name[0]},
            "val": {name[1]},
        }


def test_lists_tell_the_splits(tmp_path: Path) -> None:
    folder = tmp_path / "VOC2012"
    names = [f"2007_{n:06}" for n in range(9)]
    for k, name in enumerate(names):
        photograph(folder / "JPEGImages" / f"{name}.jpg", seed=k)
        if k < 6:  # Most images of VOC have no label.
            ids(folder / "SegmentationClass" / f"{name}.png", areas(0, 15, 255))
    main, lists = (
        folder / "ImageSets" / kind for kind in ("Main", "Segmentation")
    )
    for place in (main, lists):
        place.mkdir(parents=True)
    (main / "train.txt").write_text("\n".join(names[:7]))
    (main / "val.txt").write_text("\n".join(names[7:]))
    (lists / "train.txt").write_text("\n".join(names[:4]) + "\n")
    (lists / "val.txt").write_text("\n".join(names[4:6]) + "\n")
    (lists / "trainval.txt").write_text("\n".join(names[:6]) + "\n")
    read = [*pairs_of(folder, tmp_path)]
    assert [split for split, _, _ in read] == ["train"] * 4 + ["val"] * 2
    assert discover(str(folder)).left_out == 3


def test_drives_that_both_splits_have_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for split, drive, n in [*FRAMES, ("val", "north", 9)]:
        photograph(folder / split / f"{drive}_{n}.png", seed=n)
        ids(folder / f"{split}annot" / f"{drive}_{n}.png", areas(0, 1))
    assert discover(str(folder)).shared_drives == ["north"]


def labels_alone(folder: Path) -> None:
    for n in range(3):
        ids(folder / "labels" / f"{n}.png", areas(0, 1))


def images_alone(folder: Path) -> None:
    for n in range(3):
        photograph(folder / "images" / f"{n}.jpg", seed=n)


def label_alone(folder: Path) -> None:
    write(folder, LAYOUTS["split first"])
    ids(folder / "val" / "labels" / "east_99.png", areas(0, 1))


def other_names(folder: Path) -> None:
    images_alone(folder)
    for name in "xyz":
        ids(folder / "labels" / f"{name}.png", areas(0, 1))


def two_labels(folder: Path) -> None:
    write(folder, LAYOUTS["split first"])
    for label in [*folder.glob("*/labels/*.png")]:
        ids(label.parents[1] / "coarse" / label.name, areas(0, 1))


def two_images(folder: Path) -> None:
    write(folder, LAYOUTS["split first"])
    for image in [*folder.glob("*/images/*.jpg")]:
        photograph(image.parents[1] / "right" / image.name, seed=9)


def compressed(folder: Path) -> None:
    images_alone(folder)
    for n in range(3):
        photograph(folder / "masks" / f"{n}.jpg", seed=n)


def one_value(folder: Path) -> None:
    for n in range(20, 50):
        photograph(folder / "rgb" / f"{n}.jpg", seed=n)
        ids(folder / "labels" / f"{n}.png", areas(4))


def one_pair(folder: Path) -> None:
    photograph(folder / "rgb" / "a.jpg")
    ids(folder / "labels" / "a.png", areas(0, 1))


def instances(folder: Path) -> None:
    for n in range(20, 50):
        photograph(folder / "rgb" / f"{n}.jpg", seed=n)
        many = range(1000 * n, 1000 * n + 60)
        ids(folder / "labels" / f"{n}.png", areas(*many))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "expected images and labels.*none"),
        (
            labels_alone,
            r"no images among .* 3, such as labels/0\.png",
        ),
        (
            images_alone,
            r"no labels among .* 3, such as images/0\.jpg",
        ),
        (label_alone, r"labels/east_99\.png: expected a partner, as 6 other"),
        (other_names, r"images/0\.jpg and labels/x\.png, for example"),
        (two_labels, r"several: .*coarse.* and .*labels.*--labels"),
        (two_images, r"several: .*images.* and .*right.*--images"),
        (compressed, r"masks/0\.jpg has too many colours, as a JPEG"),
        (one_value, "labels of two classes or more. Found: 4 everywhere"),
        (one_pair, "something to tell a split to judge on"),
        (instances, "more than 1000 ids, which are instances"),
    ],
)
def test_what_cannot_be_told_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "data"
    make(folder)
    with pytest.raises(DataError, match=said) as caught:
        discover(str(folder))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith((str(folder), "labels/"))


def test_a_part_of_the_path_chooses(tmp_path: Path) -> None:
    for make, choice in (
        (two_labels, {"labels": "/labels/"}),
        (two_images, {"images": "/right/"}),
    ):
        folder = tmp_path / make.__name__
        make(folder)
        found = discover(str(folder), **choice)
        ((argument, part),) = choice.items()
        assert part in getattr(found.match, argument).text
        with pytest.raises(DataError, match=f"{argument} with 'nowhere'"):
            discover(str(folder), **{argument: "nowhere"})


def test_the_text_is_yaml_whatever_the_folder_is_called(
    tmp_path: Path,
) -> None:
    for name, expected in (
        ("2024: Straße #3", "data_2024_strae_3"),
        ("no", "no"),
        ("日本", "data"),
    ):
        folder = tmp_path / name
        write(folder, LAYOUTS["as CamVid"])
        text = describe(discover(str(folder)))
        assert yaml.safe_load(text)["dataset"] == expected
