"""Starts runs of a compiled pipeline on Kubeflow Pipelines."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import kfp
import kfp_server_api
import tensorflow as tf
import urllib3
import yaml

from pipeline.config.kubeflow_options import KubeflowOptions
from pipeline.config.pipeline_config import PipelineConfig
from wseg_tf import configuration
from wseg_tf.configuration import ConfigurationError

# The first is kfp's own.
HOST = "KF_PIPELINES_ENDPOINT"
TOKEN = "KF_PIPELINES_TOKEN"
TIMEOUT = 30
VERSION = int(kfp.__version__.partition(".")[0])


class SubmissionError(RuntimeError):
    """Kubeflow Pipelines could not be asked, or refused; one sentence."""


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Args:
        path: Its file.
        parameters: The values its runs have by default, by parameter.
    """

    path: str
    parameters: Mapping[str, str]

    @property
    def config(self) -> PipelineConfig:
        """The configuration it was compiled from, by value."""
        kept = self.parameters["config"]
        return configuration.load(
            PipelineConfig, configuration.kept_text(kept), kept
        )


def read_package(path: str) -> Package:
    """Reads what `wseg compile` wrote for this environment's Kubeflow.

    KFP 1's client starts workflows of Argo, KFP 2's pipeline specs.

    Args:
        path: The file.

    Raises:
        ConfigurationError: If it is no such file.
    """
    target = "kubeflow" if VERSION == 1 else "kubeflow-v2"
    read = _workflow_values if VERSION == 1 else _spec_values
    try:
        with tf.io.gfile.GFile(path) as file:
            values = read(next(yaml.safe_load_all(file.read()), None))
        for each in ("config", "origin"):
            values[each]
    except (
        tf.errors.OpError,
        UnicodeDecodeError,
        yaml.YAMLError,
        KeyError,
        TypeError,
    ):
        raise ConfigurationError(
            "Invalid compiled pipeline. Expected a .yaml file that `wseg "
            f"compile --target {target}` wrote, for kfp {kfp.__version__}. "
            f"Received: {path}."
        ) from None
    return Package(path, values)


def _workflow_values(workflow: Any) -> dict[str, str]:
    if workflow["kind"] != "Workflow":
        raise KeyError("kind")
    parameters = workflow["spec"]["arguments"]["parameters"]
    return {each["name"]: each.get("value", "") for each in parameters}


def _spec_values(spec: Any) -> dict[str, str]:
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    return {
        name: each.get("defaultValue", "") for name, each in parameters.items()
    }


def find_host(options: KubeflowOptions, host: str | None = None) -> str:
    """Returns the address of Kubeflow Pipelines.

    Args:
        options: The configuration's.
        host: An address that comes first.

    Raises:
        ConfigurationError: If none is given, nor in the environment.
    """
    found = host or options.host or os.environ.get(HOST)
    if not found:
        raise ConfigurationError(
            "Invalid value for argument `kubeflow.host`. Expected the address "
            f"of Kubeflow Pipelines, there, as --host or in {HOST}. "
            "Received: kubeflow.host=None."
        )
    found = found.rstrip("/")
    return found if "://" in found else f"https://{found}"


def submit(
    package: Package,
    values: Mapping[str, str],
    options: KubeflowOptions,
    host: str,
    experiment: str,
    name: str | None = None,
) -> str:
    """Starts a run.

    A token in the environment's KF_PIPELINES_TOKEN is sent along; it is read
    there alone, never from a file of the project.

    Args:
        package: The compiled pipeline.
        values: What `run_values` returned; replaces the package's defaults.
        options: Namespace and service account of the run.
        host: What `find_host` returned.
        experiment: Experiment of Kubeflow the run belongs to.
        name: Name of the run; the file's name and the time by default.

    Returns:
        The run's id.

    Raises:
        SubmissionError: If there is no answer, or a refusal.
    """
    token = os.environ.get(TOKEN)
    _greet(host, token)
    try:
        # KFP 2's client prints where things are.
        with contextlib.redirect_stdout(io.StringIO()):
            client = kfp.Client(
                host=host,
                # kfp's own default; with it, kfp asks the cluster.
                namespace=options.namespace or "kubeflow",
                existing_token=token,
            )
            run = client.create_run_from_pipeline_package(
                package.path,
                arguments=dict(values),
                run_name=name,
                experiment_name=experiment,
                namespace=options.namespace,
                service_account=options.service_account,
            )
    except kfp_server_api.ApiException as error:
        raise SubmissionError(
            f"{host} refused the run: {_reason(error)}."
        ) from error
    except (urllib3.exceptions.HTTPError, TimeoutError) as error:
        raise SubmissionError(
            f"{host} stopped answering: {type(error).__name__}."
        ) from error
    return str(run.run_id)


def _greet(host: str, token: str | None) -> None:
    """Refuses an address at which nothing useful answers, at once.

    kfp would try it five times and log a traceback for each.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(
        f"{host}/apis/v{VERSION}beta1/healthz", headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            json.load(answer)
    except urllib.error.HTTPError as error:
        hint = f" (is {TOKEN} right?)" if error.code in (401, 403) else ""
        raise SubmissionError(
            f"{host} answered {error.code} {error.reason}{hint}."
        ) from error
    except json.JSONDecodeError as error:
        raise SubmissionError(
            f"{host} is not Kubeflow Pipelines, or wants a login first."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise SubmissionError(f"{host} does not answer: {reason}.") from error
    logging.getLogger("kfp").setLevel(logging.WARNING)


def _reason(error: Any) -> str:
    try:
        body = json.loads(error.body)
        text = str(body.get("error_message") or body["error"])
    except (TypeError, ValueError, KeyError, AttributeError):
        text = f"{error.status} {error.reason}"
    return (text.splitlines() or [""])[0].rstrip(".")
