"""Turn the signals that end a process into exceptions, so that `with` and `finally` run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """The process was asked to end by a signal; its exit status is 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)

    def __str__(self) -> str:
        return f"ended by {self.signal.name}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Terminated` at SIGTERM and SIGHUP inside the block (Ctrl-C raises by itself).

    A second such signal is ignored, so that it cannot break the clean-up which the first began.
    Outside the main thread, where Python allows no handlers, the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        for handled in before:
            signal.signal(handled, signal.SIG_IGN)
        raise Terminated(number)

    wanted = [signal.SIGTERM]
    # nohup asks to survive the terminal by ignoring SIGHUP; that wish is kept.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in wanted}
    try:
        for number in wanted:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
