import math
from typing import Any

import keras
import pytest

from wseg_tf.training.recipe import Stage
from wseg_tf.training.schedules import Times, WarmUp, build_schedule, rate_at

STEPS = 10


def rates(steps: tuple[int, ...], **options: Any) -> list[float]:
    stage = Stage(epochs=4, learning_rate=0.5, **options)
    schedule = build_schedule(stage, STEPS)
    return [float(rate_at(schedule, step)) for step in steps]


def test_constant() -> None:
    assert rates((0, 39), schedule="constant") == [0.5, 0.5]


def test_poly_by_hand() -> None:
    expected = [0.5, 0.5 * 0.75**0.9, 0.5 * 0.025**0.9, 0.0]
    assert rates((0, 10, 39, 40), schedule="poly") == pytest.approx(expected)
    square = rates((20,), schedule="poly", power=2.0)
    assert square == pytest.approx([0.5 * 0.25])


def test_cosine_by_hand() -> None:
    expected = [0.5, 0.25 * (1 + math.cos(math.pi / 4)), 0.25, 0.0]
    assert rates((0, 10, 20, 40), schedule="cosine") == pytest.approx(expected)


def test_step_drops_at_the_first_step_of_an_epoch() -> None:
    found = rates(
        (0, 9, 10, 29, 30, 39), schedule="step", drops=[1, 3], drop=0.2
    )
    expected = [0.5, 0.5, 0.1, 0.1, 0.02, 0.02]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("constant", [0.5, 0.5]),
        ("poly", [0.5, 0.5 * (2 / 3) ** 0.9]),
        ("cosine", [0.5, 0.25 * (1 + math.cos(math.pi / 3))]),
        ("step", [0.5, 0.05]),
    ],
)
def test_a_warm_up_precedes_any_schedule(
    schedule: str, after: list[float]
) -> None:
    options = {"drops": [1.5]} if schedule == "step" else {}
    # One epoch of warm-up; three are left, of which one has passed at 20.
    found = rates((0, 4, 9, 10, 20), schedule=schedule, warmup=1.0, **options)
    assert found == pytest.approx([0.05, 0.25, 0.5, *after])


def test_a_warm_up_may_end_within_an_epoch() -> None:
    found = rates((0, 3, 4), schedule="constant", warmup=0.4)
    assert found == pytest.approx([0.125, 0.5, 0.5])


def test_schedules_come_back_from_their_configuration() -> None:
    inner = keras.optimizers.schedules.CosineDecay(0.5, 10)
    schedule = Times(WarmUp(inner, 2), 3.0)
    again = Times.from_config(schedule.get_config())
    assert [float(again(s)) for s in range(5)] == [
        float(schedule(s)) for s in range(5)
    ]
