"""Losses and the confusion metric against those of an earlier tree, in turn.

git worktree add --detach ../base COMMIT
python -m benchmarks.before ../base [--cpu] [--rounds 21] [--json FILE]

Each tree has a process of its own, which times a case when it is asked: the two
processes alternate, and a ratio is that of two neighbours in time. Where others
use the machine too, `--cpu` counts the time of the processor, of one thread.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks import harness, peers

HERE = Path(__file__).resolve().parent
# The last is for `before_cases`.
CPU = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "CPU_TIME"


def main() -> None:
    """Measures, prints and writes."""
    parser = harness.parser(__doc__ or "", rounds=21)
    parser.add_argument("base", type=Path, help="a worktree of what was before")
    parser.add_argument(
        "--only", default="", help="cases with this in the name"
    )
    parser.add_argument(
        "--cpu", action="store_true", help="the processor's time, one thread's"
    )
    options = parser.parse_args()
    one_thread = dict.fromkeys(CPU, "1") if options.cpu else {}
    report = harness.Report("Now against before, logits [2, 360, 480, 19]")
    arrays = dict(harness.street_batch())
    # The cases are this tree's for both; all that they import is their own.
    sides = {
        side: peers.Peers(
            "before_cases",
            arrays,
            sys.executable,
            {
                **os.environ,
                "PYTHONPATH": f"{root}{os.pathsep}{HERE}",
                **one_thread,
            },
            str(root),
        )
        for side, root in (
            ("now", HERE.parent),
            ("before", options.base.resolve()),
        )
    }
    names = [name for name in sides["now"].names if options.only in name]
    for name in names:
        for side, process in sides.items():
            report.add_case(f"{name}, {side}", process.case(name))
        report.goals.append(
            harness.Goal(
                f"{name}: now / before", f"{name}, now", f"{name}, before", 1.05
            )
        )
    report.run(options.rounds)
    harness.show(report)
    harness.write([report], options.json)
    for process in sides.values():
        process.close()


if __name__ == "__main__":
    main()
