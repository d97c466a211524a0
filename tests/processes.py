"""Processes of their own, forked from one that has imported everything.

To start Python anew takes seconds of imports each time. What is about those, or about modules that
a process of the tests has and a user's has not, starts one by `subprocess`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

CONTEXT = multiprocessing.get_context("forkserver")
WARMED = "tests.warmed"
CONTEXT.set_forkserver_preload([WARMED])
ROOT = str(Path(__file__).parents[1])


class Forked:
    """A process that calls a function here and now: in this folder, with these variables.

    Attributes:
        output: what it prints, as it comes; errors among it.
        pid: of the process.
    """

    def __init__(self, function: Callable[..., int | None], *arguments: Any) -> None:
        """Start it.

        Args:
            function: of a module, as it goes by pickle; what it gives is the exit status.
            arguments: for it.
        """
        reader, writer = CONTEXT.Pipe(duplex=False)
        given = (writer, Path.cwd(), dict(os.environ), function, arguments)
        self._process = CONTEXT.Process(target=_call, args=given)
        with pytest.MonkeyPatch.context() as patched:  # else it cannot import what it should
            patched.setenv("PYTHONPATH", ROOT, prepend=os.pathsep)
            forkserver.ensure_running()
        self._process.start()
        writer.close()
        self.output = os.fdopen(os.dup(reader.fileno()))
        reader.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait(self) -> int:
        """The exit status when it ended: -n where signal n ended it."""
        self._process.join()
        self.output.close()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def end(self) -> tuple[int, str]:
        """The exit status, and what it printed that was not read before."""
        printed = self.output.read()
        return self.wait(), printed


def regexp(*arguments: str) -> Forked:
    """A command, as `python -m regexp` gives it."""
    return Forked(give, *arguments)


def give(*arguments: str) -> None:
    """Give a command and leave, in a process that does nothing else."""
    from regexp.__main__ import main

    sys.argv = ["regexp", *arguments]
    main()


def _call(
    writer: Connection,
    folder: Path,
    environment: dict[str, str],
    function: Callable[..., int | None],
    arguments: tuple[Any, ...],
) -> None:
    for output in (1, 2):
        os.dup2(writer.fileno(), output)
    writer.close()
    assert WARMED in sys.modules, "multiprocessing is silent of what it could not import"
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(function(*arguments))
