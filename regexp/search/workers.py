"""More processes of this machine that take part in a search, forked from one that has imported."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from omegaconf import DictConfig

from regexp.addresses import public
from regexp.config.prepared import prepare_resolvers
from regexp.errors import kind_and_reason
from regexp.sweeps.progress import say
from regexp.sweeps.workers import TRAINING, is_command, start_server
from regexp.tracking import interruptible

CONTEXT = multiprocessing.get_context("forkserver")

ARMS = 2
"""Of a search: recipes, and none."""


def workers_of(config: DictConfig) -> int:
    """How many processes of this command search, this one among them.

    Where `search.workers` is null, one for each core, or for as many threads as a run has; at most
    one for each batch of a round, and one alone on a GPU. In a user's own program it is one: its
    main module would run again in each.
    """
    if not is_command():
        return 1
    if config.search.workers is not None:
        return int(config.search.workers)
    from joblib import cpu_count

    from regexp.training.device import device_of

    if device_of(config.trainer.device) != "cpu":
        return 1
    return max(min(cpu_count() // config.trainer.threads, ARMS * config.search.parallel), 1)


def start_importing(workers: int) -> None:
    """Let a process import what workers need, beside this one, if there are to be any."""
    if workers > 1:
        start_server([TRAINING, f"{__package__}.command"])


@contextlib.contextmanager
def helpers(number: int, function: Callable[..., object], *arguments: Any) -> Iterator[None]:
    """Processes that call a function while the block runs.

    They end with the block, and when this process ends, however it does. One that fails takes
    nothing with it; a line says so at the end.

    Args:
        number: how many.
        function: of a module; it has to be picklable, and its arguments too.
        arguments: for it.
    """
    started = []
    try:
        for _ in range(number):
            reader, writer = CONTEXT.Pipe(duplex=False)
            process = CONTEXT.Process(target=_call, args=(writer, function, *arguments))
            process.start()
            writer.close()
            started.append((process, reader))
        yield
    finally:
        lost = [why for process, reader in started if (why := _why_lost(process.exitcode, reader))]
        for process, _ in started:
            process.terminate()
        for process, _ in started:
            process.join()
        for why in lost:
            say(f"A worker stopped ({why}); the others did its part.")


def _why_lost(status: int | None, reader: Connection) -> str:
    """Why a process has ended before its time; empty if it has not."""
    if not status:
        return ""
    with contextlib.suppress(EOFError):
        return str(reader.recv())
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _call(writer: Connection, function: Callable[..., object], *arguments: Any) -> None:
    """Call a function in a process that says nothing: the one that started it speaks for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, whose Ctrl-C that one passes on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nowhere, output)
    prepare_resolvers()
    try:
        with interruptible():
            function(*arguments)
    except Exception as error:
        writer.send(public(kind_and_reason(error)))
        sys.exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
