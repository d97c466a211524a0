import os
import signal
import threading

import pytest

from regexp.tracking import Terminated, interruptible


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_becomes_an_exception_with_the_usual_exit_status(number: signal.Signals) -> None:
    with pytest.raises(Terminated, match=f"ended by {number.name}") as caught, interruptible():
        signal.raise_signal(number)
    assert caught.value.code == 128 + number


def test_second_signal_does_not_interrupt_the_clean_up() -> None:
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)

    with pytest.raises(Terminated), interruptible():
        work()
    assert cleaned


def test_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_ignored_hangup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_runs_the_block_as_it_is() -> None:
    ran = []

    def work() -> None:
        with interruptible():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran
