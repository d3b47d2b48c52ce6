"""`wseg doctor`: what works here, what would not, and the cure."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from rich.table import Table

from pipeline.commands.arguments import Dataset, JsonFile
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import FAILURE, SCREEN, first_line, refusals, say
from wseg_tf.filesystems import is_remote

# Everything heavy is imported inside the commands, as in pipeline.commands.run.

GIB = 2**30
# A small run's records, metadata and models; ingest keeps images once more.
LEAST_DISK, LEAST_MEMORY = 5, 4
NEEDED = "wseg_tf[pipeline]"
# The package, what needs it, and the extra that brings it.
PACKAGES = (
    ("tensorflow", "everything", NEEDED),
    ("keras", "everything", NEEDED),
    ("tfx", "`wseg run`", NEEDED),
    ("apache-beam", "`wseg run`, `wseg data`", NEEDED),
    ("matplotlib", "plots and reports", "wseg_tf[plots]"),
    ("keras-cv", "deeplab_v3plus, fpn_efficientnet_lite0", "wseg_tf[models]"),
    (
        "tensorflow-addons",
        "averaging, AdamW of Keras 2, on Python 3.10",
        "wseg_tf[addons]",
    ),
    ("tf2onnx", "`wseg export --format onnx`", "wseg_tf[export]"),
    ("tensorflow-io", "s3://, on Python 3.10", "wseg_tf[s3]"),
    ("kfp", "`wseg compile`, `wseg submit`", "wseg_tf[kubeflow]"),
)
NVIDIA = "/proc/driver/nvidia/version"


@dataclass(frozen=True)
class Finding:
    """One line of what was looked at.

    Args:
        name: What.
        found: What was found.
        cure: What to do about it; empty where nothing is wrong.
        stops: Whether `wseg run` cannot work with it.
    """

    name: str
    found: str
    cure: str = ""
    stops: bool = False


def doctor(
    root: Annotated[str, typer.Option(help="Where runs are kept.")] = "runs",
    data: Annotated[
        str, typer.Option(help="Folder of a data set to look at.")
    ] = "",
    dataset: Dataset = "camvid",
    report: JsonFile = None,
) -> None:
    """Says what works here and what would not; exit code 1 if a run cannot."""
    target = json_target(report)
    say("Looking (TensorFlow takes a quarter of a minute) ...")
    with refusals():
        from pipeline.commands.outputs import check_outputs

        check_outputs(target, [dataset])
        findings = [
            python(),
            *packages(),
            accelerators(),
            *machine(root),
            *([images(data, dataset)] if data else []),
        ]
        write_json(report, [asdict(each) for each in findings])
    table = Table()
    for heading in ("", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for each in findings:
        style = "bold red" if each.stops else ""
        table.add_row(each.name, each.found, each.cure, style=style)
    SCREEN.print(table)
    stopped = [each.name for each in findings if each.stops]
    if stopped:
        say(f"`wseg run` cannot work here: {', '.join(stopped)}.")
        sys.exit(FAILURE)
    say("`wseg run` can work here.")


def python() -> Finding:
    """The interpreter; the pipeline was tried on two."""
    found = platform.python_version()
    if found.rpartition(".")[0] in ("3.10", "3.11"):
        return Finding("Python", found)
    cure = "the pipeline needs 3.10 or 3.11; the library takes this one"
    return Finding("Python", found, cure, stops=True)


def packages() -> Iterator[Finding]:
    """What is installed, and what would not work without the rest."""
    for package, user, extra in PACKAGES:
        try:
            yield Finding(package, version(package))
        except PackageNotFoundError:
            yield Finding(
                package,
                "not here",
                f"for {user}: pip install '{extra}'",
                stops=extra == NEEDED,
            )


def accelerators() -> Finding:
    """GPUs that TensorFlow sees, or a card that it does not."""
    from pipeline import machines

    seen = machines.accelerators()
    if seen:
        return Finding("GPU", f"{len(seen)}: {', '.join(seen)}")
    if os.path.exists(NVIDIA):
        return Finding(
            "GPU",
            "there, but not seen by TensorFlow",
            "install locks/gpu.txt, or look for what TensorFlow says at its "
            "import with TF_CPP_MIN_LOG_LEVEL=0",
        )
    return Finding("GPU", "none: everything runs on the processors")


def machine(root: str) -> Iterator[Finding]:
    """Cores, memory, and whether there is room where runs are kept."""
    cores = len(os.sched_getaffinity(0))
    yield Finding("processors", str(cores))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    small = memory < LEAST_MEMORY
    yield Finding(
        "memory",
        f"{memory:.0f} GiB",
        f"a run wants {LEAST_MEMORY} GiB" if small else "",
    )
    if is_remote(root):
        yield Finding("room for runs", f"{root}: not looked at, it is remote")
        return
    place = os.path.abspath(root)
    while not os.path.exists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place) or not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            "room for runs",
            f"{place} cannot be written to",
            "name another folder: wseg run CONFIG root=PATH",
            stops=True,
        )
        return
    free = shutil.disk_usage(place).free / GIB
    yield Finding(
        "room for runs",
        f"{free:.0f} GiB free at {place}",
        f"a small run wants {LEAST_DISK} GiB" if free < LEAST_DISK else "",
    )


def images(data: str, dataset: str) -> Finding:
    """How many pairs of images and labels a folder holds, by split."""
    from wseg_tf.data.layouts import find_pairs

    try:
        pairs = find_pairs(dataset, data)
    except ValueError as error:
        return Finding("data", "cannot be read", first_line(error), stops=True)
    counted = Counter(pair.split for pair in pairs)
    splits = ", ".join(f"{split} {count}" for split, count in counted.items())
    return Finding("data", f"pairs: {splits}")
