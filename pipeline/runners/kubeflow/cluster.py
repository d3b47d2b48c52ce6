"""What every cluster must be told, whichever engine it runs."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from pipeline.config.adaptation_config import DOMAINS, AdaptationConfig
from pipeline.config.data_options import STREETS
from pipeline.config.kubeflow_options import KubeflowOptions, Volume
from pipeline.config.loading import Config, parts
from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import is_remote
from wseg_tf.training.recipe import BLESSED

if TYPE_CHECKING:
    from tfx import v1 as tfx

ACCELERATOR = "nvidia.com/gpu"


def check_cluster(config: Config) -> None:
    """Refuses what no cluster could run; it needs no data.

    Args:
        config: The configuration.

    Raises:
        ConfigurationError: If there is no image, or a path that a step opens
            is neither remote nor on a volume.
    """
    options = config.kubeflow
    if not options.image:
        raise ConfigurationError(
            "Invalid value for argument `kubeflow.image`. Expected the "
            "container image of the steps. Received: kubeflow.image=None."
        )
    recipe = config.training
    opened = {
        "root": config.root,
        "training.initial": None
        if recipe.initial == BLESSED
        else recipe.initial,
        "training.ground.file": recipe.ground.file,
    }
    adapts = isinstance(config, AdaptationConfig)
    for section, part in zip(
        DOMAINS if adapts else ("data",), parts(config), strict=True
    ):
        data = part.data
        if data.dataset.endswith((".yaml", ".yml")):
            opened[f"{section}.dataset"] = data.dataset
        if data.dataset != STREETS:
            opened[f"{section}.path"] = data.path
    for name, path in opened.items():
        if path is not None and not _reachable(path, options.volumes):
            raise ConfigurationError(
                f"Invalid value for argument `{name}`. Expected a remote path "
                "or an absolute one on a volume of `kubeflow.volumes`, since "
                f"the cluster's steps open it. Received: {name}={path!r}."
            )


def _reachable(path: str, volumes: list[Volume]) -> bool:
    if is_remote(path):
        return True
    path = posixpath.normpath(path)
    folders = [volume.path.rstrip("/") + "/" for volume in volumes]
    return any(f"{path}/".startswith(folder) for folder in folders)


def check_steps(options: KubeflowOptions, pipeline: tfx.dsl.Pipeline) -> None:
    """Refuses options of a step there is not.

    Args:
        options: The options.
        pipeline: The pipeline.

    Raises:
        ConfigurationError: If there is no such step; names all there are.
    """
    known = [component.id for component in pipeline.components]
    for step in options.steps:
        if step.name not in known:
            raise ConfigurationError(
                f"Invalid value for argument `kubeflow.steps`. Expected names "
                f"of {known}. Received: name={step.name!r}."
            )
