"""What a command's table says, as JSON: to a file, or alone to the screen."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from pipeline.commands.screen import SCREEN

STANDARD = "-"


def json_target(path: str | None) -> list[str]:
    """Returns the file that is going to be written, for `check_outputs`.

    Where the JSON goes to the screen, all else goes to standard error.

    Args:
        path: What `--json` was given.
    """
    if path == STANDARD:
        SCREEN.stderr = True
    return [path] if path not in (None, STANDARD) else []


def write_json(path: str | None, values: object) -> None:
    """Writes plain values as JSON; NaN and infinity, which it lacks, as null.

    Args:
        path: What `--json` was given; nothing is written where it was not.
        values: Dicts, lists and scalars.
    """
    if path is None:
        return
    text = json.dumps(_plain(values), indent=2, allow_nan=False) + "\n"
    if path == STANDARD:
        sys.stdout.write(text)
        return
    from wseg_tf.filesystems import write_whole

    write_whole(path, text)


def _plain(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _plain(each) for key, each in values.items()}
    if isinstance(values, (list, tuple)):
        return [_plain(each) for each in values]
    is_number = isinstance(values, float)
    return None if is_number and not math.isfinite(values) else values
