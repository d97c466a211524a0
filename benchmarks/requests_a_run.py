"""Requests that a sweep sends to an MLflow server: `python -m benchmarks.requests_a_run`.

MLflow's own server answers in this process, on an SQLite file and a folder of artifacts, and counts
what a sweep asks it, from the plan to the comparison without pictures.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.growth import TECHNIQUES, Size
from benchmarks.harness import Times, inside, make_parser, timed

_IDS = r"-[0-9a-f]{32}.*"  # of leases
_ARTIFACTS = "/mlflow-artifacts/artifacts/"


@contextmanager
def counting_server(folder: Path) -> Iterator[tuple[str, Counter[str]]]:
    """A server on a new store in a folder; its address, and how often it is asked for what."""
    from regexp.tracking import places, store

    store.open_client(store.resolve(None, folder), folder)
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": places.connectable(store.resolve(None, folder)),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": places.artifact_folder(folder),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # it warns of a deprecation, in the first request that needs it
        importlib.import_module("mlflow.server.fastapi_app")
        from mlflow.server import app, handlers
        from werkzeug.serving import make_server
    asked: Counter[str] = Counter()

    def answer(environment: dict[str, Any], respond: Callable[..., Any]) -> Any:
        asked[f"{environment['REQUEST_METHOD']} {endpoint(environment['PATH_INFO'])}"] += 1
        return app(environment, respond)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, answer, threaded=True)
    with (
        mock.patch.dict(os.environ, settings),
        mock.patch.object(handlers, "_tracking_store", None),
        mock.patch.object(handlers, "_artifact_repo", None),
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            server.server_close()


def endpoint(path: str) -> str:
    """What is asked for, without whose it is; of artifacts the folder, where they are in one."""
    if _ARTIFACTS in path:
        folder, inside_one, _ = path.rpartition("/artifacts/")[2].partition("/")
        return f"artifact {folder}{inside_one}"
    return re.sub(_IDS, "", path).removeprefix("/api/2.0/mlflow")


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--rates", type=int, default=2, help="a job is one of a technique")
    parser.add_argument("--seeds", type=int, default=10, help="runs of a job")
    options = parser.parse_args(arguments)
    size = Size(options.rates, options.seeds)
    time: Callable[..., Times] = timed
    if options.smoke:
        size, time = Size(1, 2, TECHNIQUES[:1]), inside
    with tempfile.TemporaryDirectory() as name:
        folder, mlruns = Path(name), Path(name) / "mlruns"
        with counting_server(folder / "server") as (address, asked):
            places = [f"tracking.uri={address}", f"paths.mlruns={mlruns}", "figures=false"]
            time(["-m", "regexp", *size.words, f"paths.data={folder}", *places], folder)
    for what, count in asked.most_common():
        print(f"{count / size.runs:7.2f}  {what}")
    whole = asked.total() / size.runs
    print(f"{whole:7.2f}  a run, of {size.runs} in jobs of {size.seeds}")


if __name__ == "__main__":
    main()
