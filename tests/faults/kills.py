"""Kills commands at moments drawn by a seed, and lets them go on.

python -m tests.faults.kills --count 30 --seed 0

What a command ends with after a kill must be what it ends with alone: the same
figures, the same weights, one version, and nothing left lying about. Processes
are forked from one that has imported everything and done nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Imported before a fork, so that no command does it again.
import pipeline.adaptation.graph
import pipeline.experiments.run
import pipeline.runners.local  # noqa: F401
from pipeline.__main__ import main as wseg
from pipeline.gate.digests import SIGNATURE, STATEMENT, digest
from pipeline.release.model_files import versions
from tests.pipeline.runners.small import LENIENT, SHORT, SMALL, SMALL_DOMAINS

CONFIGS = Path(__file__).parents[2] / "configs"
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# A command that is asked to stop while it ends may end first.
NEARLY = 0.8
LITTER = ("unfinished", "partial", ".tmp", "tmp_")
LONGEST = 600.0

Facts = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Args:
        name: What it is called in the table.
        arguments: What it is given, with a folder.
        facts: What it ends with in that folder.
        prepare: Makes the folder ready.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    facts: Callable[[Path], Facts]
    prepare: Callable[[Path], None] = lambda folder: None


def start(arguments: list[str], log: Path) -> int:
    """Runs a command in a fork; returns its process."""
    process = os.fork()
    if process:
        return process
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        sys.argv = ["wseg", *arguments]
        wseg()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(process: int, within: float = LONGEST) -> int | None:
    """Returns the exit code of a process, or None if it does not end."""
    stop = time.monotonic() + within
    while time.monotonic() < stop:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def litter(folder: Path) -> list[str]:
    """Returns what should have been tidied up."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if any(word in path.name for word in LITTER)
    )


def weights(folder: Path) -> str:
    """Returns the digest of a SavedModel's variables."""
    return digest(str(folder / "variables"))


def run_facts(folder: Path) -> Facts:
    """Returns what a run of the pipeline ends with."""
    [root] = [each for each in (folder / "runs").iterdir() if each.is_dir()]
    serving = root / "serving"
    there = versions(str(serving))
    reports = (root / "pipeline" / "Reporter" / "report").glob("*/report.json")
    report = json.loads(max(reports, key=os.path.getmtime).read_text())
    model = serving / str(there[-1])
    for each in (STATEMENT, SIGNATURE):
        (model / each).unlink(missing_ok=True)
    return {
        "versions": len(there),
        "weights": weights(model),
        "bytes": digest(str(model)),
        "confusion": report["confusion"],
        "rules": [(rule["rule"], rule["value"]) for rule in report["rules"]],
        "checkpoints": len(list((root / "checkpoints").iterdir())),
    }


def train_facts(folder: Path) -> Facts:
    """Returns what a training ends with."""
    model = folder / "out"
    history = (model / "history.csv").read_text().splitlines()
    seconds = history[0].split(",").index("seconds")
    return {
        "weights": weights(model),
        "bytes": digest(str(model / "variables")),
        "history": [
            [v for i, v in enumerate(line.split(",")) if i != seconds]
            for line in history
        ],
        "checkpoints": (model / "checkpoints").exists(),
    }


def rollback_facts(folder: Path) -> Facts:
    """Returns what a rollback ends with."""
    root = folder / "runs" / "demo"
    lines = (root / "decisions.jsonl").read_text().splitlines()
    return {
        "serving": versions(str(root / "serving")),
        "withdrawn": versions(str(root / "withdrawn")),
        "decisions": len(lines),
        "begun": (root / "rollback.json").exists(),
    }


def three_versions(folder: Path) -> None:
    """Makes a root of three versions."""
    from tests.pipeline.release.test_releases import push

    root = folder / "runs" / "demo"
    for content in ("a", "b", "c"):
        push(root, content)
    made = versions(str(root / "serving"))
    for number, version in enumerate(made, 1):
        (root / "serving" / str(version)).rename(root / "serving" / str(number))


COMMANDS = {
    each.name: each
    for each in (
        Command(
            "run",
            lambda folder: [
                "run",
                str(CONFIGS / "demo.yaml"),
                f"root={folder}/runs",
                *SMALL,
                "training.stages.0.epochs=1",
                "training.stages.1.epochs=1",
                "training.execution.deterministic=true",
                LENIENT,
            ],
            run_facts,
        ),
        Command(
            "train",
            lambda folder: [
                "train",
                str(CONFIGS / "demo.yaml"),
                f"root={folder}/runs",
                f"--out={folder}/out",
                *SHORT,
                "training.execution.checkpoint_steps=1",
                "training.execution.deterministic=true",
            ],
            train_facts,
        ),
        Command(
            "adaptation",
            lambda folder: [
                "run",
                str(CONFIGS / "day_to_dusk.yaml"),
                f"root={folder}/runs",
                *SMALL_DOMAINS,
                "adaptation.stage.epochs=1",
                "training.execution.deterministic=true",
                LENIENT,
            ],
            run_facts,
        ),
        Command(
            "rollback",
            lambda folder: [
                "rollback",
                str(CONFIGS / "demo.yaml"),
                f"root={folder}/runs",
                "--to=1",
                "--reason=a test",
            ],
            rollback_facts,
            three_versions,
        ),
    )
}


@dataclass
class Outcome:
    """What came of one kill.

    Args:
        command: Its name.
        moment: Seconds after its start.
        number: The signal.
        place: The last line that it had said.
        faults: What was not as it should be.
    """

    command: str
    moment: float
    number: int
    place: str
    faults: list[str]


def whole(command: Command, folder: Path) -> tuple[Facts, float]:
    """Runs a command to its end; returns its facts and how long it took."""
    folder.mkdir()
    command.prepare(folder)
    begun = time.monotonic()
    code = ended(start(command.arguments(folder), folder / "log"))
    if code:
        raise RuntimeError((folder / "log").read_text()[-2000:])
    return command.facts(folder), time.monotonic() - begun


def killed(
    command: Command,
    folder: Path,
    moment: float,
    number: int,
    expected: Facts,
    seconds: float,
) -> Outcome:
    """Kills a command at a moment, runs it again, and compares."""
    folder.mkdir()
    command.prepare(folder)
    log = folder / "log"
    process = start(command.arguments(folder), log)
    code = ended(process, moment)
    asked = code is None
    if asked:
        os.kill(process, number)
        code = ended(process, 60)
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    outcome = Outcome(
        command.name, moment, number, (text.splitlines() or [""])[-1], []
    )
    if code is None:
        os.kill(process, signal.SIGKILL)
        ended(process)
        outcome.faults.append("did not end on the signal within a minute")
    elif code not in (0, -number, 128 + number):
        outcome.faults.append(f"ended with {code} on the signal")
    elif code == 0 and asked and moment < NEARLY * seconds:
        outcome.faults.append("did not heed the signal")
    code = ended(start(command.arguments(folder), log))
    if code:
        said = log.read_text(errors="replace").strip().splitlines()[-1]
        outcome.faults.append(f"ended with {code} when run again: {said}")
    try:
        found = command.facts(folder)
    except (OSError, ValueError, IndexError) as error:
        outcome.faults.append(f"left no result ({error!r})")
    else:
        outcome.faults += [
            f"{name}: {str(found[name])[:80]} for {str(expected[name])[:80]}"
            for name in expected
            if found[name] != expected[name]
        ]
    if left := litter(folder):
        outcome.faults.append(f"left {left[:3]}")
    return outcome


def campaign(
    names: list[str], count: int, seed: int, keep: Path | None = None
) -> list[Outcome]:
    """Kills commands in turn.

    Args:
        names: Of `COMMANDS`.
        count: Kills of each.
        seed: Draws the moments.
        keep: Where folders of faults are kept.
    """
    random = np.random.default_rng(seed)
    outcomes = []
    for name in names:
        command = COMMANDS[name]
        # Not a temporary one: a child that ends well would tidy it up.
        scratch = Path(tempfile.mkdtemp())
        expected, seconds = whole(command, scratch / "whole")
        for k in range(count):
            folder = scratch / str(k)
            # One moment in each part of the whole, so that all are met.
            moment = (k + random.uniform()) / count * seconds
            number = SIGNALS[random.integers(len(SIGNALS))]
            outcome = killed(command, folder, moment, number, expected, seconds)
            outcomes.append(outcome)
            print(show(outcome), flush=True)
            if outcome.faults and keep is not None:
                shutil.copytree(folder, keep / f"{name}-{k}")
            shutil.rmtree(folder)
        shutil.rmtree(scratch)
    return outcomes


def show(outcome: Outcome) -> str:
    """Returns an outcome as a line."""
    name = signal.Signals(outcome.number).name
    verdict = "; ".join(outcome.faults) or "the same"
    place = outcome.place[:60]
    return (
        f"{outcome.command}: {name} after {outcome.moment:.1f} s ({place}): "
        f"{verdict}"
    )


def main() -> None:
    """Runs the campaign; exit code 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[*COMMANDS])
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    outcomes = campaign(options.only, options.count, options.seed, options.keep)
    bad = sum(bool(each.faults) for each in outcomes)
    print(f"{len(outcomes)} kills, {bad} with a fault")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
