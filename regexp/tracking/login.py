"""Who a server or a database is told that we are."""

import os

from regexp import addresses
from regexp.tracking.error import PASSWORD, TOKEN, USER

# What an address has set the variables to, and what they were before.
_ours: dict[str, str | None] = {}
_before: dict[str, str | None] = {}


def log_in(uri: str) -> None:
    """Have MLflow's environment variables say what a server's address was given with.

    `http://USER:PASSWORD@HOST` logs in, a name alone is a token. They are as the user has set them
    for a server whose address says nothing: what was meant for another is not sent to it.
    """
    now = _now()  # whoever has changed the variables since has the last word
    mine = {name for name, value in _ours.items() if now == _ours or (value and now[name] == value)}
    _set({name: _before[name] for name in mine})
    _ours.clear()
    user, password = addresses.login(uri) if addresses.is_server(uri) else ("", "")
    if user:
        _before.update(_now())
        token = None if password else user
        _ours.update({USER: user if password else None, PASSWORD: password or None, TOKEN: token})
        _set(_ours)


def variables(uri: str) -> list[str]:
    """What to write before a command that has an address's public form, if it needs anything."""
    if addresses.whole(uri) == uri:
        return []
    if addresses.is_server(uri):
        _, password = addresses.login(uri)
        return [f"{USER}=USER", f"{PASSWORD}=PASSWORD"] if password else [f"{TOKEN}=TOKEN"]
    return [f"{addresses.REMEMBERED}={template(uri)}"]


def template(uri: str) -> str:
    """An address with places for a user and a password."""
    return uri.replace("://", "://USER:PASSWORD@", 1)


def _now() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in (USER, PASSWORD, TOKEN)}


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
