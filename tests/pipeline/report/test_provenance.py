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
    found = provenance.started("2026")
    assert found["run"] == "2026"
    assert found["command"] == "wseg run 'a b.yaml'"
    assert " on " in found["by"]
    assert provenance.started("")["run"] is None
    assert provenance.command(["/x/pipeline/__main__.py", "run"]) == (
        "python -m pipeline run"
    )


def test_a_step_of_a_cluster_names_who_started_it_not_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = ["/bin/wseg", "submit", "demo.yaml", "a={b: {{c: 1}}}"]
    monkeypatch.setattr("sys.argv", typed)
    monkeypatch.setattr(provenance, "who", lambda: "ann on a laptop")
    monkeypatch.setattr(provenance, "_git", lambda folder, *asked: "abc")
    given = provenance.origin()
    assert "{{" not in given  # Argo would fill it in.
    monkeypatch.setattr("sys.argv", ["/tfx/entrypoint.py"])
    monkeypatch.setattr(provenance, "who", lambda: "root on demo-7")
    monkeypatch.setattr(provenance, "_git", lambda folder, *asked: None)
    found = provenance.started("2026", given)
    assert found["by"] == "ann on a laptop"
    assert found["command"] == "wseg submit demo.yaml 'a={b: {{c: 1}}}'"
    assert (found["commit"], found["changed"]) == ("abc", 1)
    # An image of other sources: what it runs is not that commit.
    monkeypatch.setattr(provenance, "source_digest", lambda: "other")
    found = provenance.started("2026", given)
    assert found["by"] == "ann on a laptop"
    assert (found["commit"], found["clean"]) == (None, None)


def test_who_compiled_a_workflow_did_not_start_its_runs() -> None:
    given = provenance.origin(provenance.compiled_by())
    by = provenance.started("2026", given)["by"]
    assert by.startswith("somebody whom Kubeflow knows; compiled by ")
