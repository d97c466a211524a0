"""What the tests of every part share."""

import os

import pytest


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run side by side: neither they nor what they start may take every core."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    if not os.environ.get("REGEXP_DATA"):
        monkeypatch.delenv("REGEXP_DATA", raising=False)
