"""The campaign in short: a rollback that is killed, or lacks things."""

import subprocess
import sys

CODE = """
from tests.faults import kills, surroundings

outcomes = kills.campaign(["rollback"], 2, 0)
faults = [outcome.faults for outcome in outcomes]
faults += surroundings.campaign(["rollback"], 1, 0, "no file may grow")
assert len(faults) == 3
assert not any(faults), faults
"""


def test_a_rollback_ends_the_same_whatever_is_taken_from_it() -> None:
    # Commands are forked, which a process with TensorFlow's threads cannot.
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
