"""Which pairs a run ingests: found, of an adaptation by domain, and listed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from pipeline.config.adaptation_config import (
    DOMAINS,
    AdaptationConfig,
    DomainOptions,
)
from pipeline.config.data_options import STREETS, DataOptions, StreetsOptions
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.ingest.leaks import find_shared, refuse_shared, write_shared
from pipeline.ingest.manifest import write_manifest
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts.described import find_images
from wseg_tf.data.pairs import Pair
from wseg_tf.data.streets import write_streets


def prepare_manifest(config: PipelineConfig) -> str:
    """Finds the images and labels and lists them for ingest.

    Args:
        config: The configuration.

    Returns:
        The manifest's folder.

    Raises:
        ConfigurationError: If there is no data path, or a model would be
            judged on what it is trained on.
        DataError: If a file has no partner; names it.
    """
    splits = find_splits(config)
    shared = find_shared(splits["train"], splits["eval"])
    refuse_shared(shared, config.gate.allow_shared)
    manifest = _listed(config.folder("manifest"), splits, config.data)
    write_shared(manifest, shared)
    return manifest


def find_splits(config: PipelineConfig) -> dict[str, list[Pair]]:
    """Finds the pairs of both splits; draws the embedded streets.

    Args:
        config: The configuration.

    Returns:
        Pairs by the pipeline's split, `train` and `eval`.

    Raises:
        ConfigurationError: If there is no data path.
        DataError: If a file has no partner; names it.
    """
    data = config.data
    path = data.path
    if data.dataset == STREETS:
        path = _draw(config.folder("streets"), data, data.streets)
    if path is None:
        raise ConfigurationError(
            f"Invalid value for argument `data.path`. Expected the folder of "
            f"the {data.dataset} data set; give it with --data. "
            "Received: data.path=None."
        )
    return {
        split: data.layout.find(path, [own])[: data.limit]
        for split, own in (("train", data.train), ("eval", data.eval))
    }


def prepare_domains(config: AdaptationConfig) -> dict[str, str]:
    """Finds the images and labels of both domains and lists them for ingest.

    Args:
        config: The configuration.

    Returns:
        The manifests' folders, by domain.

    Raises:
        ConfigurationError: If the target is judged on what is trained on.
        DataError: If a file has no partner, or a split would be empty.
    """
    domains: dict[str, DomainOptions] = {
        domain: getattr(config, domain) for domain in DOMAINS
    }
    splits = {
        domain: domain_splits(
            chosen, chosen.path or _draw_domain(config, domain)
        )
        for domain, chosen in domains.items()
    }
    learned = [pair for own in splits.values() for pair in own["train"]]
    shared = find_shared(learned, splits["target"]["eval"])
    refuse_shared(shared, config.gate.allow_shared)
    manifests = {
        domain: _listed(
            config.folder(f"{domain}-manifest"), splits[domain], chosen.data
        )
        for domain, chosen in domains.items()
    }
    write_shared(manifests["target"], shared)
    return manifests


def domain_splits(domain: DomainOptions, path: str) -> dict[str, list[Pair]]:
    """Finds the pairs of a domain by the pipeline's splits.

    Args:
        domain: The domain.
        path: The folder of its data set.

    Returns:
        Pairs of `train` and `eval`.

    Raises:
        DataError: If a file has no partner, or a split would be empty.
    """
    find = domain.data.layout.find
    # What is drawn has drives of other names.
    drives = [] if domain.is_drawn else domain.drives
    if domain.held_out and not domain.is_drawn:
        pairs = find(path, [domain.train])
        first, last = hold_out(_of_drives(pairs, drives), domain.held_out)
        found = {"train": first, "eval": last}
    else:
        judged = find(path, [domain.eval])
        if domain.images is None:
            learned = find(path, [domain.train])
        else:
            named = judged[0].dataset
            learned = find_images(domain.images, path, domain.train, named)
        found = {"train": learned, "eval": judged}
    splits = {
        split: _of_drives(pairs, drives)[: domain.limit]
        for split, pairs in found.items()
    }
    for split, pairs in splits.items():
        if not pairs:
            raise DataError(
                f"{path}: expected pairs of drives {list(drives)} in split "
                f"{getattr(domain, split)!r}. Found: none."
            )
    return splits


def hold_out(
    pairs: Sequence[Pair], share: float
) -> tuple[list[Pair], list[Pair]]:
    """Splits the frames of each drive, in the order of their names.

    Args:
        pairs: The pairs.
        share: Share of each drive's frames that the second part takes.

    Returns:
        The first frames and the last ones.
    """
    first: list[Pair] = []
    last: list[Pair] = []
    ordered = sorted(pairs, key=lambda pair: (pair.drive, pair.name))
    for _, frames in groupby(ordered, key=lambda pair: pair.drive):
        own = list(frames)
        place = len(own) - math.ceil(share * len(own))
        first += own[:place]
        last += own[place:]
    return first, last


def _of_drives(pairs: Sequence[Pair], drives: Sequence[str]) -> list[Pair]:
    return [pair for pair in pairs if not drives or pair.drive in drives]


def _draw_domain(config: AdaptationConfig, domain: str) -> str:
    data = getattr(config, domain).data
    return _draw(config.folder(f"{domain}-streets"), data, data.streets)


def _draw(folder: str, data: DataOptions, streets: StreetsOptions) -> str:
    write_streets(
        folder,
        counts={data.train: streets.train, data.eval: streets.eval},
        size=(streets.height, streets.width),
        seed=streets.seed,
        look=streets.look,
    )
    return folder


def _listed(
    folder: str, pairs: dict[str, list[Pair]], data: DataOptions
) -> str:
    return write_manifest(folder, pairs, data.layout, data.shard_megabytes)
