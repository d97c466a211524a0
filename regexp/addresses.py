"""Addresses that carry credentials: what is shown and kept of them, and what connects.

An address is cleaned where it comes in: on the command line, in a YAML file or out of the
environment. From then on everything has its public form, without a user's name, a password or a
token, and only what connects asks for the whole. That is kept in one place, a variable of the
process's environment, which its workers inherit and which is written nowhere.
"""

import os
import re
import sys
import traceback
from typing import Any
from urllib.parse import quote, unquote

REMEMBERED = "REGEXP_CREDENTIALS"
"""Names the environment variable with whole addresses, one a line; a user may set it as well."""

_START = re.compile(r"[\w+.-]+://")
_ADDRESS = re.compile(rf"(?<![\w+.-]){_START.pattern}\S*")

# What stands between :// and the host. A password may have a slash that is not written as %2F:
# SQLAlchemy takes it, and where nobody does it is still a password. host:5000/a@b has none.
_ODD = r"[^:/?#]*:(?!\d*(?:[/?#]|$)).*@"
_DATABASE_USER = re.compile(rf"(?!\[)(?:[^:/?#]*:[^?#]*@|[^/?#]*@|{_ODD})", re.DOTALL)
_SERVER_USER = re.compile(rf"(?!\[)(?:[^/?#]*@|{_ODD})", re.DOTALL)

# Of a query's parameters, those that let in whoever knows them.
_SECRET = re.compile(
    r"passw(?:or)?d|passphrase|pwd|secret|token(?!i)|credential|signature|(?:api|access|[-_])[-_]?key"
    r"|odbc_connect|^(?:pass|key|sig|jwt|bearer|auth(?:orization)?)$",
    re.IGNORECASE,
)

# What neither the environment nor an address has as it is.
_UNFIT = re.compile(r"[\s\0\ud800-\udc7f\udd00-\udfff]")


def public(text: str) -> str:
    """A text with every address in it as it may be shown and written; most are no others.

    >>> public("tracking.uri=http://me:secret@host:5000 and postgresql://host/runs?password=secret")
    'tracking.uri=http://host:5000 and postgresql://host/runs'
    """
    return _ADDRESS.sub(lambda found: _cleaned(found[0]), text) if "://" in text else text


def public_all(value: Any) -> Any:
    """Plain containers, every text in them public; of a mapping also the keys."""
    if isinstance(value, str):
        return public(value)
    if isinstance(value, dict):
        return {public_all(key): public_all(item) for key, item in value.items()}
    return [public_all(item) for item in value] if isinstance(value, list) else value


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an error on standard error, with public addresses."""
    print(public("".join(traceback.format_exception(error))), end="", file=sys.stderr)


def is_server(address: str) -> bool:
    """Whether it is the address of a server on the web, and not of a database or a file."""
    return address.lower().startswith(("http://", "https://"))


def has_credentials(text: str) -> bool:
    """Whether a setting is an address that lets in who has it."""
    return bool(_START.match(text)) and _cleaned(text) != text


def withhold(text: str) -> str:
    """The public form of a setting, which is remembered if it is an address with credentials."""
    if not has_credentials(text):
        return public(text)
    address = _UNFIT.sub(lambda found: quote(found[0], errors="replace"), text)
    shown = _cleaned(address)
    os.environ[REMEMBERED] = "\n".join((_remembered() | {shown: address}).values())
    return shown


def whole(address: str) -> str:
    """An address with the credentials that it was given with, for what connects; never kept."""
    return _remembered().get(_cleaned(address), address) if _START.match(address) else address


def login(address: str) -> tuple[str, str]:
    """(user, password) that an address was given with; each is empty where there is none."""
    user, _, password = _parts(whole(address))[1].partition(":")
    return unquote(user), unquote(password)


def _remembered() -> dict[str, str]:
    """Public form -> whole address."""
    lines = os.environ.get(REMEMBERED, "").split("\n")
    return {_cleaned(line.strip()): line.strip() for line in lines if line.strip()}


def _cleaned(address: str) -> str:
    """The public form of one address; without credentials it is the same."""
    scheme, _, rest = _parts(_alone(address))
    return scheme + _ADDRESS.sub(lambda found: _alone(found[0]), rest)  # it may hold another


def _alone(address: str) -> str:
    """The public form of an address that holds no other."""
    scheme, _, rest = _parts(address)
    place, ask, query = rest.partition("?")
    parts = re.split("[&;]", query)
    kept = [part for part in parts if not _SECRET.search(unquote(part.partition("=")[0]))]
    if len(kept) < len(parts):
        ask, query = "?" if kept else "", "&".join(kept)
    return scheme + place + ask + query


def _parts(address: str) -> tuple[str, str, str]:
    """("http://", "user:password", "host/path")."""
    scheme, mark, rest = address.partition("://")
    users = _SERVER_USER if is_server(address) else _DATABASE_USER
    found = users.match(rest)
    end = found.end() if found else 0
    return scheme + mark, rest[: max(end - 1, 0)], rest[end:]
