import contextlib
import os
import signal
import time
from collections.abc import Callable

import pytest

from wseg_tf.training import interruption
from wseg_tf.training.interruption import Interrupted, terminable, watched


def test_sigterm_ends_what_is_done_and_says_which_signal_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as ended, terminable():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


class Collected:
    """Is asked to stop while Python collects it, where exceptions are lost."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def caught() -> None:
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("lost", [Collected, caught])
def test_what_was_lost_is_raised_again(
    lost: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "AGAIN", 0.05)
    went_on = []

    def steps() -> None:
        with terminable():
            lost()
            went_on.append(True)
            time.sleep(60)

    begun = time.monotonic()
    with pytest.raises(Interrupted) as ended:
        steps()
    assert went_on
    assert time.monotonic() - begun < 30
    assert ended.value.number == signal.SIGINT


def test_what_a_library_makes_of_it_is_an_interruption() -> None:
    def unfinished() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:
            raise AttributeError("'NoneType' has no attribute") from None

    with pytest.raises(Interrupted) as ended, terminable():
        unfinished()
    assert ended.value.number == signal.SIGTERM
    # Without a signal it is what it is.
    with pytest.raises(AttributeError), terminable():
        raise AttributeError


def test_what_is_tidied_up_is_not_interrupted_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interruption, "AGAIN", 0.02)
    tidied = []
    alarm = signal.getsignal(signal.SIGALRM)
    _, repeated = signal.getitimer(signal.ITIMER_REAL)

    def work() -> None:
        with terminable():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                time.sleep(0.2)
                tidied.append(True)

    with pytest.raises(Interrupted) as ended:
        work()
    assert tidied
    assert ended.value.number == signal.SIGTERM
    # And the alarm is whose it was, here this runner's own.
    assert signal.getsignal(signal.SIGALRM) is alarm
    assert signal.getitimer(signal.ITIMER_REAL)[1] == repeated


def test_a_training_within_ends_after_its_step() -> None:
    noted = []

    def train() -> None:
        with terminable(), watched() as requests:
            os.kill(os.getpid(), signal.SIGTERM)
            noted.append(requests.number)  # The step is done.

    # Nothing obeyed it, as after the last step: it ends what is around.
    with pytest.raises(Interrupted) as ended:
        train()
    assert (noted, ended.value.number) == ([signal.SIGTERM], signal.SIGTERM)


def test_a_request_that_was_obeyed_is_not_sent_again() -> None:
    def train() -> None:
        with watched() as requests:
            signal.raise_signal(signal.SIGINT)
            raise Interrupted("After the step.", requests.number)

    with pytest.raises(Interrupted, match="After the step"):
        train()
