"""What every cluster must be told: refusals, and what a run may change."""

import pytest

from pipeline.commands.screen import USER_ERROR
from pipeline.config.kubeflow_options import Secret, quantity
from pipeline.config.loading import load_pipeline
from pipeline.runners.kubeflow.run_parameters import refuse_fixed
from tests.pipeline.runners.kubeflow.commands import wseg
from tests.pipeline.runners.small import TARGET
from wseg_tf.configuration import ConfigurationError


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["kubeflow.image=null"], "`kubeflow.image`. Expected the container"),
        (["root=runs"], "`root`. Expected a remote path or an absolute one"),
        (["kubeflow.volumes=[]"], "`root`. Expected a remote path"),
        (["training.initial=/a/b"], "`training.initial`. Expected a remote"),
        (["kubeflow.steps.0.name=Train"], "Received: name='Train'"),
        (["kubeflow.default.memory=4GB"], "e.g. 500m or 16Gi. Received: '4GB'"),
        (["kubeflow.default.retries=-1"], "retries`. Expected at least 0"),
        (["kubeflow.secrets=[{name: a}]"], "mount`. Expected a folder, or"),
        (["--out=x.txt"], "`out`. Expected a name that ends in"),
    ],
)
def test_what_no_cluster_could_run_is_one_sentence(
    plain: list[str], changes: list[str], said: str
) -> None:
    code, screen = wseg("compile", *plain, f"--target={TARGET}", *changes)
    assert code == USER_ERROR, screen
    assert said in screen
    assert len(screen.splitlines()) == 1


@pytest.mark.parametrize("value", ["AKIA/secret+value=", "-----BEGIN", "a b"])
def test_a_value_is_no_reference_to_a_secret(value: str) -> None:
    with pytest.raises(ValueError, match="keys of the secret"):
        Secret("store", {"KEY": value + "="})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("root=/other", "root"),
        ("data.drift_limit=2", "data.drift_limit"),
        ("data.validation=more", "data.validation"),
        ("training.initial=blessed", "training.initial"),
        ("kubeflow.image=other", "kubeflow"),
    ],
)
def test_a_run_differs_only_in_what_is_a_parameter(
    plain: list[str], change: str, named: str
) -> None:
    path, *overrides = plain
    compiled = load_pipeline(path, overrides)
    same = ["training.stages.0.epochs=3", "data.limit=1", "kubeflow.host=h"]
    refuse_fixed(compiled, load_pipeline(path, [*overrides, *same]))
    with pytest.raises(ConfigurationError, match=f"argument `{named}`"):
        refuse_fixed(compiled, load_pipeline(path, [*overrides, change]))


def test_quantities_are_those_of_kubernetes() -> None:
    assert quantity("4") == 4
    assert quantity("250m") == 0.25
    assert quantity("3Gi") == 3 * 2**30
    assert quantity("3G") == 3e9
    with pytest.raises(ValueError, match="Received: '3 GB'"):
        quantity("3 GB")
