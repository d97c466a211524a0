"""MLflow's own server in this process, over real HTTP, that comes and goes within milliseconds."""

from __future__ import annotations

import logging
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import places, store


class Server:
    """An MLflow server on the SQLite store in a folder.

    Args:
        folder: has a complete `mlflow.db`.
        patch: takes its settings back after the test.
        login: the header `Authorization` without which it answers nothing but 401; "" for none.

    Attributes:
        uri: its address, the same after every start.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, login: str = "") -> None:
        patch.setenv("_MLFLOW_SERVER_FILE_STORE", places.connectable(store.resolve(None, folder)))
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
        patch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", places.artifact_folder(folder))
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # nothing is to wait
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow.server.fastapi_app  # noqa: F401, it warns at its first request
            from mlflow.server import app, handlers
        patch.setattr(handlers, "_tracking_store", None)
        patch.setattr(handlers, "_artifact_repo", None)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = app
        self._login = login
        self._server: Any = None
        self._port = 0
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        from werkzeug.serving import make_server

        self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _answer(self, request: Any, respond: Any) -> Any:
        if self._login and request.get("HTTP_AUTHORIZATION") != self._login:
            respond("401 Unauthorized", [("WWW-Authenticate", "Basic")])
            return [b"Who are you?"]
        return self._app(request, respond)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
