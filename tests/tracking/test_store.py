import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from regexp.tracking import Tracker, TrackingError, locks, store
from regexp.tracking.quiet import Quiet
from tests.processes import Forked


def open_new(folder: Path) -> None:
    """Begin a sweep, and print its id."""
    with Tracker(None, "regexp", folder) as tracker:
        print(tracker.sweep("key", "name", {}).id)


@pytest.fixture
def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_importing_tracking_does_not_import_mlflow() -> None:
    script = "import sys, regexp.tracking, regexp.compare; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not {"mlflow", "pandas", "matplotlib", "torch"} & loaded


def test_processes_that_start_at_once_share_a_new_store(tmp_path: Path) -> None:
    # Two at a time already break a store that is made without a lock.
    started = [Forked(open_new, tmp_path / "mlruns") for _ in range(2)]
    ended = [process.end() for process in started]
    assert [status for status, _ in ended] == [0] * 2, ended
    assert len({printed for _, printed in ended}) == 1, "they found or made one parent together"
    assert "mlflow" not in ended[0][1], "nothing is printed that users need not know"


def test_server_that_does_not_answer_is_a_clear_error_within_seconds(
    tmp_path: Path, closed_port: int
) -> None:
    uri = f"http://user:secret@127.0.0.1:{closed_port}"
    started = time.monotonic()
    with pytest.raises(TrackingError, match=r"tracking.uri=http://127.0.0.1:\d+: no MLflow server"):
        Tracker(uri, "regexp", tmp_path)
    assert time.monotonic() - started < 10
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"


def test_error_shows_no_password(tmp_path: Path, closed_port: int) -> None:
    with pytest.raises(TrackingError) as caught:
        Tracker(f"http://user:secret@127.0.0.1:{closed_port}", "regexp", tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["mlruns", "file:///somewhere/mlruns"])
def test_folder_as_address_is_a_clear_error(tmp_path: Path, uri: str) -> None:
    with pytest.raises(TrackingError, match=r"is a folder.*tracking.uri=null"):
        Tracker(uri, "regexp", tmp_path)


def test_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    with pytest.raises(TrackingError, match=r"paths.mlruns=\S+ cannot be used: .*not a database"):
        Tracker(None, "regexp", tmp_path)


def test_folder_that_is_a_file_is_blamed_on_its_own_key(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(TrackingError, match=rf"^paths.mlruns={file} .*it is a file"):
        Tracker(None, "regexp", file)
    with pytest.raises(TrackingError, match=rf"^tracking.uri=sqlite:///{file}/x.db .*is a file"):
        Tracker(f"sqlite:///{file}/x.db", "regexp", tmp_path / "mlruns")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_place_that_takes_no_file_is_a_clear_error() -> None:
    with pytest.raises(TrackingError, match=r"^paths.mlruns=/proc cannot be used: no file"):
        Tracker(None, "regexp", "/proc")


def test_lock_that_is_never_given_back_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SECONDS", 0.01)
    with (
        FileLock(tmp_path / ".mlflow.db.lock"),
        pytest.raises(TrackingError, match=r"^paths.mlruns=.*\.lock' could not be acquired"),
    ):
        Tracker(None, "regexp", tmp_path)


def test_relative_address_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.resolve("sqlite:///runs.db", Path("x")) == f"sqlite:///{tmp_path / 'runs.db'}"
    assert store.resolve(None, Path("mlruns")) == f"sqlite:///{tmp_path / 'mlruns/mlflow.db'}"


def test_identity_survives_a_move_and_holds_no_password(tmp_path: Path) -> None:
    uri = store.resolve(None, tmp_path / "a")
    assert store.identity(uri, tmp_path / "a") == "mlflow.db"
    assert store.identity("http://user:secret@host:5000", tmp_path) == "http://host:5000"


def test_store_made_by_mlflow_itself_is_taken(tmp_path: Path, empty_store: Path) -> None:
    connection = sqlite3.connect(tmp_path / "mlflow.db")
    source = sqlite3.connect(empty_store)
    source.backup(connection)
    connection.execute("PRAGMA user_version=0")  # our mark of a complete store
    connection.close()
    source.close()
    with Tracker(None, "regexp", tmp_path) as tracker:
        assert tracker.runs("none").empty


def test_quiet_restores_levels_when_threads_overlap() -> None:
    import logging

    logger = logging.getLogger("quiet test")
    logger.setLevel(logging.INFO)
    quiet = Quiet("quiet test")
    quiet.__enter__()
    quiet.__enter__()
    quiet.__exit__()
    assert not logger.isEnabledFor(logging.CRITICAL)
    quiet.__exit__()
    assert logger.level == logging.INFO


def test_what_is_recorded_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o777

    new, there, shared = (tmp_path / name for name in ("new", "there", "shared"))
    there.mkdir(0o755)
    shared.mkdir()
    shared.chmod(0o775)
    for folder in (new, there, shared):
        Tracker(None, "regexp", folder).close()
    assert mode(new) == 0o700
    assert mode(there) == 0o755, "it is the user's"
    assert {mode(there / name) for name in store.INSIDE} == {0o700}
    assert not any((shared / name).exists() for name in ("artifacts", "hydra", "checkpoints"))
    assert mode(shared / "mlflow.db") & 0o040, "its group reads it, if it may read files at all"
    assert mode(new / "mlflow.db") == mode(there / "mlflow.db") == 0o600
