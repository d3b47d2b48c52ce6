"""Submissions to a small HTTP server that answers as Kubeflow Pipelines."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.commands.screen import USER_ERROR
from pipeline.config.kubeflow_options import KubeflowOptions
from pipeline.report.provenance import origin
from pipeline.runners.kubeflow.submit import find_host, read_package
from tests.pipeline.runners.kubeflow.commands import PARAMETERS, wseg
from tests.pipeline.runners.small import ARGO, SMALL, TARGET, on_cluster

CONFIG = str(Path(__file__).parents[4] / "configs" / "demo.yaml")
API = "/apis/v1beta1" if ARGO else "/apis/v2beta1"
if ARGO:
    EXPERIMENT = {"id": "experiment-1", "name": "demo"}
    STARTED: Any = {"run": {"id": "run-1"}}
else:
    EXPERIMENT = {"experiment_id": "experiment-1", "display_name": "demo"}
    STARTED = {"run_id": "run-1"}


class Kubeflow:
    """The service: what it was asked, and what it refuses with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.refusal: tuple[int, str] | None = None
        self.login = False
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                self._answer(json.loads(self.rfile.read(length)))

            def _answer(self, body: Any) -> None:
                path = self.path.partition("?")[0]
                headers = {k.lower(): v for k, v in self.headers.items()}
                service.asked.append((self.command, path, headers, body))
                code, text = service.answer(self.command, path)
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("localhost", 0), Handler)
        self.host = f"http://localhost:{self.server.server_port}"

    def answer(self, command: str, path: str) -> tuple[int, str]:
        if self.login:
            return 200, "<html>Log in"
        if path == f"{API}/healthz":
            return 200, json.dumps({"multi_user": False})
        if self.refusal:
            return self.refusal
        if path == f"{API}/experiments":
            experiment = EXPERIMENT
            if command == "GET":
                return 200, json.dumps({"experiments": [experiment]})
            return 200, json.dumps(experiment)
        if (command, path) == ("POST", f"{API}/runs"):
            return 200, json.dumps(STARTED)
        return 404, "{}"

    @property
    def run(self) -> Any:
        (body,) = [each[3] for each in self.asked if each[1] == f"{API}/runs"]
        return body


@pytest.fixture
def kubeflow() -> Iterator[Kubeflow]:
    service = Kubeflow()
    thread = threading.Thread(target=service.server.serve_forever)
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def overrides(folder: Path) -> list[str]:
    return [CONFIG, *SMALL, *on_cluster(folder)]


@pytest.fixture(scope="module")
def package(folder: Path, overrides: list[str]) -> str:
    path = folder / "demo.yaml"
    arguments = [f"--target={TARGET}", f"--out={path}"]
    code, screen = wseg("compile", *overrides, *arguments)
    assert code == 0, screen
    return str(path)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # kfp keeps its context below the home folder.
    monkeypatch.setenv("HOME", str(tmp_path))


def parameters(run: Any) -> dict[str, str]:
    if ARGO:
        given = run["pipeline_spec"].get("parameters", [])
        return {each["name"]: each["value"] for each in given}
    found: dict[str, str] = run["runtime_config"].get("parameters", {})
    return found


def recipe(given: Mapping[str, str]) -> str:
    """The recipe in the file that the Trainer is told of."""
    path = json.loads(given["training"])["settings"]
    return str(json.loads(Path(path).read_text())["recipe"])


def test_a_run_is_started_with_the_compiled_workflow(
    kubeflow: Kubeflow, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "a-token")
    code, screen = wseg("submit", package, f"--host={kubeflow.host}/")
    assert code == 0, screen
    assert screen == f"Started: {kubeflow.host}/#/runs/details/run-1\n"
    spec = kubeflow.run["pipeline_spec"]
    if ARGO:
        workflow = json.loads(spec["workflow_manifest"])
        assert workflow["kind"] == "Workflow"
        assert len(workflow["spec"]["templates"]) == 12
        (experiment,) = kubeflow.run["resource_references"]
        key = {"id": "experiment-1", "type": "EXPERIMENT"}
        assert experiment["key"] == key
    else:
        compiled = yaml.safe_load_all(Path(package).read_text())
        assert [spec["pipeline_spec"], spec["platform_spec"]] == [*compiled]
        assert kubeflow.run["experiment_id"] == "experiment-1"
    # The rest is as compiled, but not who starts it.
    (own,) = parameters(kubeflow.run).items()
    assert own == ("origin", origin())
    assert "compiled by" in read_package(package).parameters["origin"]
    for *_, headers, _ in kubeflow.asked:
        assert headers["authorization"] == "Bearer a-token"


def test_a_run_is_given_other_data_epochs_and_floors(
    kubeflow: Kubeflow, package: str, overrides: list[str]
) -> None:
    changes = [
        "training.stages.0.epochs=77",
        "gate.rules=[{metric: mean_iou, floor: 0.375}]",
        "data.limit=1",
        f"kubeflow.host={kubeflow.host}",
    ]
    code, screen = wseg("submit", package, *overrides, *changes, "--name=r 1")
    assert code == 0, screen
    assert kubeflow.run["name" if ARGO else "display_name"] == "r 1"
    given = parameters(kubeflow.run)
    compiled = read_package(package).parameters
    assert {*given} == PARAMETERS
    assert "epochs: 77" in recipe(given)
    assert "epochs: 77" not in recipe(compiled)
    (spec,) = json.loads(given["gate"])["metrics_specs"]
    (metric,) = spec["metrics"]
    kept = Path(json.loads(metric["config"])["settings"])
    assert "floor: 0.375" in json.loads(kept.read_text())["gate"]
    # A server of KFP 1.x refuses runs of more than 10,000 bytes.
    assert len(json.dumps(given)) < 5000
    assert given["manifest"] != compiled["manifest"]
    listed = (Path(given["manifest"]) / "train.jsonl").read_text()
    assert len(listed.splitlines()) == 1
    assert "floor: 0.375" in Path(given["config"]).read_text()
    assert "preset: severity_aware" in Path(given["written"]).read_text()


def test_what_was_compiled_in_is_not_changed_in_silence(
    kubeflow: Kubeflow, package: str, overrides: list[str]
) -> None:
    changes = ["name=other", f"--host={kubeflow.host}"]
    code, screen = wseg("submit", package, *overrides, *changes)
    assert code == USER_ERROR
    assert "`name`. Expected what the pipeline was compiled with" in screen
    assert kubeflow.asked == []


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((403, json.dumps({"error": "Not yours."})), "the run: Not yours."),
        ((500, "<html>"), "refused the run: 500 Internal Server Error."),
    ],
)
def test_a_refusal_is_one_sentence(
    kubeflow: Kubeflow, package: str, refusal: tuple[int, str], said: str
) -> None:
    kubeflow.refusal = refusal
    code, screen = wseg("submit", package, f"--host={kubeflow.host}")
    assert code == USER_ERROR
    assert screen.startswith(f"{kubeflow.host} refused the run: ")
    assert screen.endswith(f"{said}\n")
    assert len(screen.splitlines()) == 1


def test_a_page_that_wants_a_login_is_named(
    kubeflow: Kubeflow, package: str
) -> None:
    kubeflow.login = True
    code, screen = wseg("submit", package, f"--host={kubeflow.host}")
    assert (code, screen) == (
        USER_ERROR,
        f"{kubeflow.host} is not Kubeflow Pipelines, or wants a login first.\n",
    )


def test_nobody_at_the_address_is_one_sentence(
    kubeflow: Kubeflow, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeflow.server.server_close()
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", kubeflow.host)
    code, screen = wseg("submit", package)
    assert code == USER_ERROR
    assert screen.startswith(f"{kubeflow.host} does not answer: ")
    assert len(screen.splitlines()) == 1


def test_an_address_is_needed_and_the_option_comes_first(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, screen = wseg("submit", package)
    assert code == USER_ERROR
    assert "`kubeflow.host`. Expected the address" in screen
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://c")
    assert find_host(KubeflowOptions()) == "http://c"
    assert find_host(KubeflowOptions(host="b.org")) == "https://b.org"
    assert find_host(KubeflowOptions(host="b"), "http://a/") == "http://a"


@pytest.mark.parametrize("text", ["", "a: [", "kind: Workflow", "[1]"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    code, screen = wseg("submit", str(path), "--host=http://localhost:1")
    assert code == USER_ERROR
    assert "Invalid compiled pipeline" in screen
    assert len(screen.splitlines()) == 1
