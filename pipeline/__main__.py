"""The `wseg` command's front door: says in a sentence what is not installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

MISSING = 2
INTERRUPTED = 130
OWN = ("pipeline", "wseg_tf")


def main() -> None:
    """Runs the command line, or says what to install for it."""
    try:
        from pipeline.cli import main as run

        run()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OWN or (package and find_spec(package)):
            raise
        sentence = str(error)
        if "wseg_tf[" not in sentence:
            sentence = (
                f"wseg needs the Python package {package!r}, which is not "
                "here: install `wseg_tf[pipeline]`."
            )
        print(sentence, file=sys.stderr)
        sys.exit(MISSING)
    except KeyboardInterrupt:
        # While it was loading; commands say what they keep.
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
