"""What the tests of every part share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run side by side: neither they nor what they start may take every core."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data files: $REGEXP_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("REGEXP_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: set REGEXP_DATA, or put them into {folder}")
    return folder
