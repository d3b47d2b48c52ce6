"""Takes from commands what they lean on, gives it back, and lets them go on.

python -m tests.faults.surroundings --count 3 --seed 0

Without it a command ends well or in a sentence, with the exit code of a
failure; with it again, with what it ends with alone.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager as Context
from contextlib import contextmanager, nullcontext
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
    run,
    scratch_folder,
    start,
    whole,
)

MONTH = 30 * 24 * 3600
SMALLEST, LARGEST = 1e2, 2e6  # bytes of a file, or of a disk
DESCRIPTORS = (16, 80)


@dataclass(frozen=True)
class Lack:
    """Something that is taken from a command.

    Args:
        name: What it is called in the table.
        lent: The folder as it is while the command lacks something.
        trouble: What the command's process does first.
        removes: Whether the command's own files are removed in the middle.
        later: What the process does first that goes on, after a kill.
    """

    name: str
    lent: Callable[[Path, float], Context[None]] = lambda folder, part: (
        nullcontext()
    )
    trouble: Callable[[float], None] = lambda part: None
    removes: bool = False
    later: Callable[[], None] | None = None


def between(least: float, most: float, part: float) -> int:
    """Returns a number between two, even in its logarithm."""
    return int(least * (most / least) ** part)


def small_files(part: float) -> None:
    """Lets no file grow above a size; who writes more is told."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = between(SMALLEST, LARGEST, part)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def few_descriptors(part: float) -> None:
    """Lets few files be open at once."""
    few = between(*DESCRIPTORS, part)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))


def mount(folder: Path, options: str) -> None:
    """Changes how the disk of a folder is mounted."""
    subprocess.run(
        ["mount", "-o", f"remount,{options}", str(folder)], check=True
    )


@contextmanager
def full_disk(folder: Path, part: float) -> Iterator[None]:
    """Leaves little space on the disk of a folder."""
    used = sum(each.stat().st_size for each in folder.rglob("*"))
    # A disk gives space by pages, to folders, too.
    size = 2 * used + between(SMALLEST * 1e3, LARGEST * 10, part)
    mount(folder, f"size={size}")
    yield
    mount(folder, "size=1g")


@contextmanager
def read_only(folder: Path, part: float) -> Iterator[None]:
    """Lets nothing be written to the disk of a folder."""
    mount(folder, "ro")
    yield
    mount(folder, "rw")


def month_ago() -> None:
    """Sets this process' clock back; files are of the future."""
    true = time.time
    time.time = lambda: true() - MONTH


LACKS = (
    Lack("no file may grow", trouble=small_files),
    Lack("few descriptors", trouble=few_descriptors),
    Lack("the disk is full", lent=full_disk),
    Lack("the disk is read-only", lent=read_only),
    Lack("the root is removed", removes=True),
    Lack("the clock is set back", later=month_ago),
)


def clear(folder: Path, kept: set[str]) -> None:
    """Removes what a command made, while it may go on making."""
    for each in folder.iterdir():
        if each.name not in kept:
            shutil.rmtree(each, ignore_errors=True)


def lacking(
    command: Command,
    lack: Lack,
    folder: Path,
    part: float,
    expected: Facts,
    seconds: float,
) -> list[str]:
    """Runs a command that lacks something, and again; returns the faults."""
    command.prepare(folder)
    kept = {each.name for each in folder.iterdir()}
    with lack.lent(folder, part):
        process = start(
            command.arguments(folder),
            log_of(folder),
            lambda: lack.trouble(part),
        )
        if lack.removes or lack.later:
            code = ended(process, part * seconds)
            if code is None and lack.later:
                os.kill(process, signal.SIGKILL)
            elif code is None:
                clear(folder, kept)
            if code is None:
                code = ended(process)
        else:
            code = ended(process)
    text = log_of(folder).read_text(errors="replace")
    faults = []
    if code not in (0, 1, 2, -signal.SIGKILL if lack.later else 0):
        faults.append(f"ended with {code}: {last_line(log_of(folder))}")
    if "Traceback (most recent call last)" in text:
        faults.append(f"a traceback: {last_line(log_of(folder))}")
    if lack.removes:
        clear(folder, kept)
    print(f"  {code}: {last_line(log_of(folder))[:160]}", flush=True)
    faults += run(command, folder, lack.later or (lambda: None))
    return faults + differences(command, folder, expected)


@contextmanager
def disk(folder: Path, own: bool) -> Iterator[None]:
    """Makes a folder, as a disk of its own if wanted."""
    folder.mkdir()
    if own:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(folder)],
            check=True,
        )
    try:
        yield
    finally:
        if own:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def campaign(
    names: list[str], count: int, seed: int, lacks: str = ""
) -> list[list[str]]:
    """Takes each thing from each command.

    Args:
        names: Of `COMMANDS`.
        count: How often each thing is taken from each.
        seed: Draws how much is taken, or when.
        lacks: Part of the names of what is taken. Defaults to all.

    Returns:
        The faults of each try.
    """
    random = np.random.default_rng(seed)
    outcomes = []
    for name in names:
        command = COMMANDS[name]
        with scratch_folder() as scratch:
            expected, seconds = whole(command, scratch / "whole")
            for lack in (each for each in LACKS if lacks in each.name):
                own = lack.lent in (full_disk, read_only)
                if own and os.getuid():
                    print(f"{name}: {lack.name}: not tried: not root")
                    continue
                for k in range(count):
                    part = (k + random.uniform()) / count
                    folder = scratch / f"{k}"
                    with disk(folder, own):
                        faults = lacking(
                            command, lack, folder, part, expected, seconds
                        )
                    shutil.rmtree(folder)
                    log_of(folder).unlink()
                    verdict = "; ".join(faults) or "the same"
                    print(f"{name}: {lack.name} ({part:.2f}): {verdict}")
                    outcomes.append(faults)
    return outcomes


def main() -> None:
    """Runs the campaign; exit code 1 if there was a fault."""
    given = parser(__doc__, COMMANDS)
    given.add_argument("--lack", default="", help="part of what is taken")
    options = given.parse_args()
    conclude(
        campaign(options.only, options.count, options.seed, options.lack),
        "tries",
    )


if __name__ == "__main__":
    main()
