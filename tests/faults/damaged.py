"""Damages files of a root, and lets commands go on from there.

python -m tests.faults.damaged --count 20 --seed 0

What a command read from a file that is damaged must not reach its result: it
says so in a sentence and ends with the exit code of a failure, or it ends with
what it ends with on whole files.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.commands import (
    COMMANDS,
    Command,
    Facts,
    conclude,
    differences,
    ended,
    last_line,
    log_of,
    parser,
    scratch_folder,
    start,
)

Random = np.random.Generator
FAILURES = (1, 2, 3)
# Nothing is read from these by a program.
FOR_PEOPLE = re.compile(r"tensorboard|/logs/|\.(html|png|md|lock|log)$")


def flipped(content: bytes, random: Random) -> bytes:
    """Returns a content with one bit changed."""
    changed = bytearray(content)
    changed[random.integers(len(changed))] ^= 1 << random.integers(8)
    return bytes(changed)


def cut(content: bytes, random: Random) -> bytes:
    """Returns the beginning of a content."""
    return content[: random.integers(1, max(len(content), 2))]


def zeroed(content: bytes, random: Random) -> bytes:
    """Returns a content with a part of it lost, as after a loss of power."""
    lost = cut(content, random)
    return content[: len(content) - len(lost)] + bytes(len(lost))


WAYS: dict[str, Callable[[bytes, Random], bytes | None]] = {
    "flipped": flipped,
    "cut": cut,
    "zeroed": zeroed,
    "emptied": lambda content, random: b"",
    "removed": lambda content, random: None,
}


@dataclass(frozen=True)
class Scene:
    """A command that goes on from files that another one left.

    Args:
        name: What it is called in the table.
        left: Leaves the files in a folder.
        command: Goes on from them.
    """

    name: str
    left: Callable[[Path], None]
    command: Command


def whole_run(folder: Path) -> None:
    """Leaves what a run of the pipeline leaves."""
    arguments = COMMANDS["run"].arguments(folder)
    if code := ended(start(arguments, log_of(folder))):
        raise RuntimeError(f"{code}: {last_line(log_of(folder))}")


def half_a_training(folder: Path) -> None:
    """Leaves what a training leaves that is killed after a checkpoint."""
    process = start(COMMANDS["train"].arguments(folder), log_of(folder))
    checkpoints = folder / "out" / "checkpoints"
    while not list(checkpoints.glob("checkpoint-*")):
        if ended(process, 0.05) is not None:
            raise RuntimeError(f"ended first: {last_line(log_of(folder))}")
    os.kill(process, signal.SIGKILL)
    ended(process)


def changed(name: str, *overrides: str) -> Scene:
    """Returns a run that goes on from another with something changed."""
    run = COMMANDS["run"]
    return Scene(
        name,
        whole_run,
        Command(
            name,
            lambda folder: [*run.arguments(folder), *overrides],
            run.facts,
        ),
    )


SCENES = {
    each.name: each
    for each in (
        changed(
            "judged anew",
            "gate.rules=[{metric: mean_iou, floor: 0.0}, "
            "{metric: critical_iou, floor: 0.0}]",
        ),
        changed("trained anew", "training.stages.0.learning_rate=0.002"),
        Scene("trained on", half_a_training, COMMANDS["train"]),
    )
}


def kind_of(path: Path) -> str:
    """Returns a file's name without its numbers."""
    return re.sub(r"\d+", "#", str(path))


def files(folder: Path) -> dict[str, list[Path]]:
    """Returns the files that a program may read, by kind."""
    found = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not FOR_PEOPLE.search(f"/{relative}"):
            found[kind_of(relative)].append(path)
    return found


def tried(
    command: Command, folder: Path, expected: Facts
) -> tuple[int | None, list[str]]:
    """Runs a command on damaged files; returns its end, and the faults."""
    log = log_of(folder)
    log.unlink(missing_ok=True)
    code = ended(start(command.arguments(folder), log))
    text = log.read_text(errors="replace")
    if "Traceback (most recent call last)" in text:
        return code, [f"a traceback: {last_line(log)}"]
    if code in FAILURES:
        return code, []
    if code:
        return code, [f"ended with {code}: {last_line(log)}"]
    return code, differences(command, folder, expected)


def campaign(
    names: list[str], count: int, seed: int, only: str = ""
) -> list[list[str]]:
    """Damages one file at a time.

    Args:
        names: Of `SCENES`.
        count: Files that are damaged in each; kinds of files come in turn.
        seed: Draws the files, and how they are damaged.
        only: What the damaged files' names contain. Defaults to all.

    Returns:
        The faults of each try.
    """
    random = np.random.default_rng(seed)
    outcomes = []
    for name in names:
        scene = SCENES[name]
        with scratch_folder() as scratch:
            folder, kept = scratch / "own", scratch / "kept"
            folder.mkdir()
            scene.left(folder)
            # Metadata hold paths: what is tried stays where it was made.
            shutil.copytree(folder, kept)
            code, faults = tried(scene.command, folder, {})
            if code or faults:
                raise RuntimeError(last_line(log_of(folder)))
            expected = scene.command.facts(folder)
            kinds = sorted(each for each in files(kept) if only in each)
            random.shuffle(kinds)
            for k in range(count):
                shutil.rmtree(folder)
                shutil.copytree(kept, folder)
                of_kind = files(folder)[kinds[k % len(kinds)]]
                path = of_kind[random.integers(len(of_kind))]
                way = [*WAYS][random.integers(len(WAYS))]
                content = path.read_bytes()
                damaged = WAYS[way](content, random) if content else None
                if damaged is None:
                    path.unlink()
                else:
                    path.write_bytes(damaged)
                wanted = dict(expected)
                if "serving" in path.parts:
                    # What is not as it was pushed is pushed again, beside it.
                    wanted.pop("versions", None)
                code, faults = tried(scene.command, folder, wanted)
                outcomes.append(faults)
                print(
                    f"{name}: {path.relative_to(folder)} {way}: {code}: "
                    f"{'; '.join(faults) or last_line(log_of(folder))[:200]}",
                    flush=True,
                )
    return outcomes


def main() -> None:
    """Runs the campaign; exit code 1 if there was a fault."""
    given = parser(__doc__, SCENES)
    given.add_argument("--files", default="", help="part of their names")
    options = given.parse_args()
    conclude(
        campaign(options.only, options.count, options.seed, options.files),
        "files damaged",
    )


if __name__ == "__main__":
    main()
