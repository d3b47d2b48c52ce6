import subprocess
from pathlib import Path

import pytest

from pipeline.report import provenance


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    package = tmp_path / "pipeline"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_a_commit_and_whether_the_tree_is_it(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert provenance.commit(str(checkout)) == {
        "commit": head,
        "clean": True,
        "changed": 0,
    }
    (checkout / "pipeline" / "__init__.py").write_text("x = 1\n")
    (checkout / "new.py").write_text("")
    found = provenance.commit(str(checkout))
    assert found == {"commit": head, "clean": False, "changed": 2}


def test_a_package_installed_inside_another_checkout_has_no_commit(
    checkout: Path,
) -> None:
    installed = checkout / "venv" / "pipeline"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    unknown = {"commit": None, "clean": None, "changed": None}
    assert provenance.commit(str(installed.parent)) == unknown


def test_without_git_nothing_is_claimed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.commit(str(checkout))["commit"] is None


def test_a_run_is_named_with_who_and_what(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/wseg", "run", "a b.yaml"])
    monkeypatch.delenv(provenance.IN_CLUSTER, raising=False)
    found = provenance.started("2026")
    assert found["run"] == "2026"
    assert found["command"] == "wseg run 'a b.yaml'"
    assert " on " in found["by"]
    assert found["hardware"]["cores"] >= 1
    assert found["hardware"]["processor"]
    assert provenance.started("")["run"] is None
    assert "cluster" not in found["by"]
    monkeypatch.setenv(provenance.IN_CLUSTER, "10.0.0.1")
    own = provenance.started("2026")["by"]
    assert own.startswith(found["by"])
    assert "a step in a cluster" in own
    assert provenance.command(["/x/pipeline/__main__.py", "run"]) == (
        "python -m pipeline run"
    )
