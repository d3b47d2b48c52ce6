"""What an engine does with a compiled workflow, without a cluster.

It fills the parameters in and runs the command of each container in the
order of the graph; artifacts pass through the pipeline's root and the
metadata service alone, as on a cluster.
"""

import graphlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.pipeline.runners.kubeflow.commands import call, start

INPUT = re.compile(r"\{\{inputs\.parameters\.([\w-]+)\}\}")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def templates(workflow: Any) -> dict[str, Any]:
    return {each["name"]: each for each in workflow["spec"]["templates"]}


def defaults(workflow: Any) -> dict[str, str]:
    parameters = workflow["spec"]["arguments"]["parameters"]
    return {each["name"]: each["value"] for each in parameters}


def run(
    workflow: Any,
    given: Mapping[str, str],
    environment: Mapping[str, str],
    alone: str,
    folder: Path,
    last: str = "",
) -> list[str]:
    """Runs every step; the one named `alone` as a process of its own.

    Where a `last` one is named, it and those it waits for are all that runs.
    Others run in this process, by the same entry point with the very same
    arguments: an import of TFX for each of them would take minutes.
    """
    found = templates(workflow)
    tasks = {
        task["name"]: task
        for task in found[workflow["spec"]["entrypoint"]]["dag"]["tasks"]
    }
    values = defaults(workflow) | dict(given)
    waits = {name: task.get("dependencies", []) for name, task in tasks.items()}
    if last:
        waits = {name: waits[name] for name in _ancestors(last, waits)}
    done = []
    for name in graphlib.TopologicalSorter(waits).static_order():
        own = {
            each["name"]: _fill(each["value"], values)
            for each in tasks[name]["arguments"]["parameters"]
        }
        container = found[tasks[name]["template"]]["container"]
        command = [*container["command"]] + [
            _fill(each, own) for each in container["args"]
        ]
        (ui_metadata,) = found[tasks[name]["template"]]["outputs"]["artifacts"]
        # Each container begins with a file system of its own.
        Path(ui_metadata["path"]).unlink(missing_ok=True)
        if name == alone:
            start(command, environment, folder)
        else:
            call(command, environment)
        assert Path(ui_metadata["path"]).read_text().startswith("{")
        done.append(name)
    return done


def _ancestors(name: str, waits: Mapping[str, list[str]]) -> set[str]:
    return {name}.union(*(_ancestors(each, waits) for each in waits[name]))


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Fills parameters in as Argo does; nothing else may look like one."""
    parts = INPUT.split(text)
    assert not any("{{" in part for part in parts[::2]), text[:200]
    parts[1::2] = [values[name] for name in parts[1::2]]
    return "".join(parts)
