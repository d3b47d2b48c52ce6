"""Peers in an environment of their own, timed in turn with ours.

The client starts `.venv-peers/bin/python -m benchmarks.peers MODULE ARRAYS`;
the peer's process loads the arrays, makes the cases that `MODULE.cases`
returns, and times one whenever it is told its name.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Case, Report, stopwatch

PYTHON = Path(".venv-peers/bin/python")
HOW = (
    "The peers' environment is absent; make it (several GB) with "
    "`sh locks/install.sh 3.11 locks/peers.txt .venv-peers`."
)


class Peers:
    """The client's side: a process that times peers when asked."""

    def __init__(
        self,
        module: str,
        arrays: Mapping[str, np.ndarray],
        python: str | Path = PYTHON,
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            np.savez(file, **arrays)
            file.flush()
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.peers", module, file.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                cwd=folder,
            )
            ready = self._answer()
        self.names: list[str] = ready["names"]
        self.facts: dict[str, Any] = ready["facts"]
        self.absent: dict[str, str] = ready["absent"]

    @staticmethod
    def are_installed() -> bool:
        """Whether the environment is there."""
        return PYTHON.exists()

    def case(self, name: str) -> Case:
        """Returns a case that asks the peer's process for its seconds."""

        def run() -> float:
            assert self._process.stdin is not None
            self._process.stdin.write(name + "\n")
            self._process.stdin.flush()
            answer = self._answer()
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return float(answer["seconds"])

        return run

    def close(self) -> None:
        """Ends the peer's process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("PEER "):
                return json.loads(line[5:])
        raise RuntimeError("the peers' process ended; its error is above")


def add_peers(
    report: Report,
    module: str,
    arrays: Mapping[str, np.ndarray],
    units: Mapping[str, float] | None = None,
) -> Peers | None:
    """Adds the cases of a peers' module to a report, or says how to.

    Args:
        report: Gets the cases.
        module: Holds `cases(arrays)`, which returns work by name and facts.
        arrays: Handed over as a file.
        units: Units a run covers, by name. Defaults to 1 each.

    Returns:
        The client, to be closed after the run; None if there are no peers.
    """
    if not Peers.are_installed():
        print(HOW)
        return None
    peers = Peers(module, arrays)
    report.absent |= peers.absent
    report.facts |= peers.facts
    for name in peers.names:
        report.add_case(name, peers.case(name), (units or {}).get(name, 1))
    return peers


def _serve(module: str, path: str) -> None:
    """The peer's side."""
    with np.load(path) as file:
        arrays = dict(file)
    found = importlib.import_module(module).cases(arrays)
    cases = {name: stopwatch(work) for name, work in found["cases"].items()}
    ready = {
        "names": list(cases),
        "facts": found.get("facts", {}),
        "absent": found.get("absent", {}),
    }
    print("PEER " + json.dumps(ready), flush=True)
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            answer = {"seconds": cases[line.strip()]()}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print("PEER " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2])
