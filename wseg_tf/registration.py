"""What Keras must know to load a model: every class that says it is ours.

Importing a module registers its classes. Importing them all takes TensorFlow,
which takes seconds; so they are imported as soon as somebody else has imported
it and Keras, as whoever loads a model must.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULES = (
    "adaptation.objectives",
    "decisions",
    "losses",
    "metrics.streaming",
    "models.convolution",
    "models.deeplab_v3plus",
    "models.dropout",
    "models.enet",
    "models.finetuning",
    "models.pooling",
    "models.preprocessing",
    "training.schedules",
)
LIBRARIES = ("tensorflow", "keras")


def register() -> None:
    """Registers every class that Keras may find in a saved model."""
    for module in MODULES:
        importlib.import_module(f"wseg_tf.{module}")


def register_with_keras() -> None:
    """Registers now or, where Keras is not imported yet, when it is."""
    if _are_there():
        register()
    else:
        # First: the finders after it would find the modules themselves.
        sys.meta_path.insert(0, _Watch())


def _are_there() -> bool:
    return all(name in sys.modules for name in LIBRARIES)


class _Watch(MetaPathFinder):
    """Lets Python import as ever, and registers once it has.

    The libraries import each other, and our modules import them: nothing is
    registered before the outermost of these imports is done.
    """

    def __init__(self) -> None:
        self.running = 0

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Finds what is watched; leaves all else to the other finders."""
        if fullname not in LIBRARIES and not fullname.startswith("wseg_tf."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def watched(module: ModuleType) -> None:
            self.running += 1
            try:
                execute(module)
            finally:
                self.running -= 1
            if self.running == 0 and self in sys.meta_path and _are_there():
                sys.meta_path.remove(self)
                register()

        spec.loader.exec_module = watched  # type: ignore[method-assign]
        return spec
