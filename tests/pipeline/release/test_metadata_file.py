"""Metadata that is gone, damaged or held is told, and nothing is lost by it."""

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.release.lineage import open_store
from pipeline.release.metadata_file import check_metadata, fault, made
from wseg_tf.data.checks import DataError
from wseg_tf.locks import InUseError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "metadata.sqlite"
    open_store(str(path))
    return path.read_bytes()


def root_of(folder: Path, number: int = 7) -> Path:
    (folder / "pipeline" / "Trainer" / "model" / str(number)).mkdir(
        parents=True
    )
    return folder


def test_a_first_run_needs_none(tmp_path: Path) -> None:
    check_metadata(str(tmp_path / "metadata.sqlite"), str(tmp_path))


def test_what_is_whole_is_used(tmp_path: Path, whole: bytes) -> None:
    path = root_of(tmp_path) / "metadata.sqlite"
    path.write_bytes(whole)
    assert fault(str(path)) == ""
    check_metadata(str(path), str(tmp_path))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [None, b""])
def test_what_is_gone_is_told_where_runs_left_something(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "metadata.sqlite"
    if content is not None:
        path.write_bytes(content)
    assert fault(str(path)) is None
    check_metadata(str(path), str(tmp_path))
    root_of(tmp_path)
    with pytest.raises(DataError, match=r"was deleted or emptied.*`wseg repa"):
        check_metadata(str(path), str(tmp_path))


def test_a_database_without_tables_is_none(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE some (one)")
    connection.execute("DROP TABLE some")
    connection.commit()
    connection.close()
    assert path.stat().st_size
    assert fault(str(path)) is None


@settings(max_examples=60, deadline=None)
@given(
    cut=st.integers(1, 100_000),
    content=st.sampled_from(["cut", "zeros", "text", "ones"]),
)
def test_what_is_damaged_is_told(
    tmp_path_factory: pytest.TempPathFactory,
    whole: bytes,
    cut: int,
    content: str,
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "metadata.sqlite"
    kept = cut % (len(whole) - 1) + 1
    rest = len(whole) - kept
    damaged = {
        "cut": whole[:kept],
        "zeros": whole[:kept] + bytes(rest),
        "text": (b"not a database " * rest)[:kept],
        "ones": b"\xff" * rest + whole[rest:],
    }[content]
    path.write_bytes(damaged)
    # Zeros in place of zeros are no damage.
    found = fault(str(path), patience=0)
    assert found or damaged == whole or content == "zeros"
    if found:
        with pytest.raises(DataError, match=r"metadata.sqlite: .* Found: a "):
            check_metadata(str(path), str(path.parent))


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "metadata.sqlite").mkdir()
    (tmp_path / "metadata.sqlite" / "file").write_text("")
    assert "regular" in str(fault(str(tmp_path / "metadata.sqlite")))


def test_who_holds_it_is_waited_for(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "metadata.sqlite"
    path.write_bytes(whole)
    other = sqlite3.connect(path, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    said: list[str] = []

    def show(line: str) -> None:
        said.append(line)
        threading.Timer(0.2, other.rollback).start()

    assert fault(str(path), show, 30) == ""
    assert said == [f"Another program holds {path}; waiting 30 s."]


def test_who_never_lets_go_is_named(tmp_path: Path, whole: bytes) -> None:
    path = root_of(tmp_path) / "metadata.sqlite"
    path.write_bytes(whole)
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InUseError, match="another program holds it"):
        check_metadata(str(path), str(tmp_path), lambda line: None, 0.1)
    other.close()


def test_numbers_are_of_executions(tmp_path: Path) -> None:
    for number in (3, 12):
        root_of(tmp_path, number)
    (tmp_path / "pipeline" / "Trainer" / "model" / "latest").mkdir()
    (tmp_path / "serving" / "model" / "99").mkdir(parents=True)
    assert made(str(tmp_path)) == [3, 12]
