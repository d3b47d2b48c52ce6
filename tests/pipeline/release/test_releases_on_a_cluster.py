"""A metadata service of several pipelines: each decides about its own."""

from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2 as proto
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.release.lineage import open_store
from pipeline.release.releases import reset_baseline, rollback
from tests.pipeline.runners.kubeflow.metadata_service import metadata_service

CONFIG = str(Path(__file__).parents[3] / "configs" / "demo.yaml")
NAMES = ("demo", "other")


def put_pipeline(store: Any, root: Path, name: str) -> None:
    """Versions 1 and 2 of a pipeline, blessed and pushed."""
    kinds = {
        kind: store.put_artifact_type(proto.ArtifactType(name=kind))
        for kind in ("ModelBlessing", "PushedModel")
    }
    pusher = store.put_execution_type(proto.ExecutionType(name="Pusher"))
    context = proto.Context(
        name=name,
        type_id=store.put_context_type(proto.ContextType(name="pipeline")),
    )
    (place,) = store.put_contexts([context])
    for version in ("1", "2"):
        folder = root / name / "serving" / version
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text(name)
        blessing = proto.Artifact(type_id=kinds["ModelBlessing"])
        blessing.custom_properties["blessed"].int_value = 1
        pushed = proto.Artifact(type_id=kinds["PushedModel"])
        pushed.custom_properties["pushed_version"].string_value = version
        ids = store.put_artifacts([blessing, pushed])
        (run,) = store.put_executions([proto.Execution(type_id=pusher)])
        places = (proto.Event.INPUT, proto.Event.OUTPUT)
        store.put_events(
            [
                proto.Event(artifact_id=each, execution_id=run, type=kind)
                for each, kind in zip(ids, places, strict=True)
            ]
        )
        store.put_attributions_and_associations(
            [
                proto.Attribution(artifact_id=each, context_id=place)
                for each in ids
            ],
            [],
        )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = open_store(str(tmp_path / "cluster.sqlite"))
    for name in NAMES:
        put_pipeline(store, tmp_path, name)
    return tmp_path


def blessed(root: Path) -> list[int]:
    store = open_store(str(root / "cluster.sqlite"))
    return [
        artifact.custom_properties["blessed"].int_value
        for artifact in store.get_artifacts_by_type("ModelBlessing")
    ]


def test_a_rollback_revokes_in_the_service_what_it_withdraws(
    root: Path,
) -> None:
    with metadata_service(root / "cluster.sqlite") as port:
        arguments = [f"root={root}", f"--metadata=localhost:{port}"]
        done = CliRunner().invoke(app, ["rollback", CONFIG, *arguments])
    assert done.exit_code == 0, done.output
    assert not (root / "demo" / "serving" / "2").exists()
    # Of two pipelines with the same versions, only its own.
    assert blessed(root) == [1, 0, 1, 1]
    assert (root / "other" / "serving" / "2").exists()


def test_a_reset_forgets_the_baseline_of_one_pipeline(root: Path) -> None:
    with metadata_service(root / "cluster.sqlite") as port:
        where = f"localhost:{port}"
        done = reset_baseline(str(root / "other"), "new labels", where)
        assert len(done.blessings) == 2
        assert blessed(root) == [1, 1, 0, 0]
        with pytest.raises(ValueError, match="knows the pipeline 'third'"):
            reset_baseline(str(root / "third"), "", where)


def test_nothing_moves_where_nothing_answers(root: Path) -> None:
    with metadata_service(root / "cluster.sqlite") as port:
        pass
    with pytest.raises(Exception, match="connect"):
        rollback(str(root / "demo"), "", metadata=f"localhost:{port}")
    assert (root / "demo" / "serving" / "2").exists()
