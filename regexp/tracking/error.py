"""The errors that tracking shows to users."""

import re

_LENGTH = 300


class TrackingError(RuntimeError):
    """The store of runs cannot be used; the message says which key to change and how."""


class StoreAwayError(TrackingError):
    """The store does not answer for now: no server, a locked database, a full disk."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def reason(error: BaseException) -> str:
    """What an error says, in one short line without a user's name and password in an address.

    MLflow wraps what the system says into several sentences; then only that is told.
    """
    text = re.sub(r"//[^/\s@]*@", "//", str(error).strip())
    system = re.search(r"\[Errno -?\d+\] ([^'\")\]:]+)", text)
    # `ConnectionResetError(104, 'Connection reset by peer')`, `RemoteDisconnected('...')`
    system = system or re.search(r"\w(?:Error|Disconnected)\((?:\d+, )?'([^']+)'\)", text)
    if system and not isinstance(error, OSError):
        return system[1].strip()
    database = re.search(r"\(\w+\.\w*Error\) (.+)", text)
    text = database[1] if database else text
    line = (text.splitlines() or [""])[0] or type(error).__name__
    return line if len(line) <= _LENGTH else f"{line[:_LENGTH]}..."
