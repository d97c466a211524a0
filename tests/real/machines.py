"""Commands on several machines: processes with host names of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from regexp.tracking.error import PASSWORD, USER
from tests.real.servers import ADMIN, ADMIN_PASSWORD, Servers

# Leases of seconds, as a test is not to wait for minutes.
_MAIN = """
import functools, sys
from regexp.tracking import claims, lease
lease.EXPIRY = 6.0
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
        named = ["sh", "-c", f'hostname {self.name} && exec "$@"', "sh", *python]
        space = ["unshare", "--uts"] + ["--user", "--map-root-user"] * (os.geteuid() != 0)
        return subprocess.Popen(
            [*space, *named], cwd=self.folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)} | self._login,
        )  # fmt: skip

    def run(self, *words: str, code: int = 0) -> str:
        """What a command prints."""
        return finished(self.start(*words), code)


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a command has printed when it has ended with this status."""
    out, _ = process.communicate(timeout=240)
    assert process.returncode == code, out
    return out


def can_name_hosts() -> bool:
    """Whether this system lets a process have a host name of its own."""
    space = ["unshare", "--uts"] + ["--user", "--map-root-user"] * (os.geteuid() != 0)
    if not shutil.which("unshare"):
        return False
    return (
        subprocess.run([*space, "hostname", "a"], capture_output=True, check=False).returncode == 0
    )
