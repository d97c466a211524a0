"""What is read back from disk is checked before it is sent: somebody else may have written it.

A record must be of a known kind with the right types, and name only files in the folder that was
made for it and artifacts inside its run.
"""

import math
from pathlib import Path, PurePosixPath
from typing import Any

from regexp.tracking import names

_TEXT = (str,)
_NUMBER = (int, float)
_WHOLE = (int,)

_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "metric": {"name": _TEXT, "value": _NUMBER, "step": _WHOLE, "time": _WHOLE},
    "param": {"name": _TEXT, "value": _TEXT},
    "tag": {"name": _TEXT, "value": _TEXT},
    "text": {"content": _TEXT, "name": _TEXT},
    "file": {"path": _TEXT, "folder": _TEXT},
    "removal": {"folder": _TEXT},
    "dataset": {"name": _TEXT},
    "status": {"status": _TEXT, "time": _WHOLE},
}
_STATUSES = ("FINISHED", "FAILED", "KILLED", "SCHEDULED")
_LARGEST = 2**63  # of what the databases take as a step or a time


def fault(record: dict[str, Any], files: Path) -> str:
    """Why a record cannot be sent; "" if it can.

    Args:
        record: parsed from JSON.
        files: the folder in which its file must lie.
    """
    kind = record.get("kind")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        return f"a record of an unknown kind, {kind!r}"
    for name, types in fields.items():
        value = record.get(name)
        if not isinstance(value, types) or isinstance(value, bool):
            return f"a {kind} with {name}={value!r}"
        if isinstance(value, str) and not _is_text(value):
            return f"a {kind} whose {name} is no text"
    for name in ("step", "time"):
        if name in fields and not -_LARGEST <= record[name] < _LARGEST:
            return f"a {kind} with {name}={record[name]}"
    match kind:
        case "metric" | "param" | "tag" if record["name"] != names.safe(record["name"]):
            return f"a {kind} with a name that no run has: {record['name']!r}"
        case "metric":
            return "" if _is_float(record["value"]) else "a metric that is no number"
        case "status":
            good = record["status"] in _STATUSES and isinstance(record.get("owner", ""), str)
            return "" if good else f"a status {record['status']!r}"
        case "dataset":
            plain = all(isinstance(value, str) and _is_text(value) for value in record.values())
            return "" if plain else "a dataset whose description is no text"
        case "text":
            good = record["name"] and inside(record["name"])
            return "" if good else f"a text outside its run: {record['name']!r}"
        case "removal":
            good = record["folder"] == names.WORKING
            return "" if good else f"a folder that is kept: {record['folder']!r}"
        case "file":
            return _fault_of_file(record, files)
    return ""


def inside(path: str) -> bool:
    """Whether an artifact's path stays in its run: relative, in its shortest form, no "..".

    The empty path, the run's own folder, does.
    """
    parts = PurePosixPath(path).parts
    odd = "\\" in path or "\0" in path or ":" in path
    return path == "/".join(parts) and ".." not in parts and not path.startswith("/") and not odd


def _fault_of_file(record: dict[str, Any], files: Path) -> str:
    path, folder = record["path"], record["folder"]
    if not inside(folder):
        return f"an artifact outside its run: {folder!r}"
    # Nothing that is named below may be a link either.
    if not path or not inside(path) or files.is_symlink():
        return f"a file that is not its own: {path!r}"
    file = files / path
    if not file.resolve().is_relative_to(files.resolve()) or not file.exists():
        return f"a file that is not there: {path!r}"
    if not all(map(_is_plain, (file, *file.rglob("*")))):
        return f"a link or a device in place of a file: {path!r}"
    return ""


def _is_plain(path: Path) -> bool:
    return not path.is_symlink() and (path.is_file() or path.is_dir())


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8; JSON may hold halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_float(value: float) -> bool:
    try:
        return math.isnan(value) or float(value) == value
    except OverflowError:
        return False
