"""Turn the signals that end a process into exceptions, so that `with` and `finally` run."""

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from regexp.errors import INTERRUPTED


class Terminated(SystemExit):
    """The process was asked to end by a signal; its exit status is 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)

    def __str__(self) -> str:
        return f"ended by {self.signal.name}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Terminated` at SIGTERM and SIGHUP inside the block, KeyboardInterrupt at Ctrl-C.

    A second such signal is ignored, so that it cannot break the clean-up which the first began; a
    third Ctrl-C ends the process at once. Outside the main thread, where Python allows no handlers,
    the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        for handled in before:
            signal.signal(handled, signal.SIG_IGN)
        raise Terminated(number)

    presses = itertools.count(1)

    def interrupt(number: int, frame: FrameType | None) -> None:
        press = next(presses)
        if press == 1:
            raise KeyboardInterrupt
        if press > 2:
            os._exit(INTERRUPTED)
        # Not by print, which a signal may have broken into.
        os.write(2, b"Ending ... Ctrl-C once more gives up what is not recorded yet.\n")

    wanted = [signal.SIGTERM]
    # nohup asks to survive the terminal by ignoring SIGHUP; that wish is kept.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in wanted}
    # What a shell started in the background ignores Ctrl-C.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        before[signal.SIGINT] = signal.getsignal(signal.SIGINT)
    try:
        for number in before:
            signal.signal(number, interrupt if number == signal.SIGINT else end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
