"""The locks under which one process makes or changes a store while the others wait."""

from pathlib import Path

from filelock import FileLock

# Another process makes the tables in a few seconds; one that hangs must not hang the others.
SECONDS = 120


def lock_of(path: Path) -> FileLock:
    """The lock of a file, such as a database, or of a step: hidden, beside it."""
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=SECONDS)
