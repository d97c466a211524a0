"""An MLflow server that goes away and comes back: what is recorded waits, and arrives once."""

from __future__ import annotations

import logging
import math
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from regexp.tracking import Patience, StoreAwayError, Tracker, TrackingError, deliver
from regexp.tracking.error import reason
from regexp.tracking.probe import probe
from tests.tracking.mlflow_server import Server
from tests.tracking.runs import curve, start, tries


@pytest.fixture
def server(fresh_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(fresh_store, monkeypatch)
    yield server
    server.stop()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """`paths.mlruns` of the client."""
    return tmp_path / "own"


def points(tracker: Tracker, run_id: str, name: str) -> list[tuple[int, float]]:
    """All points that the store has of a metric, in the order in which it got them."""
    found = tracker.client.get_metric_history(run_id, name)
    return [(metric.step, metric.value) for metric in found]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_lost_for_a_while_everything_arrives_in_order_and_once(
    server: Server, own: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    kept = tmp_path / "best.pt"
    kept.write_text("weights")
    with Tracker(server.uri, "regexp", own) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        values = [1.0, math.inf, 0.5, 0.25, 0.125]
        for step, value in enumerate(values):
            if step == 1:
                server.stop()
            if step == 3:
                record.artifact(kept, "checkpoints")
                kept.unlink()
                server.start()
            record.metrics({"val/loss": value}, step)
            tracker._outbox.drain()
        record.finish()
        assert tracker.runs(sweep.id)["status"].tolist() == ["FINISHED"], "what waited came first"
        history = points(tracker, record.id, "val/loss")
        assert [step for step, _ in history] == [0, 1, 2, 3, 4]
        assert [value for _, value in curve(tracker, record.id, "val/loss")] == values
        found = tracker.histories([sweep.id, record.id], "val/loss")
        assert found == {record.id: dict(enumerate(values))}
        artifact = tracker.client.download_artifacts(record.id, "checkpoints/best.pt")
        assert Path(artifact).read_text() == "weights"
        sweep.finish()
    assert tracker.left.nothing
    (warning,) = told(caplog)
    # A connection that was open is reset, or closed without an answer.
    assert re.match(
        r"The store of runs does not answer "
        r"\((Connection refused|Connection reset by peer|Remote end closed connection[^(]*)\)\.",
        warning,
    )


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("NewConnectionError('<x>: Failed to establish: [Errno 111] Connection refused')",
         "Connection refused"),
        ("ProtocolError('Connection aborted.', ConnectionResetError(104, 'Connection reset by "
         "peer'))", "Connection reset by peer"),
        ("ProtocolError('Connection aborted.', RemoteDisconnected('Remote end closed connection "
         "without response'))", "Remote end closed connection without response"),
    ],
)  # fmt: skip
def test_of_what_mlflow_says_only_the_cause_is_told(cause: str, said: str) -> None:
    text = f"API request to http://h:1/api failed with exception Max retries (Caused by {cause})"
    assert reason(RuntimeError(text)) == said


def test_lost_for_good_the_command_that_delivers_is_told_and_works(
    server: Server, own: Path, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with Tracker(server.uri, "regexp", own) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        server.stop()
        record.metrics({"val/loss": 4.0}, 3)
        record.finish()
        sweep.finish()
    assert len(tracker.left.waiting) == 2
    assert told(caplog)[-1] == (
        f"The records of 2 runs could not be delivered to {server.uri}. They are kept in "
        f"{own / 'undelivered'}; when the store answers again, deliver them by\n"
        f"  regexp deliver tracking.uri={server.uri} paths.mlruns={own}"
    )
    with pytest.raises(StoreAwayError, match="no MLflow server answers there"):
        deliver(server.uri, own)

    server.start()
    assert deliver(server.uri, own) == 0
    assert f"Delivered what waited of 2 runs to {server.uri}." in capsys.readouterr().out
    assert deliver(server.uri, own) == 0
    assert "Nothing waits" in capsys.readouterr().out
    with Tracker(server.uri, "regexp", own) as later:
        assert points(later, record.id, "val/loss") == [(3, 4.0)]
        assert tries(later, sweep.id)["f0"].status == "FINISHED"
        assert later.client.get_run(sweep.id).info.status == "FINISHED"


def waiting(patch: pytest.MonkeyPatch, act: Callable[[float], None]) -> None:
    """Let the next tracker wait for 60 s without time going by; `act` is told of every pause."""
    now = [0.0]

    def sleep(pause: float) -> None:
        now[0] += pause
        act(now[0])

    patient = Patience(60, clock=lambda: now[0], sleep=sleep)
    patch.setattr("regexp.tracking.tracker.Patience", lambda seconds: patient)


def test_a_run_that_starts_waits_for_the_server_and_says_so_once(
    server: Server, own: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waiting(monkeypatch, lambda now: server.start() if not server.running and now > 5 else None)
    with Tracker(server.uri, "regexp", own) as tracker:
        sweep = tracker.sweep("key", "name", {})
        server.stop()
        assert tries(tracker, sweep.id) == {}
        server.stop()
        record = start(tracker, sweep.id)
        record.finish()
        assert list(tries(tracker, sweep.id)) == ["f0"]
        sweep.finish()
    said = told(caplog)
    first = "The store of runs does not answer (Connection refused). Waiting for it, at most 60 s"
    assert [one.startswith(first) for one in said].count(True) == 2
    assert said.count("The store of runs answers again.") == 2


def test_a_run_whose_creation_was_not_answered_is_not_made_twice(
    server: Server, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tracker(server.uri, "regexp", own) as tracker:
        sweep = tracker.sweep("key", "name", {})
        create = tracker.client.create_run

        def lost(*args: Any, **named: Any) -> None:
            monkeypatch.setattr(tracker.client, "create_run", create)
            create(*args, **named)
            raise ConnectionError("[Errno 104] Connection reset by peer")

        monkeypatch.setattr(tracker.client, "create_run", lost)
        record = start(tracker, sweep.id)
        assert tracker.runs(sweep.id)["run_id"].tolist() == [record.id]
        record.finish()
        sweep.finish()


def test_what_was_waited_for_in_vain_fails_with_the_reason_and_the_next_at_once(
    server: Server, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    waiting(monkeypatch, pauses.append)
    with Tracker(server.uri, "regexp", own) as tracker:
        sweep = tracker.sweep("key", "name", {})
        server.stop()
        with pytest.raises(TrackingError, match=r"did not answer for 60 s \(tracking.wait\): Conn"):
            start(tracker, sweep.id)
        assert pauses[-1] == 60
        count = len(pauses)
        with pytest.raises(TrackingError, match="Connection refused"):
            start(tracker, sweep.id)
        assert len(pauses) == count, "the jobs of a sweep must not wait one after another"
        server.start()
        start(tracker, sweep.id).finish()
        sweep.finish()


def test_the_end_of_a_sweep_is_kept_too(server: Server, own: Path) -> None:
    """Interrupted while the server is away: the next tracker finds the run KILLED."""
    with pytest.raises(KeyboardInterrupt), Tracker(server.uri, "regexp", own) as tracker:  # noqa: PT012
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        server.stop()
        record.metrics({"val/loss": 1.0}, 1)
        raise KeyboardInterrupt
    server.start()
    with Tracker(server.uri, "regexp", own) as later:
        run = later.client.get_run(record.id)
        assert run.info.status == "KILLED"
        assert run.data.tags["reason"] == "interrupted from the keyboard (Ctrl-C)"
        assert run.data.metrics == {"val/loss": 1.0}


@pytest.mark.parametrize(("value", "mode"), [("true", ssl.CERT_NONE), ("", ssl.CERT_REQUIRED)])
def test_certificates_are_those_that_mlflow_trusts(
    value: str, mode: ssl.VerifyMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of one's own is refused by the machine, and MLflow's variables say whom to trust."""
    seen: list[ssl.SSLContext | None] = []

    def refuse(*_: Any, context: ssl.SSLContext | None, **__: Any) -> None:
        seen.append(context)
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", value)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", certifi.where())
    with pytest.raises(StoreAwayError, match=r"not trusted .*MLFLOW_TRACKING_SERVER_CERT_PATH"):
        probe("https://host:5000")
    [context] = seen
    assert context is not None
    assert context.verify_mode is mode
    monkeypatch.delenv("MLFLOW_TRACKING_INSECURE_TLS")
    monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(StoreAwayError):
        probe("https://host:5000")
    assert seen[1] is None
