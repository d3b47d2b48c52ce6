"""What is installed and what is given away hold what their users need."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = (
    "import sys; from setuptools import build_meta as build;"
    "to = sys.argv[1]; build.build_wheel(to); build.build_sdist(to)"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist of what git tracks, as it lies here."""
    folder = tmp_path_factory.mktemp("package")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            copy = folder / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=folder / "source",
        check=True,
        capture_output=True,
    )
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        installed = {name: file.read(name) for name in file.namelist()}
    with tarfile.open(sdist) as file:
        given = {name.partition("/")[2] for name in file.getnames()}
    return installed, given


def tracked(*suffixes):
    return {
        str(path.relative_to(ROOT))
        for package in ("wseg_tf", "pipeline")
        for path in (ROOT / package).rglob("*")
        if path.suffix in suffixes or path.name == "py.typed"
    }


def test_the_wheel_holds_both_packages_whole_and_nothing_else(built):
    installed, _ = built
    wanted = tracked(".py", ".yaml", ".j2", ".pbtxt")
    assert {name for name in installed if ".dist-info/" not in name} == wanted


def test_the_sdist_holds_what_the_documents_name(built):
    _, given = built
    for name in (
        "configs/demo.yaml",
        "docs/losses.md",
        "docs/images/demo.png",
        "locks/python310.txt",
        "locks/install.sh",
        "tests/test_package.py",
        "Makefile",
        "Dockerfile",
        "LICENSE",
        "CITATION.cff",
    ):
        assert name in given


def test_the_metadata_say_who_what_and_for_whom(built):
    installed, _ = built
    (name,) = (each for each in installed if each.endswith("/METADATA"))
    metadata = installed[name].decode()
    for line in (
        "Name: wseg_tf",
        "Requires-Python: >=3.10",
        "Requires-Dist: tensorflow>=2.15",
        "Provides-Extra: pipeline",
        "Classifier: Typing :: Typed",
    ):
        assert line in metadata.splitlines()
    assert "# wseg_tf" in metadata
