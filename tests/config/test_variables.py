"""MLflow's variables of the environment, where the configuration leaves open what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regexp.__main__ import USAGE_ERROR, run
from regexp.addresses import whole
from regexp.commands.arguments import parse
from regexp.config.jobs import compose, compose_config
from regexp.config.variables import EXPERIMENT, URI


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI, "https://me:secret@host/mlflow")
    monkeypatch.setenv(EXPERIMENT, "ours")


def tracking(*words: str) -> dict[str, Any]:
    """`tracking` of the only job of a command, and of a command that trains nothing."""
    options = parse(words)[0]
    [job] = compose(options).jobs
    assert job.config.tracking == compose_config(options).tracking
    return dict(job.config.tracking)


def test_nothing_said_anywhere() -> None:
    told = tracking()
    assert (told["uri"], told["experiment"]) == (None, "regexp")


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("words", [(), ("tracking.uri=null", "tracking.experiment=null")])
def test_what_is_null_is_taken_from_the_environment(words: tuple[str, ...]) -> None:
    told = tracking(*words)
    assert (told["uri"], told["experiment"]) == ("https://host/mlflow", "ours")
    assert whole("https://host/mlflow") == "https://me:secret@host/mlflow"


@pytest.mark.usefixtures("variables")
def test_what_is_given_goes_before() -> None:
    told = tracking("tracking.uri=sqlite:///x.db", "tracking.experiment=mine")
    assert (told["uri"], told["experiment"]) == ("sqlite:///x.db", "mine")


def test_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI, "")
    monkeypatch.setenv(EXPERIMENT, "")
    told = tracking()
    assert (told["uri"], told["experiment"]) == (None, "regexp")


def test_a_value_is_no_interpolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXPERIMENT, "a ${seeds} b")
    assert tracking()["experiment"] == "a ${seeds} b"


def test_a_folder_is_no_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(URI, "file:///somewhere")
    assert run(["trainer.epochs=1"]) == USAGE_ERROR
    assert "MLFLOW_TRACKING_URI unset" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
