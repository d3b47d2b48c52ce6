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


def test_a_training_within_ends_after_its_step() -> None:
    with terminable(), watched() as requests:
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.number == signal.SIGTERM
