"""Checkpoints: plain tensors and numbers, written atomically and read without unpickling code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; a reader sees the whole of it or nothing.

    Args:
        path: of the file; its folder exists.
        content: nested dicts and lists of tensors, numbers and strings.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        torch.save(content, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path, device: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint that `save` wrote; no code in it is executed.

    `load(path)["weights"]` goes into the `load_state_dict(..., strict=False)` of a network of the
    run's configuration (counts of batches that batch normalization saw are not part of it).

    Raises:
        ValueError: if the file is no checkpoint, or damaged.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path}: expected a checkpoint written by regexp, but it cannot be read ({reason}); "
            "it may be truncated or come from elsewhere"
        ) from error
    if not isinstance(content, dict) or "weights" not in content:
        raise ValueError(f"{path}: expected a checkpoint written by regexp, with 'weights'")
    return content
