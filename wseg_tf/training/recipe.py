"""The training recipe: what `wseg train` and the TFX Trainer both run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Optional, Union

from wseg_tf.configuration import in_one_line
from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.statistics import WEIGHTINGS
from wseg_tf.decisions import DECISIONS, LIKELIEST
from wseg_tf.losses.wasserstein import LINKS
from wseg_tf.ranges import bounded, check_ranges
from wseg_tf.views import Views

LOSSES = (
    "cross_entropy",
    "weighted_cross_entropy",
    "focal",
    "importance_aware",
    "wasserstein_dice",
    "lovasz",
    "weighted_lovasz",
    "lovasz_mixture",
    "wasserstein",
    "mixture",
)
MAPS = ("linear", "power", "huber", "step")
PRESETS = ("severity_aware", "importance_aware")
# Of a ground matrix; one counts.
SOURCES = ("preset", "file", "matrix")
BALANCES = ("none", *WEIGHTINGS)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("constant", "poly", "cosine", "step")
# In a pipeline `initial` may name the last model that the gate let through.
BLESSED = "blessed"
OPTIMIZERS = ("adamw", "adam", "sgd", "lamb")
LAYERWISE = ("adamw", "adam", "sgd")
AVERAGES = ("none", "ema", "moving_average", "swa", "lookahead")
FREEZABLE = ("encoder", "batch_norm")
DISTRIBUTIONS = ("none", "mirrored", "multi_worker")
LONGEST = 2**14  # side of an image, pixels


def _invalid(argument: str, expected: str, received: Any) -> ValueError:
    return ValueError(
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {argument}={received}."
    )


def _one_of(argument: str, received: str, expected: tuple[str, ...]) -> None:
    if received not in expected:
        raise _invalid(argument, f"one of {list(expected)}", repr(received))


@dataclass
class GroundOptions:
    """How severe each confusion is: the ground matrix D and its map f.

    Args:
        preset: `"severity_aware"` (Fig. 2 left of Liu et al.: less within a
            group than across) or `"importance_aware"` (Fig. 2 right). The
            first by default.
        file: A YAML or CSV matrix with class names, in place of a preset.
        matrix: D itself, rows and columns in the order of the class set, in
            place of a preset or a file.
        severities: Of a preset: cost of losing a pixel of each importance
            group that the class set has, the least important first. The
            group's number by default.
        within: Share of that cost when the confusion stays in the group;
            `"severity_aware"` only.
        factors: What losing a pixel of a class costs, times what the above
            says, e.g. `{bicyclist: 3}`; 1 for classes not named.
        map: `"linear"`, `"power"`, `"huber"` or `"step"`, applied to D.
        exponent: The power, for `map="power"`.
        tau: Where Huber turns linear, in units of D, for `map="huber"`.
    """

    preset: Optional[str] = None  # noqa: UP045
    file: Optional[str] = None  # noqa: UP045
    matrix: Optional[list[list[float]]] = bounded(None, 0)  # noqa: UP045
    severities: list[float] = bounded(list, 0)
    within: float = bounded(0.5, 0, 1)
    factors: dict[str, float] = bounded(dict, 0)
    map: str = "linear"
    exponent: float = bounded(2.0, 1)
    tau: float = bounded(2.0, above=0)

    def __post_init__(self) -> None:
        """Refuses what no ground matrix can be built from."""
        check_ranges(self)
        if self.preset is not None:
            _one_of("preset", self.preset, PRESETS)
        _one_of("map", self.map, MAPS)
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if given[1:]:
            expected = f"one of `{given[0]}` and `{given[1]}`"
            raise _invalid(given[1], expected, "both")
        if self.severities and given in (["file"], ["matrix"]):
            expected = f"none beside `{given[0]}`"
            raise _invalid("severities", expected, list(self.severities))

    @staticmethod
    def chosen(changes: Mapping[str, Any]) -> dict[str, Any]:
        """Returns changes with what they replace: D has one source.

        Args:
            changes: New values by field.

        Example:

        >>> GroundOptions.chosen({"preset": "importance_aware"})
        {'file': None, 'matrix': None, 'preset': 'importance_aware'}
        """
        given = {name for name in SOURCES if changes.get(name) is not None}
        replaced: dict[str, Any] = {}
        if given:
            replaced = {name: None for name in SOURCES if name not in given}
        if given & {"file", "matrix"}:
            replaced["severities"] = []
        return {**replaced, **changes}


@dataclass
class Stage:
    """One stage of training: a loss, an optimiser, a schedule and a length.

    Args:
        name: Shown while it runs.
        loss: One of `LOSSES`; `"mixture"` is cross-entropy + `weight` x
            Wasserstein, `"lovasz_mixture"` Lovasz by importance + the same.
        link: `"linear"` or `"log"`, for the Wasserstein loss.
        weight: Weight of the Wasserstein term, for mixtures.
        balance: `"none"`, `"logarithmic"` (ENet's) or `"median_frequency"`
            (SegNet's): weighs the pixels of rare classes more, by the
            frequencies of the training labels. Cross-entropies are weighed by
            class; of D, the rows are, so that its structure stays.
        epochs: Passes over the training images.
        optimizer: `"adamw"`, `"adam"` (no weight decay), `"sgd"` or `"lamb"`.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay: a step takes `learning_rate x
            weight_decay` of each weight off; not for `"adam"`.
        momentum: Of `optimizer="sgd"`, Nesterov's.
        clip_norm: Gradients longer than this, all weights together, are
            shortened to it. Not at all by default.
        schedule: `"constant"`, `"poly"`, `"cosine"` or `"step"`.
        power: Of `schedule="poly"`.
        drops: Epochs after which `schedule="step"` multiplies the rate.
        drop: By what it multiplies.
        warmup: Epochs in which the rate first rises to its peak; part of
            `epochs`.
        average: The weights that are judged, selected and kept: `"none"` (the
            last), `"ema"` (Keras' exponential moving average), and on Keras 2
            tensorflow-addons' `"moving_average"`, `"swa"` (the mean of the
            weights after each epoch, with batch normalisation renewed by a
            pass over the images) and `"lookahead"`.
        average_decay: Of `"ema"` and `"moving_average"`.
        average_start: Epochs before `"swa"` begins.
        multipliers: Factor of the steps by the beginning of a layer's name,
            e.g. `{head: 10}` or `{encoder: 0.1}`.
        freeze: Some of `"encoder"` and `"batch_norm"`.
        patience: End the stage when so many evaluations in a row brought no
            better `select` of the recipe. Never by default.
    """

    name: str = "train"
    loss: str = "cross_entropy"
    link: str = "linear"
    weight: float = bounded(0.2, 0)
    balance: str = "none"
    epochs: int = bounded(1, 1)
    optimizer: str = "adamw"
    learning_rate: float = bounded(5e-4, 0)
    weight_decay: float = bounded(2e-4, 0)
    momentum: float = bounded(0.9, 0, below=1)
    clip_norm: Optional[float] = bounded(None, above=0)  # noqa: UP045
    schedule: str = "poly"
    power: float = bounded(0.9, 0)
    drops: list[float] = bounded(list, 0)
    drop: float = bounded(0.1, above=0, most=1)
    warmup: float = bounded(0.0, 0)
    average: str = "none"
    average_decay: float = bounded(0.99, 0, below=1)
    average_start: float = bounded(0.0, 0)
    multipliers: dict[str, float] = bounded(dict, 0)
    freeze: list[str] = field(default_factory=list)
    patience: Optional[int] = bounded(None, 1)  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses an unknown loss or a stage that trains nothing."""
        check_ranges(self)
        _one_of("loss", self.loss, LOSSES)
        _one_of("link", self.link, LINKS)
        _one_of("balance", self.balance, BALANCES)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("average", self.average, AVERAGES)
        for part in self.freeze:
            _one_of("freeze", part, FREEZABLE)
        if not 0 <= self.warmup < self.epochs:
            raise _invalid(
                "warmup", f"0 <= warmup < epochs={self.epochs}", self.warmup
            )
        if self.schedule == "step" and not self.drops:
            raise _invalid("drops", "epochs, with schedule='step'", [])
        if sorted(set(self.drops)) != list(self.drops):
            raise _invalid("drops", "rising epochs", list(self.drops))
        if self.drops and self.drops[0] <= self.warmup:
            raise _invalid(
                "drops", f"epochs after warmup={self.warmup}", list(self.drops)
            )
        plain = self.optimizer in LAYERWISE and self.average in ("none", "ema")
        if self.multipliers and not plain:
            raise _invalid(
                "multipliers",
                f"none with optimizer={self.optimizer!r} and "
                f"average={self.average!r}",
                dict(self.multipliers),
            )


@dataclass
class Execution:
    """How a recipe is run; results move by rounding at most.

    Args:
        distribute: `"none"`, `"mirrored"` (all GPUs of this machine) or
            `"multi_worker"` (the machines that TF_CONFIG names).
        xla: Whether the training step is compiled by XLA, once for each stage:
            true, false, or `"auto"` for true where there is a GPU and one
            device trains.
        deterministic: Whether operations must repeat bit by bit; slower on
            GPUs.
        checkpoint_steps: Steps between two checkpoints within an epoch; 0 for
            a checkpoint after each epoch alone.
        overlays_every: Epochs between two pictures of predictions in
            TensorBoard; 0 for none.
    """

    distribute: str = "none"
    xla: Union[bool, str] = "auto"  # noqa: UP007
    deterministic: bool = False
    checkpoint_steps: int = bounded(0, 0)
    overlays_every: int = bounded(5, 0)

    def __post_init__(self) -> None:
        """Refuses what does not go together."""
        check_ranges(self)
        _one_of("distribute", self.distribute, DISTRIBUTIONS)
        if isinstance(self.xla, str):
            _one_of("xla", self.xla, ("auto",))
        elif self.xla and self.distribute != "none":
            raise _invalid("xla", "false, with distribute", self.xla)


@dataclass
class Recipe:
    """Everything that decides the weights a training ends with.

    Args:
        model: A name from `wseg_tf.models`, or a function of your own that
            builds a Keras model: `package.module:function`.
        channel_factor: What the channels inside the network are multiplied by,
            for a smaller one; the builders' `width`.
        initial: Weights to start from: a `.weights.h5` or `.keras` file of
            the same network, or others' `.pth`, `.npz` or `.h5` for its
            encoder; a model that was exported, or a folder of exported
            versions, of which the newest counts; in the pipeline `"blessed"`
            is the last model that the gate let through, if any. Random by
            default.
        height: Height the network sees; images are resized to it.
        width: Width the network sees.
        crop: Height and width of what is cut out of a resized image while
            training. All of it by default.
        batch: Images per step, over all replicas.
        seed: Seeds weights, order and augmentation.
        precision: A Keras precision policy.
        ground: The ground matrix.
        augmentation: Random changes of the training images.
        evaluate_every: Epochs between two evaluations; a stage's last epoch is
            always evaluated.
        max_pixels: Pixels of the largest image that the exported model
            answers, since a small file may hold a huge image: 2**22 by
            default, twice Cityscapes'.
        decision: How the class of a pixel is chosen where the model is judged
            and served: `"likeliest"`, or `"least_risk"` for the least expected
            severity under `ground`.
        views: How the exported model looks at an image: mirrors, zooms,
            windows. The figures while training are those of one view.
        select: A metric: each stage ends with the weights of the evaluation
            that was best by it; a second or later stage with those that it
            began with, if none was better. The last weights by default.
        stages: Run in order, each from the weights of the last.
        execution: How it is run.
    """

    model: str = "enet"
    channel_factor: float = bounded(1.0, above=0, most=16)
    initial: Optional[str] = None  # noqa: UP045
    height: int = bounded(360, 1, LONGEST)
    width: int = bounded(480, 1, LONGEST)
    crop: Optional[tuple[int, int]] = bounded(None, 1)  # noqa: UP045
    batch: int = bounded(8, 1, 2**16)
    seed: int = bounded(0, 0)
    precision: str = "float32"
    ground: GroundOptions = field(default_factory=GroundOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    evaluate_every: int = bounded(4, 1)
    max_pixels: int = bounded(2**22, 1)
    decision: str = LIKELIEST
    views: Views = field(default_factory=Views)
    select: Optional[str] = None  # noqa: UP045
    stages: list[Stage] = field(default_factory=lambda: [Stage()])
    execution: Execution = field(default_factory=Execution)

    def __post_init__(self) -> None:
        """Refuses sizes and batches that no training can use."""
        check_ranges(self)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("decision", self.decision, DECISIONS)
        zoom = max(1.0, self.augmentation.scale[1])
        frame = (int(self.height * zoom), int(self.width * zoom))
        if self.crop is not None and not (
            self.crop[0] <= frame[0] and self.crop[1] <= frame[1]
        ):
            most = f"at most {frame}, the frame at its largest zoom"
            raise _invalid("crop", most, tuple(self.crop))
        if not self.stages:
            raise _invalid("stages", "at least one stage", [])
        shared = self.execution.distribute
        if shared != "none" and any(s.average == "swa" for s in self.stages):
            raise _invalid("average", f"no 'swa' with {shared} replicas", "swa")
        if self.select is None and any(s.patience for s in self.stages):
            raise _invalid(
                "select", "a metric, since a stage has `patience`", self.select
            )


def hyperparameters(recipe: Recipe) -> dict[str, bool | int | float | str]:
    """Returns what decides a training, each by its key; D in one line.

    Args:
        recipe: The recipe.

    Example:

    >>> found = hyperparameters(Recipe(batch=4))
    >>> found["batch"], found["stages.0.loss"], found["select"]
    (4, 'cross_entropy', 'null')
    """
    values = asdict(recipe)
    del values["execution"]
    stages = enumerate(values.pop("stages"))
    found = {
        f"stages.{place}.{name}": value
        for place, stage in stages
        for name, value in stage.items()
    }
    for group in ("augmentation", "ground", "views"):
        own = values.pop(group).items()
        found |= {f"{group}.{name}": value for name, value in own}
    return {
        name: value
        if isinstance(value, (bool, int, float, str))
        else in_one_line(value).removesuffix("\n...")
        for name, value in (values | found).items()
    }
