"""Commands on several machines: processes with host names of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from regexp.tracking.error import PASSWORD, USER
from tests.real.servers import ADMIN, ADMIN_PASSWORD, Servers
from tests.real.sweeps import PATIENCE

# Leases of seconds, as a test is not to wait for minutes.
_MAIN = """
import functools, sys
from regexp.tracking import claims, lease
lease.EXPIRY = 15.0
claims.Leases = functools.partial(lease.Leases, heartbeat=1.0)
from regexp.__main__ import run
sys.exit(run(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Machine:
    """One of a team, with a folder and a host name of its own.

    Attributes:
        name: of the host.
        folder: its working directory.
        servers: what the team has.
        user, password: for the server, out of the environment.
    """

    name: str
    folder: Path
    servers: Servers
    user: str = ADMIN
    password: str = ADMIN_PASSWORD

    @property
    def mlruns(self) -> Path:
        return self.folder / self.name

    @property
    def _login(self) -> dict[str, str]:
        return {USER: self.user, PASSWORD: self.password} if self.user else {}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command on it, on the team's server."""
        self.mlruns.mkdir(exist_ok=True)
        where = [f"tracking.uri={self.servers.mlflow.address}", f"paths.mlruns={self.mlruns}"]
        python = [sys.executable, "-c", _MAIN, *words]
        given = {one.partition("=")[0] for one in words}
        python += [one for one in where if one.partition("=")[0] not in given]
        return subprocess.Popen(
            on_machine(self.name, *python), cwd=self.folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)} | self._login,
        )  # fmt: skip

    def run(self, *words: str, code: int = 0) -> str:
        """What a command prints."""
        return finished(self.start(*words), code)


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a command has printed when it has ended with this status."""
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, out
    return out


def on_machine(name: str, *command: str) -> list[str]:
    """The command line by which a command has this host name, and all that it starts."""
    space = ["unshare", "--uts"] + ["--user", "--map-root-user"] * (os.geteuid() != 0)
    return [*space, "sh", "-c", f'hostname {name} && exec "$@"', "sh", *command]


def can_name_hosts() -> bool:
    """Whether this system lets a process have a host name of its own."""
    if not shutil.which("unshare"):
        return False
    done = subprocess.run(on_machine("a", "true"), capture_output=True, check=False)
    return done.returncode == 0


def beside(process: psutil.Process | None = None) -> Iterator[psutil.Process]:
    """All processes on the machine of one, that one too; of this process if none is given."""
    name_space = Path("/proc") / str(process.pid if process else "self") / "ns/uts"
    machine = name_space.readlink()
    for one in psutil.process_iter(["name", "cmdline"]):
        with suppress(OSError, psutil.Error):
            if Path(f"/proc/{one.pid}/ns/uts").readlink() == machine:
                yield one


def switch_off(process: psutil.Process) -> None:
    """Kill all that runs on the machine of a process."""
    killed = list(beside(process))
    assert psutil.Process() not in killed, "it is this machine"
    for one in killed:
        with suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(killed, timeout=30)
