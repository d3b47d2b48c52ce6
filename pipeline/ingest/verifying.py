"""Records are what Ingest wrote, or the step that reads them stops."""

from __future__ import annotations

import os
from typing import Any

from tfx.types import artifact_utils

from pipeline.gate.digests import COUNTED, verify
from pipeline.ingest.pixel_counts import STATISTICS


def verify_records(examples: Any, splits: list[str] | None = None) -> None:
    """Holds records, and what was counted in them, to what was noted.

    Args:
        examples: TFX's artifact.
        splits: Splits to hold. Defaults to all of them.

    Raises:
        DataError: If one was changed since; names it.
    """
    for split in splits or artifact_utils.decode_split_names(
        examples.split_names
    ):
        folder = artifact_utils.get_split_uri([examples], split)
        verify(examples, folder, split)
    verify(examples, os.path.join(examples.uri, STATISTICS), COUNTED)
