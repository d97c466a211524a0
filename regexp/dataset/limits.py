"""What a file may unpack to: a few kilobytes that are zipped well can hold more than any memory."""

from __future__ import annotations

from pathlib import Path

import psutil

from regexp.dataset.data import DataError

LINE = 2**24
"""Characters of a line of text at most."""

DISK = 2**30
"""Bytes that a download leaves free on the disk."""


def memory() -> int:
    """Bytes of memory that this machine has."""
    return int(psutil.virtual_memory().total)


def check_fits(path: Path, size: int) -> None:
    """Raise DataError if a file unpacks to more bytes than this machine has memory."""
    if size > memory():
        raise DataError(
            f"unpacks to {size / 1e9:,.0f} GB, more than the {memory() / 1e9:,.0f} GB of memory "
            "that this machine has",
            key=str(path),
            cure="if you know what is in it, take a part of it",
        )
