"""Run MLflow's UI on this machine."""

import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from regexp.addresses import is_server
from regexp.tracking import process, store
from regexp.tracking.error import TrackingError
from regexp.tracking.places import artifact_folder, connectable
from regexp.tracking.signals import interruptible

HOST = "127.0.0.1"
_NOTE = ".ui.{port}.json"  # in `paths.mlruns`: which server was started there, and by whom
_GRACE_SECONDS = 10


def serve(uri: str | None, folder: Path | str, port: int = 5000, host: str = HOST) -> int:
    """Serve the UI until Ctrl-C; return the server's exit status.

    A server whose `regexp ui` was killed is ended first: nobody else would.

    Args:
        host: the address that it listens on; with any but a loopback address a line says that
            others reach it.

    Raises:
        TrackingError: the port is taken, the store cannot be used, or the address is that of a
            server, which has a UI of its own.
    """
    folder = Path(folder)
    resolved = store.resolve(uri, folder)
    if is_server(resolved):
        raise TrackingError(
            f"tracking.uri={resolved} is a server with a UI of its own: open that "
            "address in a browser."
        )
    end_stale(folder)
    _check_free(host, port)
    if not is_loopback(host):
        print(_exposed(host), file=sys.stderr)
    store.open_client(resolved, folder)  # a UI opened before the first run finds an empty store
    note = folder / _NOTE.format(port=port)
    with interruptible():
        # In a session of its own: only this process tells it to end, and its children with it.
        server = subprocess.Popen(
            server_command(folder, port, host), env=_environment(resolved), start_new_session=True
        )
        try:
            _note(note, server.pid)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(server.pid)
            note.unlink(missing_ok=True)


def server_command(folder: Path, port: int, host: str = HOST) -> list[str]:
    """The server's command line; one worker, because each takes seconds to start.

    Everybody on the machine can read it, so that the store's address is not in it.
    """
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--default-artifact-root", artifact_folder(folder)),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def end_stale(folder: Path) -> bool:
    """End the servers in `folder` whose `regexp ui` is dead; whether there was one."""
    ended = [_end_stale(note) for note in sorted(folder.glob(_NOTE.format(port="*")))]
    return any(ended)


def _end_stale(note: Path) -> bool:
    try:
        noted = json.loads(note.read_text())
        owner, server = dict(noted["owner"]), dict(noted["server"])
        number = int(server["pid"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    if process.alive(owner) is not False or not process.alive(server):
        return False
    with suppress(psutil.Error):
        # The note may be anybody's: nothing else is ended.
        if {"mlflow", "server"} <= set(psutil.Process(number).cmdline()):
            _end(number)
            note.unlink(missing_ok=True)
            return True
    return False


def _note(note: Path, server: int) -> None:
    """Leave word of the server, for the case that this process is killed."""
    with suppress(OSError):
        noted = {"owner": process.tags(), "server": process.tags(server)}
        note.write_text(json.dumps(noted))


def _end(number: int) -> None:
    """Ask a process and its children to end; those that do not are killed."""
    try:
        family = [parent := psutil.Process(number), *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for relative in family:
        with suppress(psutil.NoSuchProcess):
            relative.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=_GRACE_SECONDS)
    for relative in alive:
        with suppress(psutil.NoSuchProcess):
            relative.kill()
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)


def _exposed(host: str) -> str:
    """What a user must know of a UI that others reach."""
    return (
        f"tracking.host={host}: whoever reaches this address can read, change and delete all runs, "
        "without a password. MLflow answers to localhost and private addresses alone; for other "
        "names set MLFLOW_SERVER_ALLOWED_HOSTS=NAME:PORT."
    )


def _environment(uri: str) -> dict[str, str]:
    """Of the server on a store, whose address may have a password."""
    store.prepare_environment()
    # MLflow's job runner starts more processes; nothing here needs them. What its own code is
    # warned of is nothing for our users.
    ours = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    return ours | dict(os.environ) | {"MLFLOW_BACKEND_STORE_URI": connectable(uri)}


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as error:
            raise TrackingError(
                f"tracking.host={host}: expected an address of this machine, such as 127.0.0.1 "
                f"({error.strerror})"
            ) from error
        except OSError as error:
            example = 5002 if port == 5001 else 5001
            raise TrackingError(
                f"tracking.port={port} cannot be used on {host} ({error.strerror}): another UI may "
                f"be running. Open it, or choose another port, such as tracking.port={example}."
            ) from error
