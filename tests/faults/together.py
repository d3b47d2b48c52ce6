"""Starts commands twice at one place, the second at a moment drawn by a seed.

python -m tests.faults.together --count 3 --seed 0

The first must end with what it ends with alone. The second must say in one
sentence who holds the place, with exit code 2, or end as the first does.
"""

from __future__ import annotations

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
    whole,
)

TWICE = ("experiment", "train", "run", "rollback")


def together(
    command: Command, folder: Path, moment: float, expected: Facts
) -> tuple[str, list[str]]:
    """Starts a command, and after a moment again.

    Args:
        command: The command.
        folder: Where both work.
        moment: Seconds between the two.
        expected: What it ends with alone.

    Returns:
        The last line of the second, and what was not as it should be.
    """
    folder.mkdir()
    command.prepare(folder)
    log, other = log_of(folder), folder.with_suffix(".second")
    first = start(command.arguments(folder), log)
    code = ended(first, moment)
    second = start(command.arguments(folder), other)
    refused = ended(second)
    code = ended(first) if code is None else code
    said, faults = last_line(other), []
    if code != 0:
        faults.append(f"the first ended with {code}: {last_line(log)}")
    if refused not in (0, 2):
        faults.append(f"the second ended with {refused}: {said}")
    if "Traceback" in other.read_text(errors="replace"):
        faults.append("the second ended in a traceback")
    return said, faults + differences(command, folder, expected)


def main() -> None:
    """Runs the campaign; exit code 1 if there was a fault."""
    options = parser(__doc__, TWICE).parse_args()
    random = np.random.default_rng(options.seed)
    found = []
    for name in options.only:
        command = COMMANDS[name]
        with scratch_folder() as scratch:
            expected, seconds = whole(command, scratch / "whole")
            for k in range(options.count):
                moment = (k + random.uniform()) / options.count * seconds
                said, faults = together(
                    command, scratch / str(k), moment, expected
                )
                found.append(faults)
                verdict = "; ".join(faults) or "the same"
                print(
                    f"{name} again after {moment:.1f} s ({said[:70]}): "
                    f"{verdict}",
                    flush=True,
                )
    conclude(found, "pairs")


if __name__ == "__main__":
    main()
