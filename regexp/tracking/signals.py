"""Turn the signals that end a process into exceptions, so that `with` and `finally` run."""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from regexp.errors import INTERRUPTED

GRACE = 20.0
"""Seconds that `held_back` holds a signal back, at most: Slurm sends SIGKILL 30 s after SIGTERM."""

WARNED = 90.0
"""The same of a warning: it comes two minutes before the end (conf/hydra/launcher/slurm.yaml)."""

_WARNINGS = ("SIGUSR1", "SIGUSR2")
"""By which batch systems tell of a preemption or a time limit that is near."""


class Terminated(SystemExit):
    """The process was asked to end by a signal; its exit status is 128 + the signal's number.

    Attributes:
        signal: that asked.
        requeued: whether the one who started the process waits for it to end, to start it again.
    """

    def __init__(self, number: int, *, requeued: bool = False) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)
        self.requeued = requeued

    def __str__(self) -> str:
        return f"{'requeued' if self.requeued else 'ended'} by {self.signal.name}"

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        # of another process it tells this one, which nobody has asked to end
        return ChildProcessError, (str(self),)


class _Held:
    """What `held_back` has held back."""

    ended: Terminated | None = None


_held: _Held | None = None
_before_ending: list[Callable[[], None]] = []


@contextmanager
def held_back() -> Iterator[None]:
    """Let a signal inside the block wait for its end, or for who raises what `pending` gives.

    It does not wait for more than `GRACE` seconds, a warning (SIGUSR1, SIGUSR2) for `WARNED` unless
    SIGTERM follows. Ctrl-C never waits, and none does where the block is not inside
    `interruptible`, in its thread.

    Raises:
        Terminated: a signal came.
    """
    global _held
    before, _held = _held, _Held()
    held = _held
    try:
        yield
    finally:
        _held = before
        if held.ended is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
    if held.ended is not None:
        raise held.ended


def pending() -> Terminated | None:
    """The signal that is held back now."""
    return None if _held is None else _held.ended


@contextmanager
def before_ending(do: Callable[[], None]) -> Iterator[None]:
    """At a signal inside the block call `do`, and only then raise what `interruptible` raises."""
    _before_ending.append(do)
    try:
        yield
    finally:
        _before_ending.remove(do)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Terminated` at signals inside the block, KeyboardInterrupt at Ctrl-C.

    The signals are SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2. A second one is ignored, so that it cannot
    break the clean-up which the first began; a third Ctrl-C ends the process at once. Whoever had a
    handler of SIGUSR1 or SIGUSR2 before, such as submitit that requeues the job, gets the signal
    when the block has been left. Outside the main thread, where Python allows no handlers, the
    block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        if ended:
            hurry()
            return
        warned = number in warnings
        for handled in before:
            if not (warned and handled == signal.SIGTERM):
                signal.signal(handled, signal.SIG_IGN)
        ended.append(Terminated(number, requeued=warned and callable(before[number])))
        if _held is None:
            prepare()
            raise ended[0]
        _held.ended = ended[0]
        signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, WARNED if warned else GRACE)

    def prepare() -> None:
        for do in reversed(_before_ending):
            do()

    def hurry() -> None:
        """The end that a warning told of is near."""
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        if _held is not None and _held.ended is not None and left > GRACE:
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    def expire(number: int, frame: FrameType | None) -> None:
        raise ended[0]

    presses = itertools.count(1)

    def interrupt(number: int, frame: FrameType | None) -> None:
        press = next(presses)
        if press == 1:
            for handled in before:
                if handled != signal.SIGINT:
                    signal.signal(handled, signal.SIG_IGN)
            prepare()
            raise KeyboardInterrupt
        if press > 2:
            os._exit(INTERRUPTED)
        # Not by print, which a signal may have broken into.
        os.write(2, b"Ending ... Ctrl-C once more gives up what is not recorded yet.\n")

    ended: list[Terminated] = []
    warnings = {getattr(signal, name) for name in _WARNINGS if hasattr(signal, name)}
    wanted = [signal.SIGTERM, *warnings]
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
        if ended and ended[0].requeued:
            signal.raise_signal(ended[0].signal)
