"""Reads a configuration file, whichever kind of run it describes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.config.adaptation_config import (
    DOMAINS,
    AdaptationConfig,
    DomainOptions,
)
from pipeline.config.beam_options import check_options
from pipeline.config.data_options import STREETS, DataOptions
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.gate.checks import check_rules, check_severities
from wseg_tf import configuration
from wseg_tf.adaptation.target import check_domains
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import is_remote, refuse_irregular
from wseg_tf.training.objectives import build_ground
from wseg_tf.training.recipe import BLESSED

Config = PipelineConfig | AdaptationConfig

# A file with this key adapts; others train on one data set.
ADAPTS = "adaptation"


def load(
    path: str, overrides: Sequence[str] = (), data: str | None = None
) -> Config:
    """Reads the configuration of a run and checks it as a whole.

    Relative paths in the file are relative to its folder, but for `root`;
    those of the command line are relative to where it is typed.

    Args:
        path: A YAML file; remote paths TensorFlow can read are allowed.
        overrides: `key=value` assignments, applied last.
        data: Folder of the data set, of an adaptation that of both domains.

    Returns:
        A `PipelineConfig`, or an `AdaptationConfig` where the file has the
        key `adaptation`.

    Raises:
        ConfigurationError: One sentence that names the file and the field.
    """
    values = configuration.parse(configuration.text_of(path), path)
    place_paths(values, path)
    kind: type[Config] = (
        AdaptationConfig if ADAPTS in values else PipelineConfig
    )
    given = [*overrides, *_data(values, data)]
    configuration.open_remote(*given)
    config: Config = configuration.fill(kind, values, path, given)
    judged = _check_classes(config, path)
    _check_paths(config, path)
    for each in parts(config):
        check_options(config.beam, *each.opened)
    check_rules(config.gate, judged, path)
    try:
        ground = build_ground(config.training.ground, judged)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    check_severities(config.gate, ground, path)
    if isinstance(config, AdaptationConfig):
        for domain in DOMAINS:
            _refuse_nowhere(domain, getattr(config, domain))
    elif data is not None and config.data.dataset == STREETS:
        raise ConfigurationError(
            f"Invalid value for argument `--data`. Expected none, since {path} "
            "draws its images (data.dataset=streets); name the layout of the "
            f"folder with data.dataset. Received: --data {data}."
        )
    return config


def load_pipeline(
    path: str, overrides: Sequence[str] = (), data: str | None = None
) -> PipelineConfig:
    """Reads a configuration that must be one of a single data set.

    Args:
        path: As `load` takes it.
        overrides: As `load` takes them.
        data: As `load` takes it.

    Returns:
        The configuration.

    Raises:
        ConfigurationError: As `load` raises it, and for an adaptation.
    """
    config = load(path, overrides, data)
    if isinstance(config, AdaptationConfig):
        raise ConfigurationError(
            f"Invalid configuration {path}. Expected one that trains on a "
            f"single data set. Received: one with `{ADAPTS}`."
        )
    return config


def parts(config: Config) -> list[PipelineConfig]:
    """Returns the data sets of a run as runs of their own, judged one last.

    Args:
        config: What `load` returned.
    """
    if isinstance(config, AdaptationConfig):
        return [config.of(domain) for domain in DOMAINS]
    return [config]


def place_paths(values: dict[str, Any], path: str) -> None:
    """Makes the paths that a file names relative to its folder, in place.

    Args:
        values: What the file says, as `configuration.parse` returned it: of a
            run, or of a comparison.
        path: The file.
    """
    folder = os.path.dirname(path)

    def place(section: Any, key: str, endings: tuple[str, ...] = ("",)) -> None:
        found = section.get(key) if isinstance(section, dict) else None
        if (
            isinstance(found, str)
            and found.endswith(endings)
            and not is_remote(found)
        ):
            placed = os.path.join(folder, found)
            section[key] = (
                placed if is_remote(path) else os.path.abspath(placed)
            )

    def place_ground(section: Any) -> None:
        if isinstance(section, dict):
            place(section.get("ground"), "file")

    place(values, "schema")
    place(values.get("gate"), "signing_key")
    for name in ("data", *DOMAINS):
        section = values.get(name)
        for key in ("path", "drift_reference"):
            place(section, key)
        for key in ("dataset", "classes"):
            place(section, key, (".yaml", ".yml"))
    for recipe in (values.get("training"), values.get("start")):
        if isinstance(recipe, dict) and recipe.get("initial") != BLESSED:
            place(recipe, "initial")
        place_ground(recipe)
    place(values.get("severity"), "file")
    methods = values.get("methods")
    for method in methods if isinstance(methods, list) else []:
        place_ground(method)


def data_override(field: str, data: str | None) -> list[str]:
    """Returns `--data` as an override.

    Args:
        field: The field that names the folder, e.g. `"data.path"`.
        data: The folder, or None.
    """
    # As JSON, which is YAML: a path may hold colons.
    return [] if data is None else [f"{field}={json.dumps(data)}"]


def _data(values: dict[str, Any], data: str | None) -> Iterator[str]:
    for section in DOMAINS if ADAPTS in values else ("data",):
        yield from data_override(f"{section}.path", data)


def _check_classes(config: Config, path: str) -> ClassSet:
    """Reads what labels mean, once; returns the classes that are judged."""
    try:
        sets = [each.data.layout.classes for each in parts(config)]
        if isinstance(config, AdaptationConfig):
            check_domains(*sets)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return sets[-1]


def named_files(config: Config) -> dict[str, str]:
    """Returns the files that a configuration names, each by its field.

    Args:
        config: What `load` returned.
    """
    named: dict[str, Any] = {
        "schema": config.schema,
        "training.ground.file": config.training.ground.file,
        "gate.signing_key": config.gate.signing_key,
    }
    for section, each in _sections(config).items():
        for key in ("dataset", "classes", "drift_reference"):
            found = getattr(each, key, None)
            is_file = isinstance(found, str) and (
                key == "drift_reference" or found.endswith((".yaml", ".yml"))
            )
            named[f"{section}.{key}"] = found if is_file else None
    return {key: path for key, path in named.items() if path is not None}


def _sections(config: Config) -> dict[str, DataOptions | DomainOptions]:
    """The parts of a configuration that name data, by their keys."""
    if isinstance(config, AdaptationConfig):
        return {domain: getattr(config, domain) for domain in DOMAINS}
    return {"data": config.data}


def _check_paths(config: Config, source: str) -> None:
    """Refuses a path of the wrong kind; what is missing may come yet."""
    for key, path in named_files(config).items():
        if not is_remote(path):
            try:
                refuse_irregular(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                found = f"{path} ({error.strerror})"
                raise _misplaced(key, "a file", found, source) from error
    folders = {"root": config.root}
    for section, each in _sections(config).items():
        if each.path is not None:
            folders[f"{section}.path"] = each.path
    for key, path in folders.items():
        there = not is_remote(path) and os.path.exists(path)
        if there and not os.path.isdir(path):
            raise _misplaced(key, "a folder", path, source)


def _misplaced(
    key: str, expected: str, received: str, source: str
) -> ConfigurationError:
    return ConfigurationError(
        f"Invalid value for `{key}` in {source}. Expected {expected}. "
        f"Received: {received}."
    )


def _refuse_nowhere(domain: str, chosen: DomainOptions) -> None:
    if chosen.path is None and not chosen.is_drawn:
        raise ConfigurationError(
            f"Invalid value for argument `{domain}.path`. Expected the "
            f"folder of the {chosen.dataset} data set; give it with "
            f"{domain}.path=FOLDER. Received: {domain}.path=None."
        )
