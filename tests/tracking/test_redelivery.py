"""`regexp deliver` on an SQLite store: what it sends, what it leaves, and what it says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from regexp.commands.arguments import parse
from regexp.config.jobs import compose_config
from regexp.tracking import Tracker, deliver, delivery, process, store
from regexp.tracking.outbox import Left
from regexp.tracking.pasted import deliver_command
from regexp.tracking.redelivery import farewell
from regexp.tracking.spool import Spool
from tests.tracking.runs import start


@pytest.fixture
def run_id(fresh_store: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A run whose process died while the store was away: its end waits on disk."""
    tracker = Tracker(None, "regexp", fresh_store)
    record = start(tracker, tracker.sweep("key", "name", {}).id)
    tracker.runs(record.id)
    tracker.close()
    spool = Spool(fresh_store / "undelivered", "mlflow.db")
    metric = delivery.metric("val/loss", 1.0, 1, 1000)
    spool.append(record.id, [metric, delivery.status("FINISHED", 2)])
    spool.release()
    return record.id


def test_what_waits_is_sent(
    fresh_store: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(None, fresh_store) == 0
    assert capsys.readouterr().out.startswith("Delivered what waited of 1 run to sqlite:///")
    with Tracker(None, "regexp", fresh_store) as tracker:
        run = tracker.client.get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.data.metrics == {"val/loss": 1.0}


def test_a_run_that_finished_was_not_lost_though_it_was_taken_for_it(
    fresh_store: Path, run_id: str
) -> None:
    """While its end waited, another command ended it; a rerun would find another outcome."""
    client = store.open_client(store.resolve(None, fresh_store), fresh_store)
    client.set_tag(run_id, "reason", "its process ended without saying why")
    client.set_terminated(run_id, "FAILED")
    assert deliver(None, fresh_store) == 0
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert "reason" not in run.data.tags


def test_what_others_keep_is_left_and_told(
    fresh_store: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    living = {"kind": "header", "store": "mlflow.db"} | process.tags()
    elsewhere = living | {"store": "http://elsewhere:5000"}
    for name, header in (("living", living), ("elsewhere", elsewhere)):
        (fresh_store / "undelivered" / f"{name}.jsonl").write_text(json.dumps(header) + "\n")
    assert deliver(None, fresh_store) == 1
    sent, *rest = capsys.readouterr().out.splitlines()
    assert sent.startswith("Delivered what waited of 1 run")
    assert len(rest) == 2
    assert "elsewhere.jsonl waits still: for another store, http://elsewhere:5000." in rest[0]
    assert "still records it." in rest[1]


def test_what_is_refused_is_told(
    fresh_store: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:  # delivers
        tracker.client.delete_run(run_id)
    spool = Spool(fresh_store / "undelivered", "mlflow.db")
    spool.append(run_id, [delivery.status("FINISHED", 2), {"kind": "odd"}])
    spool.release()
    assert deliver(None, fresh_store) == 1
    assert f"refused records of run {run_id}" in capsys.readouterr().out
    refused = fresh_store / "undelivered" / "refused" / f"{run_id}.jsonl"
    assert refused.read_text().count('"kind"') == 2 + 1


def test_nothing_waits_and_no_store_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(None, tmp_path / "mlruns") == 0
    assert "Nothing waits in" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["mlruns", '/a b/it\'s "mine"', "a,b\\c", "{x}", 'a\\"b\\'])
def test_the_command_is_understood_by_shell_and_hydra(folder: str) -> None:
    uri = "http://127.0.0.1:5000/a?b=c"
    name, verb, *arguments = shlex.split(deliver_command(uri, Path(folder)))
    assert (name, verb) == ("regexp", "deliver")
    config = compose_config(parse(arguments)[0])
    assert (config.tracking.uri, config.paths.mlruns) == (uri, folder)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (
            "http://me:secret@host:5000",
            "MLFLOW_TRACKING_USERNAME=USER MLFLOW_TRACKING_PASSWORD=PASSWORD "
            "regexp deliver tracking.uri=http://host:5000",
        ),
        (
            "https://secret@host",
            "MLFLOW_TRACKING_TOKEN=TOKEN regexp deliver tracking.uri=https://host",
        ),
        (
            "postgresql://me:secret@host/runs",
            "REGEXP_CREDENTIALS=postgresql://USER:PASSWORD@host/runs "
            "regexp deliver tracking.uri=postgresql://host/runs",
        ),
    ],
)
def test_the_command_shows_no_password_but_where_to_put_it(uri: str, expected: str) -> None:
    assert deliver_command(uri, Path("mlruns")) == f"{expected} paths.mlruns=mlruns"


def test_what_is_lost_is_said_in_one_line(tmp_path: Path) -> None:
    (line,) = farewell(Left(lost=7, why="[Errno 28] No space left on device"), None, tmp_path)
    assert line.startswith(
        "7 records are lost: neither the store nor the disk took them ([Errno 28"
    )
