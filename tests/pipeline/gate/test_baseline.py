"""Which model another is compared with."""

from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

from pipeline.gate.baseline import CANDIDATE, WITHDRAWN, LastBlessedModel


def model(folder: Path, number: int) -> Any:
    found = standard_artifacts.Model()
    found.id, found.uri = number, str(folder / str(number))
    saved = folder / str(number) / "Format-Serving"
    saved.mkdir(parents=True)
    (saved / "saved_model.pb").write_text("graph")
    return found


def blessing(number: int, of: int, withdrawn: int = 0) -> Any:
    found = standard_artifacts.ModelBlessing()
    found.id = number
    found.set_int_custom_property("blessed", 1)
    found.set_int_custom_property("current_model_id", of)
    found.set_int_custom_property(WITHDRAWN, withdrawn)
    return found


@pytest.mark.parametrize(
    ("withdrawn", "gone", "expected"),
    [
        ([], [], [3]),  # The last before the candidate, 4.
        ([], [3], [2]),  # Its files are gone.
        ([3], [], [2]),  # Withdrawn, and blessed again by other rules.
        ([2, 3], [1], []),
    ],
)
def test_the_baseline_is_the_last_blessed_that_is_there_and_stands(
    tmp_path: Path, withdrawn: list[int], gone: list[int], expected: list[int]
) -> None:
    models = [model(tmp_path, number) for number in (1, 2, 3, 4)]
    for number in gone:
        (tmp_path / str(number) / "Format-Serving" / "saved_model.pb").unlink()
    blessings = [blessing(10 + n, n) for n in (1, 2, 3, 4)]
    blessings += [blessing(20 + n, n, withdrawn=1) for n in withdrawn]
    given = {"model": models, "model_blessing": blessings}
    resolve = LastBlessedModel().resolve_artifacts
    found = resolve(None, {**given, CANDIDATE: [models[-1]]})
    assert [each.id for each in found["model"]] == expected
    assert found[CANDIDATE] == [models[-1]]
    # What a training starts from: the same, but there is no candidate.
    start = resolve(None, {**given, "model": models[:-1]})
    assert [each.id for each in start["model"]] == expected
    assert resolve(None, given)["model"] == [models[-1]]
