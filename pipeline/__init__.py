"""The TFX pipeline around `wseg_tf`, and its command line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Kinds of artifacts, where a compiled pipeline spec looks for them: it can
# name `package.Class` alone. Imported on first use, since TFX takes long.
_ARTIFACTS = {
    "PixelCounts": "pipeline.ingest.component",
    "PseudoLabels": "pipeline.adaptation.self_training",
    "Quarantine": "pipeline.ingest.component",
    "RoundScores": "pipeline.adaptation.self_training",
    "RunReport": "pipeline.report.reporter",
}


def __getattr__(name: str) -> Any:
    if name not in _ARTIFACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ARTIFACTS[name]), name)
