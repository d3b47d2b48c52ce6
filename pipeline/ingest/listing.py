"""Which pairs a run ingests: found, of an adaptation by domain, and listed."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from operator import itemgetter

from pipeline.config.adaptation_config import (
    DOMAINS,
    AdaptationConfig,
    DomainOptions,
)
from pipeline.config.data_options import STREETS, DataOptions, StreetsOptions
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.ingest.leaks import (
    named,
    refuse_shared,
    shared_of,
    write_shared,
)
from pipeline.ingest.manifest import Listed, with_files, write_listed
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts.described import image_rows
from wseg_tf.data.pairs import Pair
from wseg_tf.data.rows import Rows
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
    listed = _with_files(split_rows(config))
    validated = listed.get("validation", Rows([]))
    twice = shared_of(listed["train"], validated).images
    if twice:
        raise ConfigurationError(
            "Invalid value for argument `data.validation`. Expected images "
            "that are not trained on. Received: data.validation="
            f"{config.data.validation!r}, of which {named(twice)} are."
        )
    shared = dataclasses.replace(
        shared_of(Rows(chain(listed["train"], validated)), listed["eval"]),
        validated=bool(validated),
    )
    refuse_shared(shared, config.gate.allow_shared)
    manifest = _written(config.folder("manifest"), listed, config.data)
    write_shared(manifest, shared)
    return manifest


def find_splits(config: PipelineConfig) -> dict[str, list[Pair]]:
    """Finds the pairs of each split, see `split_rows`."""
    return {split: [*own] for split, own in split_rows(config).items()}


def split_rows(config: PipelineConfig) -> dict[str, Rows[Pair]]:
    """Finds the pairs of each split; draws the embedded streets.

    Args:
        config: The configuration.

    Returns:
        Pairs by the pipeline's split: `train`, `eval` and, if the
        configuration names one, `validation`.

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
        split: _limited(data.layout.rows(path, [own]), data.limit)
        for split, own in data.splits.items()
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
    listed = {
        domain: _with_files(
            domain_rows(chosen, chosen.path or _draw_domain(config, domain))
        )
        for domain, chosen in domains.items()
    }
    learned = Rows(chain(*(own["train"] for own in listed.values())))
    shared = shared_of(learned, listed["target"]["eval"])
    refuse_shared(shared, config.gate.allow_shared)
    manifests = {
        domain: _written(
            config.folder(f"{domain}-manifest"), listed[domain], chosen.data
        )
        for domain, chosen in domains.items()
    }
    write_shared(manifests["target"], shared)
    return manifests


def domain_splits(domain: DomainOptions, path: str) -> dict[str, list[Pair]]:
    """Finds the pairs of a domain, see `domain_rows`."""
    return {split: [*own] for split, own in domain_rows(domain, path).items()}


def domain_rows(domain: DomainOptions, path: str) -> dict[str, Rows[Pair]]:
    """Finds the pairs of a domain by the pipeline's splits.

    Args:
        domain: The domain.
        path: The folder of its data set.

    Returns:
        Pairs of `train` and `eval`.

    Raises:
        DataError: If a file has no partner, or a split would be empty.
    """
    find = domain.data.layout.rows
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
            named = next(iter(judged)).dataset
            learned = image_rows(domain.images, path, domain.train, named)
        found = {"train": learned, "eval": judged}
    splits = {
        split: _limited(_of_drives(pairs, drives), domain.limit)
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
    pairs: Iterable[Pair], share: float
) -> tuple[Rows[Pair], Rows[Pair]]:
    """Splits the frames of each drive, in the order of their names.

    Args:
        pairs: The pairs.
        share: Share of each drive's frames that the second part takes.

    Returns:
        The first frames and the last ones.
    """
    ordered = Rows.in_order(
        (pair.drive, pair.name, place, pair) for place, pair in enumerate(pairs)
    )
    sizes = Counter(drive for drive, *_ in ordered)

    def part(is_last: bool) -> Iterator[Pair]:
        for drive, frames in groupby(ordered, itemgetter(0)):
            kept = sizes[drive] - math.ceil(share * sizes[drive])
            for number, (*_, pair) in enumerate(frames):
                if (number >= kept) is is_last:
                    yield pair

    return Rows(part(is_last=False)), Rows(part(is_last=True))


def _of_drives(pairs: Rows[Pair], drives: Sequence[str]) -> Rows[Pair]:
    if not drives:
        return pairs
    return Rows(pair for pair in pairs if pair.drive in drives)


def _limited(pairs: Rows[Pair], limit: int | None) -> Rows[Pair]:
    return pairs if limit is None else Rows(islice(pairs, limit))


def _draw_domain(config: AdaptationConfig, domain: str) -> str:
    data = getattr(config, domain).data
    return _draw(config.folder(f"{domain}-streets"), data, data.streets)


def _draw(folder: str, data: DataOptions, streets: StreetsOptions) -> str:
    write_streets(
        folder,
        counts={
            own: getattr(streets, split) for split, own in data.splits.items()
        },
        size=(streets.height, streets.width),
        seed=streets.seed,
        look=streets.look,
    )
    return folder


def _with_files(splits: Mapping[str, Rows[Pair]]) -> dict[str, Rows[Listed]]:
    return {split: with_files(own) for split, own in splits.items()}


def _written(
    folder: str, listed: Mapping[str, Rows[Listed]], data: DataOptions
) -> str:
    return write_listed(folder, listed, data.layout, data.shard_megabytes)
