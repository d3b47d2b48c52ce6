import dataclasses
from pathlib import Path

import pytest

from pipeline import machines
from pipeline.machines import Machine, hand_over, machines_of, note_machine

FIRST = Machine("Linux", "a processor", 8, 32.0, ("a card",))
OTHER = dataclasses.replace(FIRST, processor="another")


def test_this_machine_is_described() -> None:
    found = machines.this_machine()
    assert found.cores >= 1
    assert found.processor
    assert found.memory_gib > 0.1


def test_a_training_that_goes_on_elsewhere_was_on_both_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, left = str(tmp_path / "kept"), str(tmp_path / "left")
    assert machines_of(kept) == []
    for each in (FIRST, FIRST, OTHER):
        monkeypatch.setattr(machines, "this_machine", lambda own=each: own)
        note_machine(kept)
    hand_over(kept, left)
    assert machines_of(left) == [FIRST, OTHER]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / machines.MACHINES).write_text('[{"cores": "two"}]')
    with pytest.raises(ValueError, match=r"machines\.json"):
        machines_of(str(tmp_path))
