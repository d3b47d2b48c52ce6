"""What an engine does with a compiled pipeline spec, without a cluster.

A driver resolves the inputs of a task, gives each output a place under the
root, and hands both to the container's command as one JSON text; what the
command writes of its outputs goes to the tasks that wait for them. Resolvers
have no container: the engine looks for what they ask among all artifacts.
"""

import graphlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.pipeline.runners.kubeflow.commands import call, start

INVOCATION = "{{$}}"
PLACEHOLDER = re.compile(
    r"\{\{\$\.inputs\.artifacts\['(\w+)'\]\.metadata\['(\w+)'\]\}\}"
)
TITLE = re.compile(r"title: ([\w.]+)")

Artifact = dict[str, Any]
Outputs = dict[str, list[Artifact]]


@dataclass
class Store:
    """All artifacts of all runs, in the order they were made.

    Args:
        root: Folder under which outputs are placed.
    """

    root: Path
    artifacts: list[Artifact] = field(default_factory=list)

    def find(self, query: str) -> list[Artifact]:
        """Returns the last artifact that a resolver's filter finds."""
        terms = dict(term.split("=", 1) for term in query.split(" AND "))
        assert terms.pop("state") == "LIVE"
        found = [
            each
            for each in self.artifacts
            if all(_holds(each, *term) for term in terms.items())
        ]
        return found[-1:]


def _holds(artifact: Artifact, name: str, value: str) -> bool:
    if name == "schema_title":
        title = TITLE.search(artifact["type"]["instanceSchema"])
        assert title is not None
        return title[1] == json.loads(value)
    if name == "name":
        return bool(artifact["name"] == json.loads(value))
    _, key, kind = name.split(".")
    assert kind == "number_value", name
    return artifact["metadata"].get(key) == float(value)


def run(
    spec: Mapping[str, Any],
    given: Mapping[str, str],
    store: Store,
    name: str,
    alone: str = "",
) -> dict[str, Outputs]:
    """Runs every task; the one named `alone` as a process of its own.

    Args:
        spec: A pipeline spec.
        given: Values of its parameters.
        store: The artifacts of earlier runs; this run's are added.
        name: Of the run; no other has it.
        alone: A task.

    Returns:
        The outputs by task, in the order they ran.
    """
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert {*given} == {*parameters}
    tasks = spec["root"]["dag"]["tasks"]
    done: dict[str, Outputs] = {}
    for task in graphlib.TopologicalSorter(_waits(tasks)).static_order():
        component = spec["components"][tasks[task]["componentRef"]["name"]]
        executor = spec["deploymentSpec"]["executors"][
            component["executorLabel"]
        ]
        inputs = {
            key: done[asked["producerTask"]][asked["outputArtifactKey"]]
            for key, asked in _asked(tasks[task]).items()
        }
        if "resolver" in executor:
            queries = executor["resolver"]["outputArtifactQueries"]
            done[task] = {
                key: _resolve(query["filter"], inputs, store)
                for key, query in queries.items()
            }
            continue
        own = tasks[task].get("inputs", {}).get("parameters", {})
        place = store.root / name / task
        place.mkdir(parents=True)  # An object store needs no folders.
        invocation = {
            "inputs": {
                "parameterValues": {
                    key: _value(each, given) for key, each in own.items()
                },
                "artifacts": _listed(inputs),
            },
            "outputs": {
                "artifacts": _listed(
                    {
                        key: [_placed(place, key, definition)]
                        for key, definition in component["outputDefinitions"][
                            "artifacts"
                        ].items()
                    }
                ),
                "outputFile": str(place / "executor_output.json"),
            },
        }
        container = executor["container"]
        command = [
            json.dumps(invocation) if each == INVOCATION else each
            for each in (*container["command"], *container["args"])
        ]
        if task == alone:
            start(command, {}, store.root)
        else:
            call(command, {})
        done[task] = _written(invocation["outputs"])
        store.artifacts += itertools.chain(*done[task].values())
    return done


def _asked(task: Mapping[str, Any]) -> dict[str, Any]:
    artifacts = task.get("inputs", {}).get("artifacts", {})
    return {key: each["taskOutputArtifact"] for key, each in artifacts.items()}


def _waits(tasks: Mapping[str, Any]) -> dict[str, set[str]]:
    """Returns the tasks each waits for; what it reads must be among them."""
    found = {}
    for name, task in tasks.items():
        read = {asked["producerTask"] for asked in _asked(task).values()}
        found[name] = read | {*task.get("dependentTasks", [])}
    return found


def _resolve(
    query: str, inputs: Mapping[str, list[Artifact]], store: Store
) -> list[Artifact]:
    """Fills a resolver's filter in, and asks the store."""
    needed = PLACEHOLDER.search(query)
    if needed and not inputs[needed[1]]:
        return []
    filled = PLACEHOLDER.sub(
        lambda found: str(inputs[found[1]][0]["metadata"][found[2]]), query
    )
    return store.find(filled)


def _value(asked: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    if "componentInputParameter" in asked:
        return given[asked["componentInputParameter"]]
    return asked["runtimeValue"]["constant"]


def _placed(place: Path, key: str, definition: Mapping[str, Any]) -> Artifact:
    uri = str(place / key)
    return {
        "name": uri.replace("/", "."),
        "type": definition["artifactType"],
        "uri": uri,
    }


def _listed(artifacts: Mapping[str, list[Artifact]]) -> dict[str, Any]:
    return {key: {"artifacts": each} for key, each in artifacts.items()}


def _written(outputs: Mapping[str, Any]) -> Outputs:
    """Returns the outputs with what the command says of them."""
    said = json.loads(Path(outputs["outputFile"]).read_text())["artifacts"]
    found = {}
    for key, listed in outputs["artifacts"].items():
        (placed,) = listed["artifacts"]
        (own,) = said[key]["artifacts"]
        assert own["name"] == placed["name"]
        found[key] = [{**placed, **own}]
    return found
