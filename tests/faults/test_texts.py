"""What `tests.faults.texts` tries by the thousand, in a short form."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.commands.screen import LONGEST
from pipeline.gate.rules import Rule
from tests.faults import kinds, oracle, texts
from tests.faults.mutations import Keys, damaged, text_of, tree, written
from tests.faults.oracle import Kind, attempt, is_refusal, misfit
from tests.faults.texts import campaign
from wseg_tf.configuration import ConfigurationError
from wseg_tf.training.checkpoints import Progress


def test_300_texts_are_refused_in_a_sentence_or_read_as_their_types() -> None:
    found = campaign(300, seed=1)
    assert not found.faults, "\n".join(found.faults.values())
    assert sum(found.outcomes.values()) == 300
    tried = {name for name, _ in found.outcomes}
    refused = {n for n, outcome in found.outcomes if outcome == "refused"}
    assert len(tried) == 22
    assert refused == tried


@pytest.mark.parametrize("chosen", range(5))
def test_every_seed_is_accepted(tmp_path: Path, chosen: int) -> None:
    class Choice:
        """Chooses one of the seeds."""

        def integers(self, count: int) -> int:
            return min(chosen, count - 1)

    def whole(seed: Any, *_: Any, **__: Any) -> bytes:
        return written(seed).encode()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kinds, "text_of", whole)
        for kind in kinds.kinds(tmp_path):
            if "overrides" in kind.name or "CSV" in kind.name:
                continue  # Made of no seed.
            given = kind.make(Choice())  # type: ignore[arg-type]
            if kind.name == "manifests":
                given += b"\n"
            if kind.name == "labels of manifests":
                continue  # Told by their digest: another spelling is another.
            assert attempt(kind, given)[::2] == ("accepted", ""), kind.name


def test_mutations_follow_from_their_seed_and_spare_the_original() -> None:
    seed = {"a": [1, {"b": "c"}], "d": None}
    before = written(seed)
    texts_of = [
        [text_of(seed, np.random.default_rng([s, n])) for n in range(40)]
        for s in (0, 0, 1)
    ]
    assert texts_of[0] == texts_of[1] != texts_of[2]
    assert len(set(texts_of[0])) > 30
    assert written(seed) == before
    keys = tree({"a": 1})
    keys.append(("a", 2))
    assert written(keys) == '{"a": 1, "a": 2}'
    assert isinstance(keys, Keys)
    # An empty tree has no place left to damage.
    assert damaged({}, np.random.default_rng(0), ("x",)) in ("x", None, [{}])


def reading(read: Any) -> Kind:
    return Kind("made up", lambda random: b"", read)


def raising(error: BaseException) -> Kind:
    def read(given: bytes) -> None:
        raise error

    return reading(read)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TypeError("Expected"), "TypeError"),
        (RecursionError("Expected"), "RecursionError"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "Expected"), "UnicodeDecode"),
        (FileNotFoundError("Expected"), "FileNotFoundError"),
        (SystemExit(1), "exit code 1"),
        (ValueError("no such thing"), "neither"),
        (ConfigurationError("Expected a.\nReceived b."), "not one line"),
        (ValueError("Expected a. Received <class 'str'>"), "internals"),
    ],
)
def test_the_oracle_tells_a_fault_from_a_refusal(
    error: BaseException, reason: str
) -> None:
    assert is_refusal(error).startswith(reason)
    outcome, what, story = attempt(raising(error), b"")
    assert (outcome, what.startswith(reason)) == ("fault", True)
    assert type(error).__name__ in story
    assert attempt(raising(ValueError("Expected a.")), b"")[0] == "refused"
    assert attempt(raising(SystemExit(2)), b"")[0] == "refused"


def test_a_sentence_without_end_is_a_fault_where_the_screen_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endless = ValueError("Expected a. Received: " + "x" * 9999)
    assert is_refusal(endless) == ""  # Shortened.
    monkeypatch.setattr(oracle, "first_line", str)
    assert is_refusal(endless).startswith("too long")
    assert oracle.LONGEST_SENTENCE == LONGEST


def test_what_takes_too_long_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def endless(given: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr(oracle, "MOST_SECONDS", 0.05)
    outcome, what, _ = attempt(reading(endless), b"")
    assert (outcome, what.startswith("TooLong")) == ("fault", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": True},
        {"epoch": 1.0},
        {"epoch": -1},
        {"loss": float("nan")},
        {"loss": "1"},
        {"rows": {}},
        {"rows": [[]]},
        {"selection": []},
        {"done": 1},
    ],
)
def test_the_oracle_holds_values_to_types_and_ranges(
    changes: dict[str, Any],
) -> None:
    assert misfit(Progress(), Progress) == ""
    (name,) = changes
    said = misfit(dataclasses.replace(Progress(), **changes), Progress)
    assert said.startswith(f".{name}")


def test_the_oracle_finds_a_list_where_a_text_is_declared() -> None:
    rule = Rule(metric="mean_iou", floor=0.5)
    assert misfit(rule, Rule) == ""
    rule.every = ["drive"]  # type: ignore[assignment]
    assert misfit(rule, Rule).startswith(".every")
    rule.every = "a\0b"
    assert misfit(rule, Rule).endswith("NUL")
    rule.every, rule.slice = None, {"drive": 1}  # type: ignore[dict-item]
    assert misfit(rule, Rule).startswith(".slice")


def test_faults_are_counted_and_told_with_their_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = dataclasses.replace(raising(KeyError("x")), make=lambda _: b"[1]")
    monkeypatch.setattr(texts, "kinds", lambda folder: [wrong])
    monkeypatch.setattr("sys.argv", ["texts", "--count", "3"])
    with pytest.raises(SystemExit, match="1"):
        texts.main()
    said = capsys.readouterr().out
    assert "| made up | 3 | 0 | 0 | 3 |" in said
    assert "3 x made up: KeyError" in said
    assert "input 0: b'[1]'" in said
