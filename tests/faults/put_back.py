"""Puts faults back into a copy of the code; each must be found.

python -m tests.faults.put_back

A campaign that finds nothing proves something only if it finds these.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("wseg_tf", "pipeline", "tests", "configs", "conftest.py", "setup.cfg")
RELEASE = "tests/pipeline/release"


@dataclass(frozen=True)
class Fault:
    """A fault, and what finds it.

    Args:
        name: What is missing then.
        file: Where it is put.
        text: What is there.
        replaced: What is put in its place.
        finds: What `python -m` is given, which must fail then.
    """

    name: str
    file: str
    text: str
    replaced: str
    finds: tuple[str, ...]


FAULTS = (
    Fault(
        "a lock",
        "wseg_tf/locks.py",
        "lock.acquire(timeout=wait)",
        "pass",
        ("pytest", "tests/wseg_tf/test_locks.py"),
    ),
    Fault(
        "the digests between steps",
        "pipeline/gate/digests.py",
        "if found != noted:",
        "if False:",
        ("pytest", f"{RELEASE}/test_releases.py"),
    ),
    Fault(
        "the signature's check",
        "pipeline/release/statement.py",
        "if key is not None and not _is_signed(folder, key):",
        "if False:",
        ("pytest", f"{RELEASE}/test_statement.py"),
    ),
    Fault(
        "ranges of numbers",
        "wseg_tf/ranges.py",
        "        if bad:",
        "        if False:",
        ("tests.faults.texts", "--count", "2200"),
    ),
    Fault(
        "repeated keys refused",
        "wseg_tf/configuration.py",
        "if scalar and mark in lines:",
        "if False:",
        ("pytest", "tests/wseg_tf/test_configuration.py"),
    ),
    Fault(
        "a rollback's intent",
        "pipeline/release/releases.py",
        "    decisions.intend(root, decision)\n",
        "",
        ("tests.faults.kills", "--only", "rollback", "--count", "60"),
    ),
    Fault(
        "a lost metadata file told",
        "pipeline/release/metadata_file.py",
        "    if found is None and made(root):",
        "    if False:",
        ("pytest", f"{RELEASE}/test_metadata_file.py"),
    ),
    Fault(
        "numbers of executions kept",
        "pipeline/release/repair.py",
        "[max(last or 0, *made(root), 0)]",
        "[0]",
        ("pytest", f"{RELEASE}/test_repair.py"),
    ),
    Fault(
        "void pixels being void",
        "wseg_tf/transport/softmax.py",
        "lambda: tf.nn.log_softmax(zero_void(logits, valid)),",
        "lambda: logarithms,",
        ("tests.faults.numbers", "--count", "400", "--every", "4"),
    ),
    Fault(
        "a label's stored numbers",
        "wseg_tf/data/decoding.py",
        "    if depth < 8:",
        "    if False:",
        ("pytest", "tests/wseg_tf/data/test_checks.py"),
    ),
)


def is_found(fault: Fault, scratch: Path) -> bool:
    """Whether what finds a fault fails with it, and passes without.

    Args:
        fault: The fault.
        scratch: A copy of the code; it is as it was afterwards.
    """
    path = scratch / fault.file
    whole = path.read_text()
    if fault.text not in whole:
        raise ValueError(f"{fault.file}: expected {fault.text!r}. Found: none.")
    if _code(fault.finds, scratch):
        raise ValueError(f"{fault.finds} fails without the fault.")
    path.write_text(whole.replace(fault.text, fault.replaced))
    try:
        return _code.__wrapped__(fault.finds, scratch) == 1
    finally:
        path.write_text(whole)


@functools.cache
def _code(finds: tuple[str, ...], scratch: Path) -> int:
    command = [sys.executable, "-m", *finds]
    if finds[0] == "pytest":
        command += ["-x", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=scratch,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(scratch)},
    )
    return done.returncode


def main() -> None:
    """Tries each fault; exit code 1 if one is not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="faults with this in them")
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder, name)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)
        for fault in FAULTS:
            if options.only in fault.name:
                found = is_found(fault, Path(folder))
                missed += not found
                verdict = "found" if found else "MISSED"
                finder = " ".join(fault.finds)
                print(
                    f"without {fault.name}: {verdict} by {finder}", flush=True
                )
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
