"""Run MLflow's UI on this machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from regexp.tracking import store
from regexp.tracking.error import TrackingError
from regexp.tracking.signals import interruptible

HOST = "127.0.0.1"


def serve(uri: str | None, folder: Path | str, port: int = 5000) -> int:
    """Serve the UI on 127.0.0.1 until Ctrl-C; return the server's exit status.

    Args:
        uri: `tracking.uri`; None is the SQLite file in `folder`.
        folder: `paths.mlruns`.
        port: of the UI.

    Raises:
        TrackingError: the port is taken, the store cannot be used, or the address is that of a
            server, which has a UI of its own.
    """
    folder = Path(folder)
    resolved = store.resolve(uri, folder)
    if resolved.startswith(("http://", "https://")):
        raise TrackingError(
            f"tracking.uri={store.public(resolved)} is a server with a UI of its own: open that "
            "address in a browser."
        )
    _check_free(port)
    store.open_client(resolved, folder)  # a UI opened before the first run finds an empty store
    with interruptible():
        process = subprocess.Popen(command(resolved, folder, port), env=_environment())
        try:
            return process.wait()
        except KeyboardInterrupt:  # from a keyboard it reaches the server as well
            return 0
        finally:
            process.terminate()
            process.wait()


def command(uri: str, folder: Path, port: int) -> list[str]:
    """The server's command line; one worker, because each takes seconds to start."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", uri),
        *("--default-artifact-root", store.artifact_folder(folder)),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
    ]


def _environment() -> dict[str, str]:
    store.prepare_environment()
    # MLflow's job runner starts more processes; nothing here needs them.
    return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | dict(os.environ)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            example = 5002 if port == 5001 else 5001
            raise TrackingError(
                f"tracking.port={port} cannot be used on {HOST} ({error.strerror}): another UI may "
                f"be running. Open it, or choose another port, such as tracking.port={example}."
            ) from error
