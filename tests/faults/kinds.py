"""The texts that users give, each with its seeds and its reader."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.commands.train import FINISHED, _is_finished
from pipeline.config import loading
from pipeline.experiments import plan
from pipeline.gate.checks import read_gate
from pipeline.gate.digests import STATEMENT, each_digest
from pipeline.ingest import pixel_counts
from pipeline.ingest.leaks import SHARED, read_shared
from pipeline.ingest.manifest import (
    MEANING,
    layout_of,
    verify_manifest,
    write_manifest,
)
from pipeline.ingest.records import QUARANTINE, read_quarantine
from pipeline.release import decisions
from pipeline.release.decisions import Decision
from pipeline.release.statement import verify_version
from tests.faults.mutations import (
    LEAVES,
    YAML_LEAVES,
    damaged,
    text_of,
    written,
)
from tests.faults.oracle import Kind, Random, misfit
from tests.wseg_tf.data.fuzz import (
    DESCRIPTION,
    GROUND,
    mutate,
)
from wseg_tf import configuration
from wseg_tf.cards import CARD, model_digest, read_card, write_card
from wseg_tf.classes import CAMVID, class_set
from wseg_tf.data.layouts import LAYOUTS, described
from wseg_tf.data.pairs import Pair
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.ground import GroundMatrix
from wseg_tf.training import strategy
from wseg_tf.training.checkpoints import Checkpoints, Progress, packed_bytes
from wseg_tf.training.selection import Selection

CONFIGS = Path(__file__).parents[2] / "configs"


def _file_kind(
    folder: Path,
    name: str,
    file: str,
    seeds: list[tuple[Any, str]],
    read: Callable[[str], Any],
    is_yaml: bool = True,
) -> Kind:
    """A kind that is a file of its own."""
    path = folder / name.replace(" ", "_") / file
    path.parent.mkdir(parents=True, exist_ok=True)

    def make(random: Random) -> bytes:
        seed, plain = seeds[random.integers(len(seeds))]
        return text_of(seed, random, plain, is_yaml)

    def read_file(given: bytes) -> Any:
        path.write_bytes(given)
        return read(str(path))

    return Kind(name, make, read_file)


def _held(values: list[Any]) -> None:
    """Holds dataclasses to their types."""
    for each in values:
        wrong = misfit(each, type(each))
        assert not wrong, wrong


def _parsed(paths: list[Path]) -> list[tuple[Any, str]]:
    texts = [path.read_text() for path in paths]
    return [(yaml.safe_load(text), text) for text in texts]


# Values of the command line: as texts, they are what the shell lets through.
VALUES = (
    *(
        "",
        "[",
        "]",
        "{",
        "}",
        "{}",
        "[]",
        "[1]",
        "[1, 2]",
        "{x: 1}",
        ":",
        "a: b",
    ),
    *("x", "a=b", "=", "-1", "0", "1", "1e9", "1e400", "-1e400", "nan", ".nan"),
    *(".inf", "-.inf", "9" * 5000, "0010", "0x10", "true", "null", "~", "''"),
    *("2001-01-01", "2011_09_26", "a\0b", "\n", "a\nb", "x" * 3000, "\ud800"),
    *(
        "[*a]",
        "&a [*a]",
        "{a: 1, a: 2}",
        "!!python/object:os.system {}",
        "%",
        "|",
    ),
    *(
        "${name}",
        "${x}",
        "${",
        "$",
        "???",
        "${oc.env:HOME}",
        "${oc.env:NO_SUCH}",
    ),
    *("{<<: 1}", "{1: 2}", "[[1]]", "[null]", "[{}]", "{null: 1}", "1:30", "@"),
    *("1.5", "0.5", "2", "[" * 3000, "/dev/zero", "a://x/y.yaml", "gs://x"),
)
SUFFIXES = (
    "",
    ".0",
    ".x",
    ".-1",
    ".99",
    "[0]",
    ".",
    "..",
    "x",
    ".0.name",
    "\0",
)


def _names(value: Any, prefix: str = "") -> Iterator[str]:
    """Yields the dotted name of each value in nested ones."""
    if isinstance(value, dict):
        rows: Any = value.items()
    else:
        rows = enumerate(value) if isinstance(value, list) else ()
    for key, each in rows:
        yield f"{prefix}{key}"
        yield from _names(each, f"{prefix}{key}.")


def _override_kind(
    name: str, path: Path, load: Callable[..., Any], more: list[str]
) -> Kind:
    config = configuration.dump(load(str(path)))
    names = [*_names(yaml.safe_load(config)), *more]

    def one(random: Random) -> str:
        key = names[random.integers(len(names))]
        if random.random() < 0.2:
            key += SUFFIXES[random.integers(len(SUFFIXES))]
        value = VALUES[random.integers(len(VALUES))]
        if random.random() < 0.2:
            leaves = LEAVES + YAML_LEAVES
            value = written(damaged([1, {"x": "y"}], random, leaves))
        whole = f"{key}={value}"
        if random.random() < 0.1:
            mixed = mutate(whole.encode("utf-8", "ignore"), random)
            return mixed.decode("utf-8", "surrogateescape")
        return whole

    def make(random: Random) -> bytes:
        given = [one(random) for _ in range(random.choice([1, 1, 2]))]
        return json.dumps(given).encode()

    return Kind(name, make, lambda given: load(str(path), json.loads(given)))


def _description_seeds() -> list[tuple[Any, str]]:
    first = yaml.safe_load(DESCRIPTION)
    base = {"images": "i/{drive}/{name}.png", "labels": "l/{drive}/{name}.png"}
    others: list[dict[str, Any]] = [
        {"classes": "camvid", "shares": {"val": "0.2"}, "seed": "3"},
        {"classes": ["a", "b"], "expressions": {"val": "^[ab]+$"}},
        {
            "classes": {"classes": ["a", {"name": "b", "colour": [1, 2, 3]}]},
            "colours": {"1 2 3": "a", "0 0 0": "b", "9 9 9": "void"},
            "lists": {"val": "val.txt"},
        },
        {"classes": ["a", "b"], "ids": {"0": "a"}, "absent": ["b"]},
    ]
    seeds = [first, *({**base, **each} for each in others)]
    return [(each, "") for each in seeds]


def _release_kinds(folder: Path) -> list[Kind]:
    """Files that the pipeline wrote and reads again."""
    decision = Decision(
        *("2026-01-02T03:04:05+00:00", decisions.ROLLBACK, "a test"),
        *((3,), (2,), 2, (7,), (6,), ("ab",), "somebody on a machine"),
    )
    row = asdict(decision)
    row = json.loads(json.dumps(row))

    def all_decisions(path: str) -> None:
        root = os.path.dirname(path)
        # A last line that is torn is none; so another follows.
        with open(path, "ab") as file:
            file.write(("\n" + json.dumps(row) + "\n").encode())
        _held(decisions.decisions(root))
        decisions.why_withdrawn(root, "ab")

    version = folder / "released" / "7"
    (version / STATEMENT).parent.mkdir(parents=True)
    (version / "saved_model.pb").write_text("graph")
    statement = {
        **{"pipeline": "a", "version": 7, "pushed": "now", "who": "somebody"},
        **{"judged": {"model": "ab"}, "files": each_digest(str(version))},
    }

    def verify(given: bytes) -> Any:
        (version / STATEMENT).write_bytes(given)
        return verify_version(str(version))[0]

    return [
        _file_kind(
            *(folder, "decisions", decisions.DECISIONS, [(row, "")]),
            all_decisions,
            is_yaml=False,
        ),
        _file_kind(
            *(folder, "intended rollbacks", decisions.INTENT, [(row, "")]),
            lambda path: decisions.intended(os.path.dirname(path)),
            is_yaml=False,
        ),
        Kind(
            "statements",
            lambda random: text_of(statement, random, yaml=False),
            verify,
        ),
    ]


def _data_kinds(folder: Path) -> list[Kind]:
    """Manifests and what lies beside them."""
    layout = LAYOUTS["gta5"]
    pair = Pair("a", "/x/a.png", "/x/a_l.png", "train", "d", "gta5")
    manifest = write_manifest(
        str(folder / "manifests"), {"train": [pair]}, layout
    )
    listed = Path(manifest, "train.jsonl")
    line = listed.read_text()
    shared = {"images": ["a"], "drives": ["d", "e"]}

    counted = PixelStatistics.of_frame([1] * 12, (3, 4))
    counts = {"train": {"d": pixel_counts.as_json(counted)}, "eval": {}}
    left_out = {"split": "eval", "name": "a", "reason": "a.png: no image."}

    def verify(file: Path) -> Callable[[bytes], None]:
        def read(given: bytes) -> None:
            whole = file.read_bytes()
            file.write_bytes(given)
            try:
                verify_manifest(manifest)
                layout_of(manifest)
            finally:
                file.write_bytes(whole)

        return read

    return [
        Kind(
            "manifests",
            lambda random: text_of(json.loads(line), random, line, yaml=False),
            verify(listed),
        ),
        Kind(
            "labels of manifests",
            lambda random: text_of(layout.meaning(), random, yaml=False),
            verify(Path(manifest, MEANING)),
        ),
        _file_kind(
            *(folder, "shared images", SHARED, [(shared, "")]),
            lambda path: read_shared(os.path.dirname(path)),
            is_yaml=False,
        ),
        _file_kind(
            *(folder, "pixel counts", pixel_counts.STATISTICS, [(counts, "")]),
            lambda path: pixel_counts.read(path) and None,
            is_yaml=False,
        ),
        _file_kind(
            *(folder, "quarantines", QUARANTINE, [(left_out, "")]),
            lambda path: _held(read_quarantine(os.path.dirname(path))),
            is_yaml=False,
        ),
    ]


def _training_kinds(folder: Path) -> list[Kind]:
    """What a training leaves, and what tells it about its peers."""
    best = Selection("mean_iou", 3, 0.5, 2, 1)
    progress = Progress(1, 2, 3, True, 0.5, 8, 1.5, asdict(best), [{"a": 1.0}])

    identity = {"recipe": {"batch": 4, "stages": [{"epochs": 2}]}, "code": "ab"}
    place = folder / "checkpoints"
    place.mkdir()
    ended = folder / "ended"
    ended.mkdir()
    (ended / "saved_model.pb").write_text("graph")
    write_card(str(ended), {"classes": CAMVID.as_dict(), "ground": None})
    kept = {**identity, "model": model_digest(str(ended))}

    def latest(given: bytes) -> Any:
        arrays = {"progress": np.frombuffer(given, np.uint8)}
        path = place / "checkpoint-000-00000-0000000.npz"
        path.write_bytes(packed_bytes(arrays))
        found = Checkpoints(str(place)).latest()
        if found is None:  # Damaged, and left out.
            raise ValueError("Expected a checkpoint. Found: none.")
        return found.progress

    def claim(path: str) -> None:
        Checkpoints(os.path.dirname(path), writes=False).claim(identity)

    def finished(given: bytes) -> None:
        (ended / FINISHED).write_bytes(given)
        _is_finished(str(ended), identity)

    def named(given: bytes) -> None:
        text = os.fsdecode(given).replace("\0", "")  # No variable has one.
        os.environ["TF_CONFIG"] = text
        try:
            addresses, own = strategy.named_workers()
        finally:
            del os.environ["TF_CONFIG"]
        wrong = misfit([*addresses, own], list[str])
        assert not wrong, wrong

    hosts = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    task = {"type": "worker", "index": 1}
    workers = {"cluster": hosts, "task": task}
    return [
        Kind(
            "checkpoints",
            lambda r: text_of(asdict(progress), r, yaml=False),
            latest,
        ),
        _file_kind(
            *(folder, "identities", "identity.json", [(identity, "")]),
            claim,
            is_yaml=False,
        ),
        Kind(
            "recipes of models",
            lambda random: text_of(kept, random, yaml=False),
            finished,
        ),
        Kind(
            "TF_CONFIG",
            lambda random: text_of(workers, random, yaml=False),
            named,
        ),
    ]


def kinds(folder: Path) -> list[Kind]:
    """Returns each kind of input; files are made in a folder."""
    configs = sorted(CONFIGS.glob("*.yaml"))
    tables = sorted((CONFIGS / "tables").glob("*.yaml"))
    tables = [each for each in tables if "data: {" in each.read_text()][:4]
    seeds = _parsed(configs)
    for values, _ in seeds:
        for domain in {*loading.DOMAINS} & {*values}:
            values[domain]["path"] = "data"  # Else given by hand, or drawn.
    gates = [yaml.safe_load(path.read_text())["gate"] for path in configs]
    (folder / "val.txt").write_text("a\n")
    ground = yaml.safe_load(GROUND)
    card = {
        "classes": CAMVID.as_dict(),
        "ground": {"values": ground["values"], "classes": ground["classes"]},
    }
    csv = "x,road,car\nroad,0,1\ncar,2.5,0\n"

    def cards(path: str) -> None:
        read_card(str(Path(path).parents[1]))

    def csv_text(random: Random) -> bytes:
        cells = [line.split(",") for line in csv.splitlines()]
        cell = cells[random.integers(3)]
        new = [written(leaf) for leaf in LEAVES] + ["", '"', "-1", "1e39", "é"]
        cell[random.integers(3)] = new[random.integers(len(new))]
        text = "\n".join(map(",".join, cells))
        if random.random() < 0.4:
            return mutate(csv.encode(), random)
        return text.encode("utf-8", "surrogatepass")

    csv_path = folder / "ground.csv"

    def read_csv(given: bytes) -> None:
        csv_path.write_bytes(given)
        GroundMatrix.from_csv(str(csv_path))

    return [
        _file_kind(*(folder, "configurations", "c.yaml", seeds), loading.load),
        _file_kind(folder, "experiments", "e.yaml", _parsed(tables), plan.load),
        _override_kind(
            "overrides",
            CONFIGS / "demo.yaml",
            loading.load,
            ["gate.rules.0.slice", "kubeflow.volumes", "kubeflow.secrets.0"],
        ),
        _override_kind(
            "overrides of experiments",
            CONFIGS / "tables" / "camvid_enet.yaml",
            plan.load,
            ["target", "target.path", "methods.0.stage.loss", "published.x.y"],
        ),
        _file_kind(
            *(folder, "descriptions", "d.yaml", _description_seeds()),
            described.read,
        ),
        _file_kind(
            *(folder, "class sets", "s.yaml"),
            [(CAMVID.as_dict(), CAMVID.to_yaml())],
            class_set,
        ),
        _file_kind(
            *(folder, "ground matrices (YAML)", "g.yaml"),
            [(ground, GROUND.decode())],
            lambda path: GroundMatrix.from_yaml(path) and None,
        ),
        Kind("ground matrices (CSV)", csv_text, read_csv),
        _file_kind(
            *(folder, "gate rules", "r.yaml", [(each, "") for each in gates]),
            lambda path: read_gate(path, CAMVID),
        ),
        _file_kind(
            *(folder, "model cards", CARD, [(card, "")]), cards, is_yaml=False
        ),
        *_release_kinds(folder),
        *_data_kinds(folder),
        *_training_kinds(folder),
    ]
