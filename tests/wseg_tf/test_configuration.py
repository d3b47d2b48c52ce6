from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest

from wseg_tf import configuration
from wseg_tf.configuration import ConfigurationError


@dataclass
class Stage:
    epochs: int = 1
    loss: str = "cross_entropy"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(
                "Invalid value for argument `epochs`. Expected at least 1. "
                f"Received: epochs={self.epochs}."
            )


@dataclass(frozen=True)
class Zoom:
    range: tuple[float, float] = (1.0, 1.0)


@dataclass
class Recipe:
    batch: int = 8
    zoom: Zoom = field(default_factory=Zoom)
    path: Optional[str] = None  # noqa: UP045 (OmegaConf reads it on 3.10)
    stages: list[Stage] = field(default_factory=lambda: [Stage()])
    drives: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


# Nine levels of ten aliases each: 10^9 values in 300 bytes.
BOMB = "\n".join(
    ["a0: &a0 [x, x]"]
    + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10)]
)


def load(text: str, *overrides: str) -> Recipe:
    return configuration.load(Recipe, text, "recipe.yaml", overrides)


def test_fills_nested_dataclasses_and_keeps_defaults() -> None:
    recipe = load("batch: 2\nstages: [{epochs: 3}, {loss: wasserstein}]")
    assert recipe == Recipe(2, stages=[Stage(3), Stage(1, "wasserstein")])


def test_overrides_come_last_and_reach_into_lists() -> None:
    recipe = load(
        "batch: 2",
        "batch=5",
        "stages.0.epochs=7",
        "path=a b",
        "zoom.range=[1, 2]",
    )
    assert recipe == Recipe(5, Zoom((1.0, 2.0)), "a b", [Stage(7)])


def test_a_text_of_the_command_line_is_taken_as_written() -> None:
    recipe = load(
        "", "path=07", "stages.0.loss=on", "drives=[08, 2011_09_26, '1 2']"
    )
    assert recipe.path == "07"
    assert recipe.stages[0].loss == "on"
    assert recipe.drives == ["08", "2011_09_26", "1 2"]
    assert load("path: a", "path=").path is None


def test_anchors_and_merge_keys_may_be_used() -> None:
    text = "stages: [&first {epochs: 3}, {<<: *first, loss: wasserstein}]"
    assert load(text).stages == [Stage(3), Stage(3, "wasserstein")]


def test_dump_is_read_back() -> None:
    recipe = Recipe(3, Zoom((0.5, 2.0)), "x", [Stage(2), Stage(9)])
    assert load(configuration.dump(recipe)) == recipe


def test_empty_file_is_all_defaults() -> None:
    assert load("") == Recipe()


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("btach: 1", (), r"`btach` in recipe.yaml.*did you mean `batch`"),
        ("stages: [{epoch: 1}]", (), r"`stages.0.epoch`.*mean `epochs`"),
        ("batch: many", (), r"`batch` in recipe.yaml.*'many'.*Integer"),
        (
            "stages: [{epochs: 0}]",
            (),
            r"recipe.yaml: .*`stages.0.epochs`.*epochs=0",
        ),
        ("batch: [1", (), r"Invalid YAML in recipe.yaml line 1"),
        ("batch: 1\npath: a\nbatch: 2", (), r"line 3.*`batch` again \(line 1"),
        ("stages: [{epochs: 1, epochs: 2}]", (), r"each key once"),
        ("? [a, b]\n: 1", (), r"Invalid YAML in recipe.yaml"),
        ("path: 2011-13-45", (), r"Invalid YAML in recipe.yaml: month"),
        ("path: 07", (), r"`path` in recipe.yaml.*quotes.*int.*7"),
        ("path: 2011_09_26", (), r"`path` in recipe.yaml.*20110926"),
        ("path: on", (), r"`path`.*quotes.*bool"),
        ("path: 1e3\nstages: [{loss: 2.5}]", (), r"`stages.0.loss`.*float"),
        ("drives: [a, 07]", (), r"`drives.1`.*quotes"),
        ("names: {a: 1}", (), r"`names.a`.*quotes"),
        ("a: &a [*a]", (), r"at most"),
        (BOMB, (), r"at most"),
        ("[" * 5000, (), r"nested too deeply"),
        ("path: \x00", (), r"Invalid YAML in recipe.yaml"),
        ("a: 1\n---\nb: 2", (), r"Invalid YAML in recipe.yaml line 2"),
        ("batch: 1", ("batch=many",), r"`batch` in the command line.*'many'"),
        (
            "stages: [{epochs: 2}]",
            ("batch=3", "stages.0.epochs=0"),
            r"recipe.yaml with stages.0.epochs=0: .*`stages.0.epochs`",
        ),
        ("", ("batch=[1",), r"Invalid YAML in the command line line 1"),
        ("- 1", (), r"Expected keys and values. Received: a list"),
        ("", ("batch",), r"Expected key=value.*'batch'"),
        ("", ("stages.0.epoch=1",), r"`stages.0.epoch` in the command line"),
        ("", ("batch.x=1",), r"`batch.x` in the command line.*a key of what"),
        ("", ("drives.0.x=1",), r"`drives.0.x` in the command line"),
        ("", ("stages.0.epochs.1=1",), r"`stages.0.epochs.1`"),
        ("", ("names={a: 0010}",), r"`names.a` in the command line.*quotes"),
        ("", ("stages=[{loss: on}]",), r"`stages.0.loss`.*quotes"),
        ("", ("path=[",), r"Invalid YAML in the command line"),
        ('path: "a\\0b"', (), r"line 1.*NUL"),
        ("", ('path="a\\0b"',), r"NUL"),
        ("", ('stages.0={epochs: 0, loss: "a\nb"}',), r"`stages\.0\.epochs`"),
    ],
)
def test_refuses_in_one_sentence(
    text: str, overrides: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(text, *overrides)
    assert "\n" not in str(caught.value)


@dataclass
class Inner:
    name: str = "a"
    sizes: dict[str, float] = field(default_factory=dict)


@dataclass
class Outer:
    inner: Optional[Inner] = None  # noqa: UP045
    slice: Optional[dict[str, str]] = None  # noqa: UP045
    rows: list[Inner] = field(default_factory=list)
    frame: Optional[tuple[int, int]] = None  # noqa: UP045


@dataclass
class Either:
    word: Optional[str] = None  # noqa: UP045
    file: Optional[str] = None  # noqa: UP045
    size: int = 0

    def __post_init__(self) -> None:
        if self.word and self.file:
            raise ValueError("Invalid value for argument `file`. Both.")

    @staticmethod
    def chosen(changes: Mapping[str, Any]) -> dict[str, Any]:
        gone: dict[str, Any] = {}
        for name, other in (("word", "file"), ("file", "word")):
            if changes.get(name) and other not in changes:
                gone[other] = None
        return {**gone, **changes}


@dataclass
class Holder:
    either: Either = field(default_factory=Either)
    several: list[Either] = field(default_factory=list)


@pytest.mark.parametrize(
    "override", ["word=a", "{word: a}", "{word: a, size: 2}"]
)
@pytest.mark.parametrize("place", ["either", "several.1"])
def test_an_override_replaces_its_alternative_and_says_so(
    override: str, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = "either: {file: f, size: 1}\nseveral: [{}, {file: f, size: 1}]"
    dot = "=" if override[0] == "{" else "."
    given = f"{place}{dot}{override}"
    found = configuration.load(Holder, text, "a.yaml", [given])
    chosen = found.either if place == "either" else found.several[1]
    assert chosen == Either("a", None, 2 if "size" in override else 1)
    [line] = caplog.messages
    assert f"{place}: `word`" in line
    assert "replaces `file` of the file" in line


def test_what_replaces_nothing_is_not_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for text, given in (("", "either.word=a"), ("either: {file: f}", "")):
        overrides = [given] if given else []
        assert configuration.load(Holder, text, "a.yaml", overrides)
    assert not caplog.messages
    with pytest.raises(ConfigurationError, match=r"a.yaml.*`either.file`"):
        configuration.load(Holder, "either: {word: a, file: f}", "a.yaml")
    text = "several: [{}, {word: a, file: f}]"
    with pytest.raises(ConfigurationError, match=r"`several.1.file`. Both"):
        configuration.load(Holder, text, "a.yaml")


def test_an_override_gives_what_is_none_its_first_key() -> None:
    given = ["slice.drive=07", "inner.sizes.x=2", "inner.name=b"]
    found = configuration.load(Outer, "", "a.yaml", given)
    assert found.slice == {"drive": "07"}
    assert found.inner == Inner("b", {"x": 2.0})


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("rows: x", (), "`rows` in a.yaml. Expected a list. Received: 'x'"),
        ("rows: {x: 1}", (), "`rows` in a.yaml. Expected a list"),
        ("rows: [[{}]]", (), "`rows.0` in a.yaml. Expected keys and values"),
        ("inner: x", (), "`inner` in a.yaml. Expected keys and values"),
        ("inner: {sizes: {x: {}}}", (), "`inner.sizes.x` in a.yaml. Expected"),
        ("slice: {drive: [a]}", (), "`slice.drive` in a.yaml. Expected text"),
        ("inner: {sizes: {x: 1}}", ["inner.sizes.x.y=1"], "`y` of a value"),
        ("", ["inner.name.y=1"], "`y` of a value"),
        ("", ["rows.name=1"], "Expected a place in the list"),
        ("", ["rows.-1.name=1"], "Expected a place in the list"),
        ("", ["rows.0.name=a"], "Expected `rows` as a whole. Received: `0`"),
        ("rows: [{}, {}]", ["rows.5.name=a"], "a place in `rows`, 0..1."),
        ("rows: [{}]", ["rows.1={}"], "a place in `rows`, 0..0. Received: `1`"),
        ("", ["frame.0=1"], "Expected `frame` as a whole. Received: `0`"),
        ("frame: [1, 2]", ["frame.2=3"], "a place in `frame`, 0..1."),
        ("", ["rows.0.nome=1"], "did you mean `name`"),
        # Of a part that was left out.
        ("", ["sizes.x=1"], "did you mean `inner.sizes`"),
        ("sizes: {x: 1}", (), "did you mean `inner.sizes`"),
        ("", ["rows=1"], "`rows` in the command line. Expected a list"),
        ("inner: !!timestamp x", (), "Invalid YAML in a.yaml"),
        ("inner: !!bool x", (), "Invalid YAML in a.yaml"),
        ('inner: {name: "\\ud800"}', (), "lone surrogates"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(
    text: str, overrides: Sequence[str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as found:
        configuration.load(Outer, text, "a.yaml", overrides)
    assert said in str(found.value)
    assert str(found.value).startswith("Invalid ")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("as_written", [True, False])
def test_yaml_is_as_deep_as_configurations_are(as_written: bool) -> None:
    def nested(depth: int) -> object:
        text = "[" * depth + "]" * depth
        return configuration.parse_any(text, "a.yaml", as_written)

    assert nested(configuration.MOST_DEPTH)
    for depth in (configuration.MOST_DEPTH + 1, 10**5):
        with pytest.raises(ConfigurationError, match="nested too deeply"):
            nested(depth)
