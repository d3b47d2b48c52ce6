"""The schema of a data set of one's own: the curated one, and its name."""

from __future__ import annotations

import os
import re

from wseg_tf.configuration import text_of

# The same file as configs/schema.pbtxt.
_CURATED = os.path.join(os.path.dirname(__file__), "schema.pbtxt")
_DATASETS = re.compile(r'(string_domain \{\s*name: "dataset"\n)')


def schema_of(dataset: str) -> str:
    """Returns the schema that lets records of a data set pass.

    Args:
        dataset: The name that the records carry.

    Example:

    >>> 'value: "yard"' in schema_of("yard")
    True
    """
    curated = text_of(_CURATED)
    if f'value: "{dataset}"' in curated:
        return curated
    return _DATASETS.sub(rf'\g<1>  value: "{dataset}"\n', curated)
