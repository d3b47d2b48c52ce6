import shutil
from pathlib import Path

import pytest

from wseg_tf import code
from wseg_tf.code import code_digest, meaning, reached

CACHED = code_digest, code._meaning_of, code._imports, code._imported


def test_a_result_depends_on_what_its_module_imports_and_no_more() -> None:
    ground = reached("wseg_tf.ground.matrix")
    assert {"wseg_tf.classes", "wseg_tf.palettes"} <= ground
    assert not any(each.startswith("wseg_tf.losses") for each in ground)
    training = reached("wseg_tf.training.loop", without=("wseg_tf.plots",))
    # Networks are imported by name, when they are asked for.
    assert {"wseg_tf.models.enet", "wseg_tf.losses.targets"} <= training
    assert not any(each.startswith("wseg_tf.plots") for each in training)
    assert not any(each.startswith("pipeline") for each in training)


def test_comments_do_not_count_but_code_does() -> None:
    plain = meaning("def f(x):\n    return x + 1\n")
    noted = 'def f(x):\n    """Adds."""\n    return x + 1  # One.\n'
    assert meaning(noted) == plain
    assert meaning('class A:\n    """Is."""\n') == meaning("class A: pass")
    assert meaning("def f(x):\n    return x + 2\n") != plain


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources, as files that may be changed."""
    root = Path(code.__file__).parents[1]
    for package in code.PACKAGES:
        shutil.copytree(root / package, tmp_path / package)
    monkeypatch.setattr(code, "_ROOT", tmp_path)
    for cached in CACHED:
        cached.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    for cached in CACHED:
        cached.cache_clear()


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("pipeline/gate/judge.py", True),
        ("wseg_tf/metrics/confusion.py", True),
        ("pipeline/report/pages.py", False),
        ("wseg_tf/models/enet.py", False),
    ],
)
def test_the_judge_s_key_changes_with_the_judge_s_code(
    copied: Path, module: str, changed: bool
) -> None:
    before = code_digest("pipeline.gate.judge")
    path = copied / module
    path.write_text(path.read_text() + "\nEXTRA = 1\n")
    for cached in CACHED:
        cached.cache_clear()
    assert (code_digest("pipeline.gate.judge") != before) == changed


@pytest.mark.parametrize("package", ["keras-cv", "tensorflow-addons", "numpy"])
def test_a_training_s_key_changes_with_what_its_networks_are_made_of(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    installed = code._version
    named = "wseg_tf.training.loop", "wseg_tf.ground.matrix"
    before = [code_digest.__wrapped__(each) for each in named]
    monkeypatch.setattr(
        code,
        "_version",
        lambda name: "9.9" if name == package else installed(name),
    )
    after = [code_digest.__wrapped__(each) for each in named]
    assert before[0] != after[0]
    assert (before[1] != after[1]) == (package == "numpy")


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'pipeline\.nowhere'"):
        code_digest("pipeline.nowhere")
