import configparser
import contextlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import wseg_tf


def test_ground_matrices_come_without_tensorflow() -> None:
    code = (
        "import sys; from wseg_tf import CAMVID, GroundMatrix; "
        "GroundMatrix.severity_aware(CAMVID); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_public_name_is_there() -> None:
    for name in wseg_tf.__all__:
        assert getattr(wseg_tf, name).__module__.startswith("wseg_tf")


def test_completion_shows_every_name_and_room() -> None:
    shown = dir(wseg_tf)
    assert {*wseg_tf.__all__, "losses", "models", "__version__"} <= {*shown}
    root = Path(wseg_tf.__file__).parent
    rooms = {each.parent.name for each in root.glob("*/__init__.py")}
    assert rooms <= {*shown}
    assert wseg_tf.metrics.Confusion is wseg_tf.Confusion
    for name in wseg_tf.losses.__all__:
        if name.endswith("Loss") and name != "PixelLoss":
            assert name in shown


def test_the_version_has_one_source() -> None:
    config = configparser.ConfigParser()
    config.read(Path(wseg_tf.__file__).parents[1] / "setup.cfg")
    assert config["metadata"]["version"] == "attr: wseg_tf.__version__"
    # Where it is run from its sources, nothing is installed.
    with contextlib.suppress(metadata.PackageNotFoundError):
        assert metadata.version("wseg_tf") == wseg_tf.__version__


def without(names: str, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code as if some packages were not installed."""
    hide = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names.split()}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = (
    lambda name: None if name in {names.split()} else real(name)
)
"""
    return subprocess.run(
        [sys.executable, "-c", hide + code], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        ("typer", "import pipeline.__main__ as m; m.main()", "[pipeline]"),
        ("rich", "import pipeline.__main__ as m; m.main()", "[pipeline]"),
        ("matplotlib", "import wseg_tf; wseg_tf.plots", "[plots]"),
        ("scipy", "from wseg_tf.plots import plot_ground", "[plots]"),
    ],
)
def test_what_is_not_installed_is_one_sentence(
    names: str, code: str, said: str
) -> None:
    done = without(names, code)
    last = done.stderr.strip().splitlines()[-1]
    assert f"install `wseg_tf{said}`" in last
    if "main" in code:
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="WasserstienLoss"):
        _ = wseg_tf.WasserstienLoss
