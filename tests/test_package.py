"""What is installed and what is given away hold what their users need."""

import re
import tarfile
import zipfile
from pathlib import Path

import pytest

import wseg_tf
from tests.wheels import build

ROOT = Path(__file__).parents[1]
SHARE = "wseg_tf-{}.data/data/share/wseg_tf/"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    wheel, sdist = build(tmp_path_factory.mktemp("package"))
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
    share = SHARE.format(wseg_tf.__version__)
    assert {
        name
        for name in installed
        if ".dist-info/" not in name and not name.startswith(share)
    } == wanted


def test_the_wheel_brings_what_its_users_copy_and_read(built):
    installed, _ = built
    share = SHARE.format(wseg_tf.__version__)
    there = {
        name.removeprefix(share): content
        for name, content in installed.items()
        if name.startswith(share)
    }
    wanted = {
        str(path.relative_to(ROOT))
        for pattern in (
            "*.md",
            "configs/**/*.yaml",
            "docs/**/*.md",
            "docs/**/*.ipynb",
            "docs/images/*.png",
            "locks/*.txt",
        )
        for path in ROOT.glob(pattern)
    }
    assert {*there} == wanted
    for name in wanted:
        assert there[name] == (ROOT / name).read_bytes()


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
        "mkdocs.yml",
        "setup.py",
        "docs/hooks.py",
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
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.10",
        "Requires-Dist: tensorflow>=2.15",
        "Provides-Extra: pipeline",
        "Classifier: Typing :: Typed",
    ):
        assert line in metadata.splitlines()
    assert "# wseg_tf" in metadata
    assert "choose D (`docs/how-to/choose-d.md`)" in metadata
    assert re.findall(r"\]\((?!https?:)|<!--", metadata) == []
