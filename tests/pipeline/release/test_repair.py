"""Lost metadata: the next run knows what was released and what taken back."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx.types import artifact_utils, standard_artifacts
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.gate.baseline import WITHDRAWN, LastBlessedModel
from pipeline.gate.digests import DIGEST, digest
from pipeline.release.blessings import Blessings
from pipeline.release.lineage import open_store
from pipeline.release.metadata_file import fault
from pipeline.release.model_files import versions
from pipeline.release.releases import reset_baseline, rollback
from pipeline.release.repair import repair
from tests.pipeline.release.test_releases import push, write_model

CONFIG = Path(__file__).parents[3] / "configs" / "demo.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three versions, of models trained by executions 6, 16 and 26."""
    folder = tmp_path / "demo"
    for number, content in ((6, "a"), (16, "b"), (26, "c")):
        model = folder / "pipeline" / "Trainer" / "model" / str(number)
        write_model(model / "Format-Serving", content)
        push(folder, content)
    return folder


def mend(root: Path) -> list[Any]:
    return repair(str(root), str(root / "metadata.sqlite"))


def number(root: Path, place: int) -> int:
    return versions(str(root / "serving"))[place]


def baseline(root: Path) -> str | None:
    """The model that TFX's resolver would find."""
    store = open_store(str(root / "metadata.sqlite"))
    found = {}
    for name, kind in (
        ("model", standard_artifacts.Model),
        ("model_blessing", standard_artifacts.ModelBlessing),
    ):
        of_type = store.get_artifact_type(kind.TYPE_NAME)
        found[name] = [
            artifact_utils.deserialize_artifact(of_type, each)
            for each in store.get_artifacts_by_type(kind.TYPE_NAME)
        ]
        assert all(each.state == "published" for each in found[name])
    models = LastBlessedModel().resolve_artifacts(store, found)["model"]
    if not models:
        return None
    [model] = models
    folder = Path(model.uri) / "Format-Serving"
    assert model.get_string_custom_property(DIGEST) == digest(str(folder))
    return (folder / "variables" / "data").read_text()


def test_the_newest_served_version_is_the_baseline(root: Path) -> None:
    noted = mend(root)
    assert [each.version for each in noted] == versions(str(root / "serving"))
    assert baseline(root) == "c"
    assert fault(str(root / "metadata.sqlite")) == ""


def test_a_withdrawn_version_is_none_and_can_be_restored(root: Path) -> None:
    last = number(root, -1)
    rollback(str(root), "blind at dusk")
    found = {each.version: each for each in mend(root)}
    assert (found[last].revoked, found[last].withdrawn) == (
        "blind at dusk",
        True,
    )
    assert baseline(root) == "b"
    blessings = Blessings(str(root), None)
    [own] = blessings.of([last])
    assert own.custom_properties[WITHDRAWN].int_value == 1
    rollback(str(root), "a mistake", to=last)
    assert baseline(root) == "c"


def test_a_reset_forgets_those_before_alone(root: Path) -> None:
    reset_baseline(str(root), "other cameras")
    mend(root)
    assert baseline(root) is None
    (root / "metadata.sqlite").unlink()
    model = root / "pipeline" / "Trainer" / "model" / "36"
    write_model(model / "Format-Serving", "d")
    push(root, "d")
    mend(root)
    assert baseline(root) == "d"


def test_what_was_restored_after_a_reset_counts_again(root: Path) -> None:
    last = number(root, -1)
    rollback(str(root), "blind at dusk")
    reset_baseline(str(root), "other cameras")
    mend(root)
    assert baseline(root) is None
    rollback(str(root), "it was the camera", to=last)
    (root / "metadata.sqlite").unlink()
    mend(root)
    assert baseline(root) == "c"


def test_a_model_that_is_gone_or_another_is_no_baseline(root: Path) -> None:
    trained = root / "pipeline" / "Trainer" / "model"
    shutil.rmtree(trained / "26")
    assert [each.model is None for each in mend(root)] == [False, False, True]
    assert baseline(root) == "b"
    data = trained / "16" / "Format-Serving" / "variables" / "data"
    data.write_text("swapped")
    mend(root)
    assert baseline(root) == "a"


@pytest.mark.parametrize("released", [True, False])
def test_later_executions_are_numbered_past_those_there(
    root: Path, released: bool
) -> None:
    if not released:
        shutil.rmtree(root / "serving")
    mend(root)
    store = open_store(str(root / "metadata.sqlite"))
    from ml_metadata.proto import metadata_store_pb2

    kind = store.put_execution_type(
        metadata_store_pb2.ExecutionType(name="one")
    )
    [own] = store.put_executions([metadata_store_pb2.Execution(type_id=kind)])
    assert own > 26


def test_what_was_there_is_kept_each_time(root: Path) -> None:
    path = root / "metadata.sqlite"
    for content in ("damaged", "again"):
        path.write_text(content)
        mend(root)
    kept = sorted(path.parent.glob("metadata.sqlite.damaged-*"))
    assert [each.read_text() for each in kept] == ["damaged", "again"]


def test_the_command_repairs_what_is_lost_alone(root: Path) -> None:
    def ask() -> tuple[int, str]:
        given = ["repair", str(CONFIG), f"root={root.parent}"]
        done = CliRunner().invoke(app, given)
        return done.exit_code, done.output

    code, said = ask()
    assert code == 0
    assert f"Version {number(root, -1)}: a baseline" in said
    before = (root / "metadata.sqlite").read_bytes()
    code, said = ask()
    assert (code, "nothing to repair" in said) == (0, True)
    assert (root / "metadata.sqlite").read_bytes() == before
    (root / "metadata.sqlite").write_text("damaged")
    assert ask()[0] == 0
    assert baseline(root) == "c"


@pytest.mark.parametrize(
    "command",
    [["report"], ["rollback"], ["baseline", "--reset=x"], ["run"]],
)
def test_every_command_says_that_metadata_are_damaged(
    root: Path, command: list[str]
) -> None:
    mend(root)
    path = root / "metadata.sqlite"
    path.write_bytes(path.read_bytes()[:30_000])
    given = [*command, str(CONFIG), f"root={root.parent}"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 2
    assert f"{path}: expected what earlier runs noted" in done.output
    assert "`wseg repair CONFIG`" in done.output
    assert len(versions(str(root / "serving"))) == 3


def test_nothing_to_repair_where_nothing_ran(tmp_path: Path) -> None:
    given = ["repair", str(CONFIG), f"root={tmp_path}"]
    done = CliRunner().invoke(app, given)
    assert (done.exit_code, "nothing to repair" in done.output) == (0, True)
    assert not (tmp_path / "demo" / "metadata.sqlite").exists()
