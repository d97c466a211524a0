"""What the tests on real components share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking.error import PASSWORD, USER
from tests.real import servers as programs
from tests.real.sweeps import end, give, recorded


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """They take minutes each, so that they run when they are asked for alone."""
    if "real" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(pytest.mark.skip(reason="make real, or pytest -m real"))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the store has of the sweep when one process has run it, one job after another."""
    folder: Path = tmp_path_factory.mktemp("undisturbed")
    status, printed = end(give(folder))
    assert status == 0, printed
    return recorded(folder)


@pytest.fixture(scope="session")
def servers() -> Iterator[programs.Servers]:
    """PostgreSQL, S3, and an MLflow server on both that asks who one is."""
    if absent := programs.missing():
        pytest.skip(f"missing: {absent}; make real installs it")
    with programs.servers(login=True) as running:
        yield running


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch, _own_credentials: None) -> None:
    """Who one is for `servers`, in the environment."""
    monkeypatch.setenv(USER, programs.ADMIN)
    monkeypatch.setenv(PASSWORD, programs.ADMIN_PASSWORD)
