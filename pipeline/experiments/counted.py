"""What was counted, kept beside the weights under the key of what decides it.

A file says itself of which key it is: under another's name it is not taken.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.experiments.keys import short
from wseg_tf.array_files import parse_arrays
from wseg_tf.filesystems import read_bytes, write_whole
from wseg_tf.metrics.confusion import Counts

LOG = logging.getLogger("wseg_tf.experiments")
_KEY = "key"


def once(
    folder: str,
    name: str,
    key: Mapping[str, Any],
    count: Callable[[], Mapping[str, Counts]],
) -> dict[str, Counts]:
    """Returns what was counted, and counts if nobody did.

    Args:
        folder: Where the weights lie.
        name: What is counted, e.g. `"counts"`.
        key: Everything that decides the counts.
        count: Counts; arrays by name.

    Returns:
        What `count` returns, or returned.
    """
    path = os.path.join(folder, f"{name}-{short(key)}.npz")
    text = json.dumps(key, sort_keys=True)
    try:
        found = parse_arrays(read_bytes(path), path)
        if str(found.pop(_KEY, "")) == text:
            return found
        LOG.warning("%s is of something else; it is counted anew.", path)
    except FileNotFoundError:
        pass
    except ValueError:
        LOG.warning("%s is damaged; it is counted anew.", path)
    found = {**count()}
    content = io.BytesIO()
    np.savez_compressed(content, **found, **{_KEY: np.array(text)})
    write_whole(path, content.getvalue())
    return found
