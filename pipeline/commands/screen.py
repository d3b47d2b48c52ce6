"""What commands say, and how they refuse."""

from __future__ import annotations

import os
import sys
import warnings
from typing import NoReturn

from rich.console import Console

USER_ERROR = 2
INTERRUPTED = 130

SCREEN = Console(highlight=False, soft_wrap=True)
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Prints a line as it stands: paths may hold square brackets."""
    SCREEN.print(text, markup=False)


def refuse(sentence: object) -> NoReturn:
    """Ends the program with one sentence and exit code 2."""
    ERRORS.print(str(sentence), markup=False)
    sys.exit(USER_ERROR)


def quiet_imports() -> None:
    """Keeps what libraries say while they load off the screen."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    # Beam workers in other processes load them again.
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
