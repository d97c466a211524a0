"""A real MLflow server that goes away in the middle of a run and comes back."""

import math
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regexp.tracking import RunRecord, Tracker, server, store

START_SECONDS = 120


@contextmanager
def serving(folder: Path, port: int) -> Iterator[None]:
    """An MLflow server on the store in `folder`, ready to answer."""
    command = server.command(store.resolve(None, folder), folder, port)
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_lost_server_loses_nothing(
    folder: Path,
    tmp_path: Path,
    start: Callable[..., RunRecord],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri, own = f"http://127.0.0.1:{port}", tmp_path / "own"
    kept = tmp_path / "best.pt"
    kept.write_text("weights")
    with serving(folder, port):
        tracker = Tracker(uri, "regexp", own)
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        for step, value in enumerate([1.0, math.inf, math.nan]):
            record.metrics({"val/loss": value}, step)
        assert len(tracker.history(record.id, "val/loss")) == 3
        assert tracker.link(sweep.id).startswith(uri)
    record.metrics({"val/loss": 4.0}, 3)
    record.artifact(kept, "checkpoints")
    kept.unlink()
    record.finish()
    sweep.finish()
    tracker.close()
    assert "2 run(s) could not be delivered to " + uri in caplog.text

    with serving(folder, port), Tracker(uri, "regexp", own) as later:
        run = later._client.get_run(record.id)
        assert run.info.status == "FINISHED"
        history = dict(later.history(record.id, "val/loss"))
        assert history[0] == 1.0
        assert history[1] == math.inf
        assert math.isnan(history[2])
        assert history[3] == 4.0
        artifact = later._client.download_artifacts(record.id, "checkpoints/best.pt", str(tmp_path))
        assert Path(artifact).read_text() == "weights"
        assert later.earlier(sweep.id)["f0"].id == record.id
        assert later.earlier(sweep.id)["f0"].status == "FINISHED"
    assert not list((own / "undelivered").glob("*.jsonl"))
