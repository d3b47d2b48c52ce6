"""A small run as one environment left it, kept for the other to read.

    python -m tests.environments.kept_run

writes that of the environment it runs in; it is in the repository.
"""

import os
import shutil
import sqlite3
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import numpy as np
from typer.testing import CliRunner

from pipeline.cli import app
from tests.pipeline.runners.small import ARGO, SHORT
from wseg_tf.data.input import read_records
from wseg_tf.serving import ServedModel

CONFIG = str(Path(__file__).parents[2] / "configs" / "demo.yaml")
# So narrow that its weights take a few kilobytes.
OVERRIDES = [*SHORT, "training.channel_factor=0.01"]
OTHER = "tfx-1.21" if ARGO else "tfx-1.15"
KEPT = (
    "metadata.sqlite",
    "serving",
    "pipeline/Ingest/examples",
    "pipeline/Trainer/model",
)
PATHS = {
    "Artifact": "uri",
    "ArtifactProperty": "string_value",
    "ExecutionProperty": "string_value",
}
PLACE = "{ROOT}"  # Where the run was, in its metadata.


def unpack(name: str, folder: Path) -> Path:
    """Returns the folder of the pipeline of a kept run.

    Args:
        name: `tfx-1.15` or `tfx-1.21`.
        folder: Where it is to be; the root of runs.
    """
    with tarfile.open(Path(__file__).with_name(f"{name}.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    _say_where(folder / "demo" / "metadata.sqlite", PLACE, str(folder))
    return folder / "demo"


def _say_where(database: Path, before: str, after: str) -> None:
    with sqlite3.connect(database) as connection:
        for table, column in PATHS.items():
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                (before, after),
            )
    connection.execute("VACUUM")
    connection.close()


def images(pipeline: Path) -> list[bytes]:
    """Returns the encoded images of a run's evaluation set."""
    pattern = pipeline / "pipeline/Ingest/examples/*/Split-eval/*"
    return [
        record["image/encoded"].numpy()
        for record in read_records(str(pattern), "")
    ]


def main() -> None:
    """Runs the pipeline and packs what the other environment reads."""
    with tempfile.TemporaryDirectory() as root:
        with mock.patch("getpass.getuser", return_value="somebody"):
            done = CliRunner().invoke(
                app, ["run", CONFIG, *OVERRIDES, f"root={root}"]
            )
        assert done.exit_code == 0, done.output
        made, kept = Path(root, "demo"), Path(root, "kept", "demo")
        (served,) = (made / "serving").iterdir()
        model = ServedModel(str(served))
        found = [model.segment(image) for image in images(made)]
        for name in KEPT:
            if (made / name).is_dir():
                shutil.copytree(made / name, kept / name)
            else:
                os.makedirs((kept / name).parent, exist_ok=True)
                shutil.copy(made / name, kept / name)
        np.save(kept / "classes.npy", np.stack(found))
        _say_where(kept / "metadata.sqlite", root, PLACE)
        name = f"tfx-{version('tfx').rpartition('.')[0]}.tar.xz"
        with tarfile.open(Path(__file__).with_name(name), "w:xz") as archive:
            archive.add(kept, "demo", filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
