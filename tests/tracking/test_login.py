"""Who a store is told that we are. MLflow itself reads the variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import ErrorCode
from mlflow.utils.credentials import get_default_host_creds
from requests import HTTPError, Response
from sqlalchemy import create_engine, make_url

from regexp.addresses import print_traceback, whole, withhold
from regexp.tracking import Tracker, TrackingError, store
from regexp.tracking.error import is_denied, may_pass, reason
from regexp.tracking.login import log_in


def told() -> tuple[str | None, str | None, str | None]:
    """What MLflow would tell a server: user, password, token."""
    login = get_default_host_creds("http://host")
    return login.username, login.password, login.token


def test_a_server_is_told_what_its_own_address_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.mlflow/credentials
    for uri in ("http://me:a%2Fb@one", "https://a%20token@two", "postgresql://me:x@three/y"):
        withhold(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "by variable")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "its password")
    mine = ("by variable", "its password", None)
    for uri, expected in [
        ("http://other", mine),
        ("http://one", ("me", "a/b", None)),
        ("https://two", (None, None, "a token")),
        ("http://one", ("me", "a/b", None)),
        ("http://other", mine),
        ("https://two", (None, None, "a token")),
        ("sqlite:///runs.db", mine),
        ("postgresql://three/y", mine),
    ]:
        log_in(uri)
        assert told() == expected, uri
    log_in("http://one")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "set later")
    log_in("http://other")
    assert told() == ("set later", "its password", None)


def denied(status: int) -> list[Exception]:
    """How MLflow and requests tell of it."""
    response = Response()
    response.status_code = status
    name = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}[status]
    return [
        RestException({"error_code": name, "message": "no"}),
        MlflowException("no", error_code=ErrorCode.Value(name)),
        HTTPError("no", response=response),
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_an_answer_to_nobody_names_the_variables_and_is_not_waited_out(status: int) -> None:
    for error in denied(status):
        assert is_denied(error)
        assert not may_pass(error)
        assert reason(error) == (
            f"the server refuses the login ({status}); set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment of the command"
        )


def test_other_answers_are_no_refusal() -> None:
    for error in (MlflowException("x"), HTTPError("x"), OSError("x"), RestException({})):
        assert not is_denied(error)
        assert may_pass(error)


@pytest.mark.parametrize("uri", ["me:secret@host:5000", "me:sec/ret@host/runs", "file://me:x@h/a"])
def test_an_address_that_lacks_its_beginning_is_told_without_the_password(
    tmp_path: Path, uri: str
) -> None:
    with pytest.raises(TrackingError, match="is a folder") as caught:
        Tracker(uri, "regexp", tmp_path)
    assert "me" not in str(caught.value).split()[0]
    assert not {"secret", "ret"} & set(str(caught.value).replace("@", " ").split())


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nothing://m4ry:s3cret@host/runs", ""),
        ("sqlite+nothing://:s3cret@/runs.db", ""),
        ("mssql+pymssql://host/runs?password=s3cret", "No module named 'pymssql'"),
    ],
)
def test_what_a_database_does_not_take_is_told_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, why: str
) -> None:
    with pytest.raises(TrackingError) as caught:
        Tracker(address, "regexp", tmp_path / "mlruns")
    print_traceback(caught.value)
    said = f"{caught.value}{capsys.readouterr().err}"
    assert f" cannot be used: {why}" in said
    assert "Its user and password may stand in REGEXP_CREDENTIALS=" in said
    assert "s3cret" not in said
    assert "m4ry" not in said


def test_a_database_is_opened_by_its_whole_address(
    tmp_path: Path, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a driver of SQLAlchemy's that stands for any: it opens the one SQLite file."""
    asked: list[str] = []

    def engine(uri: str, **_: object) -> object:
        asked.append(str(make_url(uri).password))
        return create_engine(f"sqlite:///{fresh_store / 'mlflow.db'}")

    monkeypatch.setattr("mlflow.store.db.utils.create_sqlalchemy_engine", engine)
    uri = store.resolve("postgresql://me:secret@somewhere/runs", fresh_store)
    assert uri == "postgresql://somewhere/runs"
    assert whole(uri) == "postgresql://me:secret@somewhere/runs"
    with Tracker(uri, "regexp", fresh_store) as tracker:
        assert tracker.uri == uri
    assert set(asked) == {"secret"}
