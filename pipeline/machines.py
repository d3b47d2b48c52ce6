"""The machines of a training, noted beside what it left."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass

import tensorflow as tf

from wseg_tf.filesystems import write_whole
from wseg_tf.json_files import read_json

MACHINES = "machines.json"


@dataclass(frozen=True)
class Machine:
    """A machine, as far as it is known.

    Args:
        system: Its operating system.
        processor: The processor's name.
        cores: How many.
        memory_gib: Its memory.
        accelerators: Names of the GPUs that TensorFlow sees.
    """

    system: str
    processor: str
    cores: int | None
    memory_gib: float | None
    accelerators: tuple[str, ...]


def this_machine() -> Machine:
    """Returns the machine that this program runs on."""
    return Machine(
        platform.platform(),
        _processor(),
        os.cpu_count(),
        _memory(),
        accelerators(),
    )


def accelerators() -> tuple[str, ...]:
    """Returns the names of the GPUs that TensorFlow sees."""
    return tuple(
        str(
            tf.config.experimental.get_device_details(each).get(
                "device_name", each.name
            )
        )
        for each in tf.config.list_physical_devices("GPU")
    )


def note_machine(folder: str) -> None:
    """Adds this machine to those of a training; once, if it goes on there.

    Args:
        folder: Where the training keeps its checkpoints.
    """
    found = [*machines_of(folder), this_machine()]
    _write(folder, list(dict.fromkeys(found)))


def hand_over(folder: str, target: str) -> None:
    """Writes a training's machines beside its history.

    Args:
        folder: Where the training kept its checkpoints.
        target: The folder of its history.
    """
    _write(target, machines_of(folder))


def machines_of(folder: str) -> list[Machine]:
    """Returns the machines that a training ran on, the first one first.

    Args:
        folder: Where it keeps its checkpoints, or its history.

    Returns:
        None of them, if none was noted.

    Raises:
        ValueError: If what was noted cannot be read.
    """
    path = os.path.join(folder, MACHINES)
    if not tf.io.gfile.exists(path):
        return []
    found: list[Machine] = read_json(path, list[Machine])
    return found


def _write(folder: str, machines: list[Machine]) -> None:
    text = json.dumps([asdict(each) for each in machines], indent=1)
    write_whole(os.path.join(folder, MACHINES), text)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    except OSError:  # Not Linux.
        pass
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return round(pages * size / 2**30, 1)
