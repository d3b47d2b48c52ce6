"""Kills commands at moments drawn by a seed, and lets them go on.

python -m tests.faults.kills --count 30 --seed 0

What a command ends with after a kill must be what it ends with alone: the same
figures, the same weights, one version, and nothing left lying about.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
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

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# A command that is asked to stop while it ends may end first.
NEARLY = 0.8


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
    log = log_of(folder)
    process = start(command.arguments(folder), log)
    code = ended(process, moment)
    asked = code is None
    begun = time.monotonic()
    if asked:
        os.kill(process, number)
        code = ended(process, 60)
    # Where others use the machine too, a command may be past its moment.
    went_on = time.monotonic() - begun > (1 - NEARLY) * seconds
    outcome = Outcome(command.name, moment, number, last_line(log), [])
    if code is None:
        os.kill(process, signal.SIGKILL)
        ended(process)
        outcome.faults.append("did not end on the signal within a minute")
    elif code not in (0, -number, 128 + number):
        outcome.faults.append(f"ended with {code} on the signal")
    elif code == 0 and asked and went_on:
        outcome.faults.append("did not heed the signal")
    outcome.faults += run(command, folder)
    outcome.faults += differences(command, folder, expected)
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
        with scratch_folder() as scratch:
            expected, seconds = whole(command, scratch / "whole")
            for k in range(count):
                folder = scratch / str(k)
                # One moment in each part of the whole, so that all are met.
                moment = (k + random.uniform()) / count * seconds
                number = SIGNALS[random.integers(len(SIGNALS))]
                outcome = killed(
                    command, folder, moment, number, expected, seconds
                )
                outcomes.append(outcome)
                print(show(outcome), flush=True)
                if outcome.faults and keep is not None:
                    shutil.copytree(folder, keep / f"{name}-{k}")
                    shutil.copy(log_of(folder), keep / f"{name}-{k}.log")
                shutil.rmtree(folder)
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
    given = parser(__doc__, COMMANDS)
    given.add_argument("--keep", type=Path, help="folder of what went wrong")
    options = given.parse_args()
    outcomes = campaign(options.only, options.count, options.seed, options.keep)
    conclude([each.faults for each in outcomes], "kills")


if __name__ == "__main__":
    main()
