import json
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from wseg_tf.training.strategy import (
    check_batch,
    choose,
    grow_memory,
    missing_gpu,
    workers,
)


def test_the_memory_of_every_gpu_grows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gpus = [SimpleNamespace(name="GPU:0"), SimpleNamespace(name="GPU:1")]
    grown = []

    def grow(device: Any, enable: bool) -> None:
        if device.name == "GPU:1":
            raise RuntimeError("in use")
        grown.append((device.name, enable))

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    grow_memory()
    assert grown == [("GPU:0", True)]
    assert "GPU:1 is in use" in caplog.text


def test_a_gpu_that_is_asked_for_and_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    for visible in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert missing_gpu("none", "mixed_bfloat16") is None
    asked = {
        "execution.distribute=mirrored": ("mirrored", "float32"),
        "precision=mixed_float16": ("none", "mixed_float16"),
    }
    for named, given in asked.items():
        said = missing_gpu(*given)
        assert said is not None
        assert f"Careful: {named} asks for a GPU" in said
        assert "\n" not in said
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert "CUDA_VISIBLE_DEVICES=0,1 asks" in str(
        missing_gpu("none", "float32")
    )
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["G"])
    assert missing_gpu("mirrored", "mixed_float16") is None


def test_a_batch_must_be_shared_evenly() -> None:
    replicas: Any = SimpleNamespace(num_replicas_in_sync=4)
    check_batch(8, replicas)
    with pytest.raises(ValueError, match=r"multiple of the 4 replicas.*=6"):
        check_batch(6, replicas)


def test_the_chief_is_the_first_machine() -> None:
    def place(task: str, index: int) -> tuple[int, int]:
        spec = tf.train.ClusterSpec(
            {"worker": ["a:1", "b:1"], "chief": ["c:1"]}
        )
        resolver = SimpleNamespace(
            task_type=task, task_id=index, cluster_spec=lambda: spec
        )
        strategy: Any = SimpleNamespace(cluster_resolver=resolver)
        return workers(strategy)

    assert place("chief", 0) == (3, 0)
    assert place("worker", 1) == (3, 2)


def tf_config(*workers: str) -> str:
    return json.dumps({"cluster": {"worker": workers}, "task": {"index": 0}})


@pytest.mark.parametrize("distribute", ["none", "mirrored"])
def test_workers_that_would_train_alone_are_refused(
    monkeypatch: pytest.MonkeyPatch, distribute: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", tf_config("a:1", "b:1"))
    with pytest.raises(ValueError, match=r"`distribute`.*names 2 workers"):
        choose.__wrapped__(distribute)
    monkeypatch.setenv("TF_CONFIG", tf_config("a:1"))
    choose.__wrapped__("none")
    monkeypatch.setenv("TF_CONFIG", "")
    choose.__wrapped__("none")


@pytest.mark.parametrize("text", ["{", "[]", '"a"', '{"cluster": [1]}', "5"])
def test_a_malformed_tf_config_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="variable TF_CONFIG") as caught:
        choose.__wrapped__("none")
    assert "\n" not in str(caught.value)
