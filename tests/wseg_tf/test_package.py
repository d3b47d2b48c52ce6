import subprocess
import sys

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


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="WasserstienLoss"):
        _ = wseg_tf.WasserstienLoss
