"""The errors that tracking shows to users."""

import re
import sqlite3

from regexp.addresses import public
from regexp.errors import first_line

USER = "MLFLOW_TRACKING_USERNAME"
PASSWORD = "MLFLOW_TRACKING_PASSWORD"
TOKEN = "MLFLOW_TRACKING_TOKEN"

_LENGTH = 300

# Answers of MLflow's that may be others later: no connection, a server that starts or is busy.
_PASSING = {
    "INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED", "CANCELLED", "ABORTED", "ENDPOINT_NOT_FOUND",
}  # fmt: skip


class TrackingError(RuntimeError):
    """The store of runs cannot be used; the message says which key to change and how."""


class NoRunError(TrackingError):
    """The store has no such run, or it was deleted."""


class StoreAwayError(TrackingError):
    """The store does not answer for now: no server, a locked database, a full disk."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def may_pass(error: Exception) -> bool:
    """Whether the same request may be answered later."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    if is_denied(error):
        return False
    if isinstance(error, MlflowException):
        return error.error_code in _PASSING
    return isinstance(error, OperationalError | sqlite3.OperationalError | OSError)


def is_away(error: Exception) -> bool:
    """Whether the store answers nobody, and not merely this request otherwise."""
    from requests.exceptions import ConnectionError as Unreachable
    from requests.exceptions import HTTPError, Timeout

    if isinstance(error, Unreachable | Timeout | ConnectionError | TimeoutError):
        return True
    if isinstance(error, HTTPError):
        return (_status(error) or 500) >= 500 or _status(error) == 429
    return may_pass(error) and not isinstance(error, OSError)


def is_too_large(error: BaseException) -> bool:
    """Whether a server, or what stands before it, takes no request of this size."""
    return _status(error) == 413


def is_denied(error: BaseException) -> bool:
    """Whether it is a server's answer 401 or 403: to nobody, or not to this user."""
    return _status(error) in (401, 403)


def _status(error: BaseException) -> int | None:
    """The status of HTTP behind an exception of MLflow, or of requests."""
    response = getattr(error, "response", None)
    of_mlflow = getattr(error, "get_http_status_code", lambda: None)
    status: int | None = getattr(response, "status_code", None) or of_mlflow()
    return status


def reason(error: BaseException) -> str:
    """What an error says, in one short line without credentials in an address.

    MLflow wraps what the system says into several sentences; then only that is told.
    """
    if is_denied(error):
        return (
            f"the server refuses the login ({_status(error)}); set {USER} and {PASSWORD}, or "
            f"{TOKEN}, in the environment of the command"
        )
    text = public(str(error).strip())
    system = re.search(r"\[Errno -?\d+\] ([^'\")\]:]+)", text)
    # `ConnectionResetError(104, 'Connection reset by peer')`, `RemoteDisconnected('...')`
    system = system or re.search(r"\w(?:Error|Disconnected)\((?:\d+, )?'([^']+)'\)", text)
    if system and not isinstance(error, OSError):
        return system[1].strip()
    database = re.search(r"\(\w+\.\w*Error\) (.+)", text)
    text = database[1] if database else text
    line = first_line(text) or type(error).__name__
    line = line if len(line) <= _LENGTH else f"{line[:_LENGTH]}..."
    return f"{line}, {code}" if (code := _sqlite_code(error)) else line


def _sqlite_code(error: BaseException | None) -> str:
    """SQLite's name of what went wrong, such as `SQLITE_IOERR_READ`; "" if it is not SQLite's.

    One message stands for many of them: https://sqlite.org/rescode.html#extrc.
    """
    while error is not None:
        cause = getattr(error, "orig", None) or error  # SQLAlchemy's around the driver's
        if code := getattr(cause, "sqlite_errorname", ""):
            return str(code)
        error = error.__cause__
    return ""
