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


def test_second_ctrl_c_does_not_interrupt_the_clean_up_and_the_third_ends_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            assert "once more" in capfd.readouterr().err
            assert not ended
            signal.raise_signal(signal.SIGINT)
            assert ended == [130]

    with pytest.raises(KeyboardInterrupt), interruptible():
        work()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible():
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before


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
