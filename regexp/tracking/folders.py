"""Folders that must take files, tried before anything is trained."""

import tempfile
from pathlib import Path

from regexp.tracking.error import TrackingError

INSIDE = ("artifacts", "checkpoints", "hydra", "locks", "undelivered")
"""Folders that are made in `paths.mlruns`."""


def check_inside(folder: Path) -> None:
    """Check that those folders take files which are in `paths.mlruns` already.

    Raises:
        TrackingError: one does not.
    """
    for name in INSIDE:
        if (folder / name).exists():
            make(folder / name, f"paths.mlruns={folder}")


def make(folder: Path, setting: str) -> None:
    """Create a folder, and a file in it that is gone at once.

    Some places take no file although their permissions say so, and a file lock there waits for
    one that never comes.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise TrackingError(
            f"{setting} cannot be used: no file can be made in the folder {folder} ({reason}). "
            "Choose another place, one that you may write."
        ) from error
