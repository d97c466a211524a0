"""PostgreSQL, an S3 store and an MLflow server on both, on this machine, for as long as one asks.

    python -m tests.real.servers          # starts them, prints how to reach them, ends with Ctrl-C

They are programs of their own and listen on 127.0.0.1 alone; all that they write is in one folder
below the system's folder for temporary files, and gone at the end. `make real` installs them.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from tests.real.programs import Program, free_port, wait_for
from tests.real.sweeps import PATIENCE

ADMIN = "m4rianne"
ADMIN_PASSWORD = "/".join(token_hex(5) for _ in range(3)) + "@1"  # in no file, this one included
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "tester", "AWS_REGION": "us-east-1"}
BUCKET = "runs"


def missing() -> str:
    """What is not installed, for the reason of a skip; empty if all is there."""
    programs = [] if _binaries() else ["PostgreSQL (apt-get install postgresql)"]
    modules = {"psycopg": "psycopg[binary]", "boto3": "boto3", "moto": "moto[server]",
               "flask_wtf": "Flask-WTF"}  # fmt: skip
    absent = [name for module, name in modules.items() if not importlib.util.find_spec(module)]
    return ", ".join([*programs, *(f"pip install '{name}'" for name in absent)])


def _binaries() -> Path | None:
    """The folder of PostgreSQL's programs: Debian's, or that of the path."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = [*map(str, places), shutil.which("initdb")]
    return next((Path(one).parent for one in found if one), None)


class Postgres:
    """A cluster of PostgreSQL in a folder, with trust for whoever is on this machine."""

    def __init__(self, folder: Path) -> None:
        binaries = _binaries()
        assert binaries is not None, missing()
        self._binaries, self.port = binaries, free_port()
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        data = folder / "postgres"
        data.mkdir()
        user = None
        if os.geteuid() == 0:  # it does not run as root
            user = self.user
            shutil.chown(data, user, user)
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(data),
                   "port": str(self.port), "fsync": "off", "max_connections": "200"}  # fmt: skip
        made = [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-E", "UTF8",
                "--locale=C.UTF-8"]  # fmt: skip
        subprocess.run(made, check=True, capture_output=True, user=user, group=user, cwd=data)
        settings = [f"-c{name}={value}" for name, value in options.items()]
        # SIGINT is its fast shutdown; SIGQUIT that of a crash
        self.program = Program(
            [str(binaries / "postgres"), "-D", str(data), *settings], folder / "postgres.log",
            user=user,
        )  # fmt: skip

    def start(self) -> None:
        self.program.start()
        wait_for(self.program, lambda: self.ask("select 1", "postgres") is not None)

    def stop(self, number: int = signal.SIGINT) -> None:
        self.program.end(number)

    def address(self, database: str) -> str:
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make a database; its address."""
        assert self.ask(f'create database "{database}"', "postgres") is not None
        return self.address(database)

    def ask(self, statement: str, database: str) -> str | None:
        """What psql answers to a statement; None if it fails."""
        done = self._program("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement, database)
        return done.stdout.decode() if done.returncode == 0 else None

    def dump(self, database: str) -> bytes:
        """All rows of a database as SQL."""
        done = self._program("pg_dump", database)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _program(self, name: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", self.user]
        command = [str(self._binaries / name), *where, *words]
        return subprocess.run(command, capture_output=True, check=False)


class S3:
    """moto's S3 server, which keeps objects in memory."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = KEYS | {"MLFLOW_S3_ENDPOINT_URL": self.address}
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.program = Program(command, folder / "s3.log")

    def start(self) -> None:
        self.program.start()
        wait_for(self.program, lambda: _answers(f"{self.address}/moto-api/"))
        self.client().create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        self.program.end()

    def client(self):
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.address, region_name=KEYS["AWS_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip

    def objects(self) -> dict[str, bytes]:
        """Every object of the bucket by its key."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


class MlflowServer:
    """MLflow's server on a database of PostgreSQL, with its artifacts in S3 handed through.

    Args:
        folder: of its log and settings.
        database: the address of its runs.
        s3: where artifacts go.
        users: the address of the database of users; "" lets everybody in.
    """

    def __init__(self, folder: Path, database: str, s3: S3, users: str = "") -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        environment = s3.environment | {
            "MLFLOW_BACKEND_STORE_URI": database,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONWARNINGS": "ignore",
        }
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--workers", "2"),
            *("--artifacts-destination", f"s3://{BUCKET}"),
            # else a worker that takes longer to begin, on a busy machine, is killed again and again
            *("--uvicorn-opts", f"--timeout-worker-healthcheck {PATIENCE:.0f}"),
        ]
        if users:
            settings = folder / "users.ini"
            settings.write_text(
                "[mlflow]\ndefault_permission = EDIT\n"
                f"database_uri = {users}\nadmin_username = {ADMIN}\n"
                f"admin_password = {ADMIN_PASSWORD}\nauth_cache_ttl_seconds = 60\n"
                "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            )
            environment |= {"MLFLOW_AUTH_CONFIG_PATH": str(settings),
                            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests"}  # fmt: skip
            command += ["--app-name", "basic-auth"]
        self.program = Program(command, folder / "mlflow.log", environment)

    def start(self) -> None:
        self.program.start()
        wait_for(self.program, lambda: _answers(f"{self.address}/health"))

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.program.end(number)


@dataclass(frozen=True)
class Servers:
    """What a team has."""

    folder: Path
    postgres: Postgres
    s3: S3
    mlflow: MlflowServer


@contextmanager
def servers(*, login: bool = False) -> Iterator[Servers]:
    """PostgreSQL, S3 and an MLflow server on them.

    Args:
        login: whether the server asks who one is; it knows `ADMIN` alone.
    """
    folder = Path(tempfile.mkdtemp(prefix="regexp_servers_"))
    folder.chmod(0o755)  # another user's program goes through it
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres, s3 = Postgres(folder), S3(folder)
        for one in (postgres, s3):
            stack.callback(one.stop)
            one.start()
        users = postgres.create("users") if login else ""
        mlflow = MlflowServer(folder, postgres.create("mlflow"), s3, users)
        stack.callback(mlflow.stop)
        mlflow.start()
        yield Servers(folder, postgres, s3, mlflow)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def main() -> int:
    if absent := missing():
        print(f"not installed: {absent}", file=sys.stderr)
        return 1
    with servers(login="--login" in sys.argv) as running:
        print(f"tracking.uri={running.mlflow.address}")
        print(f"--login: {ADMIN}, {ADMIN_PASSWORD}")
        print(f"database: {running.postgres.address('mlflow')}")
        print(f"S3: {running.s3.address}, bucket {BUCKET}; logs in {running.folder}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
