"""Which code opens a path past TensorFlow's and Beam's filesystems."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What opens files of this machine alone, by the name that is called.
LOCAL_FUNCTIONS = {
    "open",
    "os.listdir",
    "os.makedirs",
    "os.mkdir",
    "os.open",
    "os.path.exists",
    "os.path.getmtime",
    "os.path.getsize",
    "os.path.isdir",
    "os.path.isfile",
    "os.remove",
    "os.rename",
    "os.replace",
    "os.scandir",
    "os.stat",
    "os.unlink",
    "os.walk",
}
LOCAL_MODULES = ("glob.", "shutil.", "zipfile.", "h5py.", "sqlite3.")
LOCAL_METHODS = {
    "exists",
    "glob",
    "iterdir",
    "mkdir",
    "read_bytes",
    "read_text",
    "rglob",
    "unlink",
    "write_bytes",
    "write_text",
}
TENSORFLOW = ("tf.io.gfile.", "gfile.")

# Each with the reason why no remote path can come there.
ALLOWED = {
    ("wseg_tf/array_files.py", "ZipFile"): "bytes in memory",
    ("wseg_tf/code.py", "open"): "beside a module, which Python imports",
    ("wseg_tf/code.py", "os.path.isdir"): "beside a module, likewise",
    ("wseg_tf/code.py", "os.path.isfile"): "beside a module, likewise",
    (
        "pipeline/ingest/manifest.py",
        "os.stat",
    ): "a local file's date to the nanosecond",
    ("pipeline/machines.py", "open"): "this machine's processor",
    ("pipeline/report/provenance.py", "os.walk"): "this project's own sources",
    ("pipeline/gate/candidates.py", "File"): "a local copy",
    ("pipeline/gate/candidates.py", "ZipFile"): "a local copy",
    ("pipeline/gate/candidates.py", "is_zipfile"): "a local copy",
    (
        "pipeline/commands/arguments.py",
        "os.path.isdir",
    ): "a local folder that is named as a file",
    ("pipeline/commands/run.py", "os.path.exists"): "the log, which is local",
    ("pipeline/commands/run.py", "os.path.getmtime"): "the log, which is local",
    ("pipeline/runners/local.py", "os.makedirs"): "the log, which is local",
    ("pipeline/commands/doctor.py", "disk_usage"): "where a root is local",
    ("pipeline/commands/predict.py", "glob"): "a pattern that is local",
    ("pipeline/commands/screen.py", "open"): "/dev/null",
    ("pipeline/commands/doctor.py", "os.path.exists"): "this machine's own",
    ("pipeline/commands/doctor.py", "os.path.isdir"): "where a root is local",
    ("pipeline/commands/outputs.py", "os.path.isdir"): "where a path is local",
    ("pipeline/commands/outputs.py", "os.stat"): "where a path is local",
    ("pipeline/config/loading.py", "os.path.exists"): "where a path is local",
    ("pipeline/config/loading.py", "os.path.isdir"): "where a path is local",
    (
        "pipeline/release/metadata_file.py",
        "connect",
    ): "SQLite, which is local",
    (
        "pipeline/release/metadata_file.py",
        "os.path.exists",
    ): "SQLite, which is local",
    (
        "pipeline/release/metadata_file.py",
        "os.path.getsize",
    ): "SQLite, which is local",
    (
        "pipeline/release/metadata_file.py",
        "os.path.isfile",
    ): "SQLite, which is local",
    (
        "pipeline/release/repair.py",
        "connect",
    ): "SQLite, which is local",
    (
        "pipeline/release/repair.py",
        "os.remove",
    ): "SQLite, which is local",
    (
        "pipeline/release/repair.py",
        "os.replace",
    ): "SQLite, which is local",
    ("wseg_tf/filesystems.py", "os.stat"): "where a path is local",
    ("wseg_tf/filesystems.py", "read_bytes"): "where a path is local",
    ("wseg_tf/filesystems.py", "write_bytes"): "where a path is local",
    (
        "wseg_tf/data/discovery/paths.py",
        "os.path.isfile",
    ): "where a path is local",
    ("wseg_tf/data/pairs.py", "os.scandir"): "where a path is local",
    ("wseg_tf/models/torch_files.py", "ZipFile"): "bytes that were read",
    ("wseg_tf/models/torch_files.py", "is_zipfile"): "bytes that were read",
    ("wseg_tf/models/weight_files.py", "File"): "bytes that were read",
    ("wseg_tf/models/weight_files.py", "ZipFile"): "bytes that were read",
    ("wseg_tf/models/weight_files.py", "get_info"): "bytes that were read",
    ("wseg_tf/models/weight_files.py", "is_zipfile"): "bytes that were read",
    ("wseg_tf/code.py", "read_text"): "this project's sources",
    ("wseg_tf/code.py", "rglob"): "this project's sources",
    ("wseg_tf/locks.py", "os.makedirs"): "locks are of this machine",
    ("wseg_tf/locks.py", "read_text"): "locks are of this machine",
    ("wseg_tf/locks.py", "unlink"): "locks are of this machine",
    ("wseg_tf/locks.py", "write_text"): "locks are of this machine",
}


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def is_local(name: str) -> bool:
    if name.startswith(TENSORFLOW):
        return False
    method = name.rpartition(".")[2]
    return (
        name in LOCAL_FUNCTIONS
        or name.startswith(LOCAL_MODULES)
        or ("." in name and method in LOCAL_METHODS)
    )


def found() -> set[tuple[str, str]]:
    return {
        (
            str(path.relative_to(ROOT)),
            name if name in LOCAL_FUNCTIONS else name.rpartition(".")[2],
        )
        for package in ("wseg_tf", "pipeline")
        for path in (ROOT / package).rglob("*.py")
        for name in calls(path)
        if is_local(name) and not name.startswith(("self.", "zipfile.Bad"))
    }


def test_no_path_is_opened_past_the_filesystems() -> None:
    assert found() == {*ALLOWED}


def test_the_search_sees_what_it_is_for() -> None:
    assert is_local("open")
    assert is_local("Path(path).read_text")
    assert is_local("shutil.rmtree")
    assert not is_local("tf.io.gfile.exists")
