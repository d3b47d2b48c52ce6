"""What commands say, and how they refuse."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import NoReturn

from rich.console import Console
from rich.table import Table

FAILURE = 1
USER_ERROR = 2
REFUSED = 3
INTERRUPTED = 130
STANDARD_ERROR = 2  # the file descriptor
LONGEST = 600  # characters of a sentence
LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Everything is printed as it stands: names and paths may hold brackets.
SCREEN = Console(markup=False, highlight=False, soft_wrap=True)
ERRORS = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Prints lines; a name in them is no command to the terminal."""
    SCREEN.print(_plain(text))


def refuse(sentence: object) -> NoReturn:
    """Ends the program with one sentence and exit code 2."""
    ERRORS.print(shortened(str(sentence)))
    sys.exit(USER_ERROR)


def quiet_imports() -> None:
    """Keeps what libraries say while they load off the screen."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    # Beam workers in other processes load them again.
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    # TensorFlow 2.21 says there what it was asked above not to say.
    with quiet_native():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def quiet_native() -> Iterator[None]:
    """Keeps what C++ says off the screen; what goes wrong there is raised."""
    sys.stderr.flush()
    kept = os.dup(STANDARD_ERROR)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), STANDARD_ERROR)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, STANDARD_ERROR)
        os.close(kept)


def keep_loopback_direct() -> None:
    """Keeps what this machine says to itself off a proxy.

    Processes of one machine, such as Beam's workers, would wait for ever.
    """
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        given = os.environ.get(name, os.environ.get("no_proxy", ""))
        hosts = [each.strip() for each in given.split(",") if each.strip()]
        missing = [each for each in LOOPBACK if each not in hosts]
        os.environ[name] = ",".join([*hosts, *missing])


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turns what a user can mend into one sentence and exit code 2.

    For reading arguments and files: here every ValueError is a refusal.
    """
    quiet_imports()
    try:
        with interruptible():
            yield
    except ValueError as error:
        refuse(first_line(error))
    except Exception as error:
        sentence = of_files(error)
        if sentence is None:
            raise
        refuse(sentence)


def of_files(error: Exception) -> str | None:
    """Says what could not be read or written, or returns None for another."""
    import tensorflow as tf

    if isinstance(error, tf.errors.OpError):
        return f"Cannot be read or written: {first_line(error)}"
    if isinstance(error, OSError):
        place = "" if error.filename is None else f"{error.filename}: "
        return f"Cannot be read or written: {place}{error.strerror or error}"
    if isinstance(error, RuntimeError):
        # A Beam worker in another process sends its traceback as text.
        found = re.search(r"\bDataError: (.+)", str(error))
        return found and found[1].partition(" [while running")[0]
    return None


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ends quietly on Ctrl-C, also where a library makes an error of it."""
    from wseg_tf.training.interruption import terminable

    try:
        with terminable(signal.SIGINT):
            yield
    except KeyboardInterrupt:
        ERRORS.print("Interrupted; nothing was kept.")
        sys.exit(INTERRUPTED)


def fail(error: Exception, story: str | None = None) -> NoReturn:
    """Ends the program with one sentence and exit code 1.

    Args:
        error: What went wrong.
        story: The file that tells more, if there is one.
    """
    named = f"{type(error).__name__}: {first_line(error)}"
    ERRORS.print(f"Failed: {shortened(named)}")
    if story is not None:
        ERRORS.print(f"The whole story is in {story}")
    sys.exit(FAILURE)


def first_line(error: BaseException) -> str:
    """The sentence of an error, without what libraries add to it."""
    line = str(getattr(error, "message", error)).partition("\n")[0]
    # The operation in which Python raised it.
    line = re.sub(r"^\{\{.*?\}\} ", "", line)
    return shortened(line.partition(" [while running")[0])


def _plain(text: str) -> str:
    return "".join(
        each
        if each.isprintable() or each == "\n"
        else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def shortened(text: str) -> str:
    """A text as a screen can show it: no control characters, and not endless.

    What is expected stands at its beginning, what was received at its end.
    """
    plain = _plain(text)
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST // 2]} ... {plain[5 - LONGEST // 2 :]}"


def iou_table(title: str, rows: Iterable[tuple[str, str, float]]) -> Table:
    """A table of IoUs; groups and the mean stand out.

    Args:
        title: Written above.
        rows: What `wseg_tf.metrics.table.iou_rows` returned.
    """
    table = Table(title=title)
    table.add_column("")
    table.add_column("IoU", justify="right")
    for name, kind, iou in rows:
        value = f"{iou:.3f}" if math.isfinite(iou) else "absent"
        table.add_row(name, value, style="" if kind == "class" else "bold")
    return table
