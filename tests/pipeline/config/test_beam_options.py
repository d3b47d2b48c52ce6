"""What Beam is told, refused in a sentence before anything starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import USER_ERROR
from pipeline.config.beam_options import (
    IN_MEMORY,
    check_options,
    parse_options,
    with_plugins,
)
from pipeline.config.loading import load
from wseg_tf.configuration import ConfigurationError

CONFIG = Path(__file__).parents[3] / "configs" / "demo.yaml"
REMOTE = ("gs://streets/runs", "gs://streets/camvid")
DATAFLOW = {
    "runner": "DataflowRunner",
    "project": "streets-1",
    "region": "europe-west1",
    "temp_location": "gs://streets/temp",
    "sdk_container_image": "registry.example.com/wseg-worker:1",
}


def arguments(**changes: str | None) -> list[str]:
    """Dataflow's options; one that is None is left out."""
    options = {**DATAFLOW, **changes}
    return [f"--{k}={v}" for k, v in options.items() if v is not None]


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
        arguments(),
        arguments(runner="dataflow", staging_location="gs://streets/staging"),
        arguments(max_num_workers="20", machine_type="n1-standard-4"),
        ["--runner=FlinkRunner", "--flink_master=flink:8081"],
        ["--runner=PrismRunner"],
        [
            "--runner=PortableRunner",
            "--job_endpoint=localhost:8099",
            "--environment_type=EXTERNAL",
            "--environment_config=localhost:50000",
        ],
    ],
)
def test_what_could_run_passes(given: list[str]) -> None:
    check_options(given, *REMOTE)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (arguments(project=None), "`--project`. Expected the id of a project"),
        (arguments(project="123"), "not project number"),
        (arguments(region=None), "`--region`. Expected where the workers run"),
        (arguments(temp_location=None), "`--temp_location`. Expected a folder"),
        (arguments(temp_location="/tmp/t"), "Invalid GCS path (/tmp/t)"),
        (arguments(staging_location="/tmp/s"), "Invalid GCS path (/tmp/s)"),
        (arguments(sdk_container_image=None), "`--sdk_container_image`. Exp"),
        (
            arguments(sdk_container_image=None, setup_file="no/setup.py"),
            "`--setup_file`. Expected a file setup.py",
        ),
        ([*arguments(), "--save_main_session"], "`--save_main_session`. Exp"),
        ([*arguments(), "--streaming"], "`--streaming`. Expected none"),
        (arguments(job_name="Nightly_1"), "Invalid job_name (Nightly_1)"),
        (arguments(num_workers="9", max_num_workers="3"), "cannot exceed"),
        (arguments(num_workers="two"), "invalid int value: 'two'"),
        (arguments(machine_typ="n1"), "did you mean --machine_type?"),
        (["--runner=Datafow"], "`--runner`. Expected one of ["),
        (["--runner=DaskRunner"], "`--runner`. Expected one that writes"),
        (["--runner=PortableRunner"], "`--job_endpoint`. Expected HOST:PORT"),
        (
            ["--runner=FlinkRunner", "--environment_type=EXTERNAL"],
            "`--environment_config`. Expected HOST:PORT of a worker pool",
        ),
        (
            ["--runner=FlinkRunner", "--environment_type=KUBERNETES"],
            "`--environment_type`. Expected one of ['DOCKER'",
        ),
    ],
)
def test_what_could_not_run_is_one_sentence(
    given: list[str], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        check_options(given, *REMOTE)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_dataflow_needs_paths_that_its_workers_see() -> None:
    with pytest.raises(ConfigurationError, match="Expected a remote folder"):
        check_options(arguments(), "gs://streets/runs", "/data/camvid")


def test_a_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    options = ", ".join(arguments(region=None))
    changes = [f"root={tmp_path}", f"beam=[{options}]"]
    done = CliRunner().invoke(app, ["run", str(CONFIG), *changes])
    assert done.exit_code == USER_ERROR
    assert "Expected where the workers run" in done.output
    assert not list(tmp_path.iterdir())


def test_workers_are_told_to_import_what_opens_s3() -> None:
    given = with_plugins(["--direct_num_workers=2"], "s3://streets/runs")
    options = parse_options(given).get_all_options()
    assert options["beam_plugins"] == ["tensorflow_io"]
    assert with_plugins([], *REMOTE) == []


def test_one_key_shares_the_work_of_one_machine() -> None:
    path = str(CONFIG)
    alone, shared = load(path), load(path, ["workers=3"])
    assert alone.beam == load(path, ["workers=1"]).beam == IN_MEMORY
    parsed = parse_options(shared.beam).get_all_options()
    assert parsed["direct_running_mode"] == "multi_processing"
    assert parsed["direct_num_workers"] == 3
    # What was resolved is read again as it is.
    assert load(path, ["workers=3", f"beam={shared.beam}"]) == shared
    with pytest.raises(ConfigurationError, match=r"`workers`.*beside `beam`"):
        load(path, ["workers=2", "beam=[--direct_num_workers=2]"])
    for few in ("0", "-1", "1.5"):
        with pytest.raises(ConfigurationError, match="workers"):
            load(path, [f"workers={few}"])
