"""What the tests of every part share."""

import gc
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from regexp.addresses import REMEMBERED
from regexp.config.collector import keep_imports, spare_imports
from regexp.config.variables import EXPERIMENT, URI
from regexp.tracking.error import PASSWORD, TOKEN, USER

if TYPE_CHECKING:
    from tests.sandbox import Sandbox


# What these assert tells what differs, as in tests.
pytest.register_assert_rewrite("tests.hostile.support", "tests.shown", "tests.technique_runs")
# The same examples each time, however slow the machine.
hypothesis.settings.register_profile(
    "regexp",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("regexp")

spare_imports()  # of tests too: what is made until they start stays, and no garbage is in it


def pytest_collection_finish() -> None:
    """From now on there is garbage."""
    keep_imports()
    gc.set_threshold(10_000)


@pytest.fixture(autouse=True, scope="session")
def _usual_signals() -> None:
    """What is started by nohup or `&` ignores some, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run side by side: neither they nor what they start may take every core."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    if not os.environ.get("REGEXP_DATA"):
        monkeypatch.delenv("REGEXP_DATA", raising=False)


@pytest.fixture(autouse=True)
def _closed_logs() -> Iterator[None]:
    """Hydra leaves the log of a command's last job open, as its process is about to end."""
    yield
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.name == "file"]:  # Hydra's name for it
        root.removeHandler(handler)
        handler.close()


@pytest.fixture(autouse=True)
def _own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test's addresses have of passwords is forgotten after it; MLflow sets some itself."""
    for name in (REMEMBERED, USER, PASSWORD, TOKEN, URI, EXPERIMENT):
        monkeypatch.setenv(name, "")  # so that it is taken back, whatever becomes of it
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_address_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own state of the process goes before its variable; a test may have left one."""
    state = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if state is not None:
        monkeypatch.setattr(state, "_tracking_uri", None)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which nothing was recorded, to be copied: MLflow needs seconds to make one.

    Nobody uses it: to copy a database in use takes this process's locks on it away.
    """
    from regexp.tracking import store

    folder = tmp_path_factory.mktemp("store")
    client = store.open_client(store.resolve(None, folder), folder)
    client._tracking_client.store.engine.dispose()  # writes everything into the one file
    return folder / "mlflow.db"


@pytest.fixture
def fresh_store(tmp_path: Path, empty_store: Path) -> Path:
    """`paths.mlruns` of a test's own, with a store in which nothing was recorded."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture(scope="session")
def mlruns(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """`paths.mlruns` of every sandbox: to make a store takes seconds."""
    folder = tmp_path_factory.mktemp("mlruns")
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture
def no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps end without their comparison, which takes a sixth of a small sweep's time."""
    monkeypatch.setattr("regexp.sweeps.execute.present", lambda *_: None)


@pytest.fixture
def sandbox(
    tmp_path: Path, mlruns: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> "Sandbox":
    from tests.sandbox import Sandbox

    monkeypatch.chdir(tmp_path)
    return Sandbox(tmp_path, mlruns, request.node.name.replace("[", "-").rstrip("]"))
