"""What every runner needs: the listed data, and what makes the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tfx import v1 as tfx

from pipeline.adaptation.graph import create_adaptation_pipeline
from pipeline.config.adaptation_config import AdaptationConfig
from pipeline.config.contents import keep_config, resolved
from pipeline.config.loading import Config
from pipeline.graph import Engine, create_pipeline
from pipeline.ingest.listing import prepare_domains, prepare_manifest

Build = Callable[[Engine], tfx.dsl.Pipeline]


@dataclass(frozen=True)
class Prepared:
    """A run whose data are listed.

    Args:
        manifests: What was listed, a folder for each domain.
        build: Makes the graph for an engine.
    """

    manifests: list[str]
    build: Build


def prepare(config: Config) -> Prepared:
    """Turns words and paths into values and lists the data.

    Args:
        config: What `load` returned.

    Raises:
        ConfigurationError: If there is no data path, or no schema.
        DataError: If a file has no partner; names it.
    """
    written = keep_config(config)
    if isinstance(config, AdaptationConfig):
        adapted = resolved(config)
        listed = prepare_domains(config)
        return Prepared(
            [*listed.values()],
            lambda engine: create_adaptation_pipeline(
                adapted, listed, written, engine
            ),
        )
    plain, manifest = resolved(config), prepare_manifest(config)
    return Prepared(
        [manifest],
        lambda engine: create_pipeline(plain, manifest, written, engine),
    )
