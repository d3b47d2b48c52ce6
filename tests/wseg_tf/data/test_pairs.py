"""Images and labels find each other, or the first that does not is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.data import rows
from wseg_tf.data.checks import DataError
from wseg_tf.data.pairs import by_name, match

FILES = st.lists(
    st.builds(
        "{}/{}.png".format, st.sampled_from("xyz"), st.sampled_from("abcdeé")
    ),
    unique=True,
    max_size=12,
)


@pytest.fixture(autouse=True)
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_RUN", 4)
    monkeypatch.setattr(rows, "_BLOCK", 2)
    monkeypatch.setattr(rows, "_IN_MEMORY", 1)


def named(paths: list[str]) -> dict[str, str] | str:
    """Each name's path, or the refusal of the first path that repeats one."""
    found: dict[str, str] = {}
    for path in sorted(paths):
        name = path[2:-4]
        if name in found:
            return (
                f"{path}: duplicate name {name!r}, already used by "
                f"{found[name]}."
            )
        found[name] = path
    return found


def expected(images: list[str], labels: list[str]) -> list[object] | str:
    left, right = named(images), named(labels)
    for found in (left, right):
        if isinstance(found, str):
            return found
    assert isinstance(left, dict)
    assert isinstance(right, dict)
    for ours, others, kinds in (
        (left, right, "image without label"),
        (right, left, "label without image"),
    ):
        alone = sorted(ours.keys() - others.keys())
        if alone:
            more = f" and {len(alone) - 1} others like it"
            return (
                f"{ours[alone[0]]}: {kinds}{more * (len(alone) > 1)} "
                "(split 'val')."
            )
    if not left:
        return "data: no images in split 'val'."
    return [(name, left[name], right[name]) for name in sorted(left)]


@given(FILES, FILES)
def test_files_are_matched_as_two_dictionaries_are(
    images: list[str], labels: list[str]
) -> None:
    found: object
    try:
        found = [*match(by_name(images), by_name(labels), "val", "data")]
    except DataError as error:
        found = str(error)
    assert found == expected(images, labels)


@given(FILES)
def test_a_file_for_each_file_is_a_pair(images: list[str]) -> None:
    own = {path[2:]: path for path in images}
    if own:
        paths = [*own.values()]
        found = match(by_name(paths), by_name(reversed(paths)), "val", "data")
        assert [name for name, *_ in found] == sorted(k[:-4] for k in own)
