"""Programs that serve others on this machine, started and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.sweeps import PATIENCE


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Program:
    """A program in a session of its own, with its output in a file.

    Attributes:
        command: its command line.
        log: of its output.
        environment: beside that of this process.
        user: who runs it, where this process is root's.
    """

    command: Sequence[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=dict(os.environ) | self.environment, start_new_session=True,
                user=self.user, group=self.user, extra_groups=[] if self.user else None,
                cwd=self.log.parent,
            )  # fmt: skip

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it and all that it has started."""
        if self.process is None:
            return
        for last in (number, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, last)
                self.process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.process.poll()  # where somebody else has waited for it
        self.process = None


def wait_for(program: Program, ready: Callable[[], object]) -> None:
    """Wait until a program serves.

    Raises:
        RuntimeError: it ended, or does not after `PATIENCE`.
    """
    end = time.monotonic() + PATIENCE
    while not ready():
        assert program.process is not None
        if program.process.poll() is not None or time.monotonic() > end:
            log = program.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{program.command[0]} does not serve:\n{log}")
        time.sleep(0.1)
