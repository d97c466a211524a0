"""Checkpoints: plain tensors and numbers, written atomically and read without unpickling code."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; a reader sees the whole of it or nothing, even after a power cut.

    Args:
        path: of the file; its folder exists.
        content: nested dicts and lists of tensors, numbers and strings.

    Raises:
        OSError: it cannot be written; a file that was there is as it was.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except RuntimeError as error:  # torch's writer, when the disk is full
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        raise OSError(f"{path} cannot be written: {cause}") from error
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path, device: str = "cpu", holds: str = "weights") -> dict[str, Any]:
    """Read a checkpoint that `save` wrote; no code in it is executed.

    `load(path)["weights"]` goes into the `load_state_dict` of a network of the run's configuration.

    Args:
        path: of the file.
        device: where its tensors go.
        holds: the key that tells what it is a checkpoint of.

    Raises:
        FileNotFoundError: there is none.
        ValueError: if the file is no such checkpoint, or damaged.
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
    if not isinstance(content, dict) or holds not in content:
        raise ValueError(f"{path}: expected a checkpoint written by regexp, with '{holds}'")
    return content


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors, in hexadecimal."""
    hashed = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        hashed.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        hashed.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()
