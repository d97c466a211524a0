"""What the tests of every part share."""

import os
import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def _usual_signals() -> None:
    """What is started by nohup or `&` ignores some, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run side by side: neither they nor what they start may take every core."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    if not os.environ.get("REGEXP_DATA"):
        monkeypatch.delenv("REGEXP_DATA", raising=False)
