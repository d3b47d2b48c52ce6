"""Commands that the campaign troubles, and what each must end with.

Processes are forked from one that has imported everything and done nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

# Imported before a fork, so that no command does it again.
import pipeline.adaptation.graph
import pipeline.experiments.run
import pipeline.runners.local  # noqa: F401
from pipeline.__main__ import main as wseg
from pipeline.gate.digests import SIGNATURE, STATEMENT, digest
from pipeline.release.model_files import versions
from pipeline.release.statement import state
from tests.pipeline.runners.small import LENIENT, SHORT, SMALL, SMALL_DOMAINS
from wseg_tf.data.streets import write_streets

CONFIGS = Path(__file__).parents[2] / "configs"
LITTER = ("unfinished", "partial", ".tmp", "tmp_", "failure.log")
LONGEST = 600.0

Facts = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command that is troubled.

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


def start(
    arguments: list[str],
    log: Path,
    trouble: Callable[[], None] = lambda: None,
) -> int:
    """Runs a command in a fork, once it is troubled; returns the process."""
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
        trouble()
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


def log_of(folder: Path) -> Path:
    """Returns where a command on a folder writes what it says: beside it."""
    return folder.with_suffix(".log")


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
        "bytes": digest(str(model / "saved_model.pb")),
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


def experiment_facts(folder: Path) -> Facts:
    """Returns what a comparison ends with."""
    root = folder / "runs" / "tiny"
    results = json.loads((root / "results.json").read_text())
    return {
        "outcomes": [
            {k: v for k, v in each.items() if k != "seconds"}
            for each in results["outcomes"]
        ],
        "weights": {
            each.parent.name: digest(str(each))
            for each in sorted(root.glob("*/model.weights.h5"))
        },
        "checkpoints": [str(each) for each in root.glob("*/checkpoints")],
    }


def two_methods(folder: Path) -> None:
    """Makes streets, and a comparison of two methods on them."""
    write_streets(str(folder / "data"), {"train": 4, "val": 2}, (48, 64), 0)
    plan = {
        "name": "tiny",
        "root": str(folder / "runs"),
        "data": {"dataset": "camvid", "path": str(folder / "data")},
        "start": {
            "model": "fcn32s",
            "channel_factor": 0.05,
            "height": 32,
            "width": 64,
            "batch": 2,
            "stages": [{"name": "only", "loss": "cross_entropy", "epochs": 2}],
            "execution": {"deterministic": True, "checkpoint_steps": 1},
        },
        "finetune": {"loss": "cross_entropy", "epochs": 2},
        "reference": "CE",
        "seeds": [0],
        "methods": [
            {"name": "CE"},
            {"name": "W", "stage": {"loss": "wasserstein"}},
            {"name": "CE by D", "decides": "CE"},
        ],
    }
    (folder / "tiny.yaml").write_text(json.dumps(plan))


def three_versions(folder: Path) -> None:
    """Makes a root of three versions."""
    from tests.pipeline.release.test_releases import push

    root = folder / "runs" / "demo"
    for content in ("a", "b", "c"):
        push(root, content)
    made = versions(str(root / "serving"))
    for number, version in enumerate(made, 1):
        numbered = root / "serving" / str(number)
        (root / "serving" / str(version)).rename(numbered)
        state(str(numbered), root.name, number, {})


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
            "experiment",
            lambda folder: ["experiment", str(folder / "tiny.yaml")],
            experiment_facts,
            two_methods,
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


def whole(command: Command, folder: Path) -> tuple[Facts, float]:
    """Runs a command to its end; returns its facts and how long it took."""
    folder.mkdir()
    command.prepare(folder)
    begun = time.monotonic()
    code = ended(start(command.arguments(folder), log_of(folder)))
    if code:
        raise RuntimeError(log_of(folder).read_text()[-2000:])
    return command.facts(folder), time.monotonic() - begun


def run(
    command: Command, folder: Path, trouble: Callable[[], None] = lambda: None
) -> list[str]:
    """Runs a command to its end; returns what is wrong if there is none."""
    log = log_of(folder)
    code = ended(start(command.arguments(folder), log, trouble))
    if code == 0:
        return []
    return [f"ended with {code} when run again: {last_line(log)}"]


def differences(command: Command, folder: Path, expected: Facts) -> list[str]:
    """Returns what a command did not end with, and what it left about."""
    try:
        found = command.facts(folder)
    except (OSError, ValueError, IndexError, KeyError) as error:
        return [f"left no result ({error!r})"]
    different = [
        f"{name}: {str(found[name])[:80]} for {str(expected[name])[:80]}"
        for name in expected
        if found[name] != expected[name]
    ]
    if left := litter(folder):
        different.append(f"left {left[:3]}")
    return different


def last_line(log: Path) -> str:
    """Returns the last line that a command has said."""
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    return (text.splitlines() or [""])[-1]


def parser(description: str | None, names: Iterable[str]) -> ArgumentParser:
    """Returns the options that campaigns have in common.

    Args:
        description: What the campaign does.
        names: What it tries; all of it, unless `--only` says less.
    """
    made = ArgumentParser(description=description)
    made.add_argument("--count", type=int, default=3)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--only", nargs="*", default=[*names])
    return made


def conclude(faults: Sequence[Sequence[str]], what: str) -> NoReturn:
    """Ends a campaign; exit code 1 if there was a fault.

    Args:
        faults: Those of each try.
        what: What the tries are called.
    """
    bad = sum(bool(each) for each in faults)
    print(f"{len(faults)} {what}, {bad} with a fault")
    sys.exit(bool(bad))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Lends a folder.

    Not `tempfile.TemporaryDirectory`: a fork that ends well would remove it.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
