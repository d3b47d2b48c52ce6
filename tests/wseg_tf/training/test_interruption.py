import contextlib
import os
import signal

import pytest

from wseg_tf.training.interruption import Interrupted, terminable, watched


def test_sigterm_ends_what_is_done_and_says_which_signal_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as ended, terminable():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_library_lost_is_obeyed_at_the_next_step() -> None:
    done = []

    def steps() -> None:
        with terminable() as requests:
            for step in range(3):
                requests.obey()
                with contextlib.suppress(BaseException):
                    if step == 1:
                        signal.raise_signal(signal.SIGINT)
                done.append(step)

    with pytest.raises(Interrupted) as ended:
        steps()
    assert (done, ended.value.number) == ([0, 1], signal.SIGINT)


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
