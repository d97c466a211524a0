"""Checkpoints: plain tensors and numbers, written atomically and read without unpickling code."""

from __future__ import annotations

import hashlib
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.errors import ConfigError, reason_of

_REPEATED = 2**20  # bytes of a tensor that repeats a smaller one, at most


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; a reader sees the whole of it or nothing, even after a power cut.

    Args:
        path: of the file; its folder exists.
        content: nested dicts and lists of tensors, numbers and strings; NumPy's numbers, as own
            schedulers have them, become Python's.

    Raises:
        OSError: it cannot be written; a file that was there is as it was.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            write(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except RuntimeError as error:  # torch's writer, when the disk is full
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        raise OSError(f"{path} cannot be written: {cause}") from error
    finally:
        partial.unlink(missing_ok=True)


def write(content: dict[str, Any], file: IO[bytes]) -> None:
    """`torch.save`, of tensors on the CPU, so that machines without the device read them as well.

    Torch makes an error of its own of what breaks it off in the middle: Ctrl-C would be taken for a
    disk that is full, and training go on.

    Raises:
        KeyboardInterrupt: as it came.
        RuntimeError: of torch's writer.
    """
    try:
        torch.save(moved(with_numbers(content), torch.device("cpu")), file)
    except RuntimeError as error:
        came = error.__context__
        if came is not None and not isinstance(came, Exception):
            raise came from None
        raise


def with_numbers(content: Any) -> Any:
    """Content of a checkpoint with numbers of Python's in the place of NumPy's."""
    return pytree.tree_map_only(np.generic, lambda number: number.item(), content)


def moved(content: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Content of a checkpoint with its tensors on a device."""
    there: dict[str, Any] = pytree.tree_map_only(Tensor, lambda t: t.to(device), content)
    return there


def load(path: Path | str, device: str = "cpu", holds: str = "weights") -> dict[str, Any]:
    """Read a checkpoint that `save` wrote; no code in it is executed.

    `load(path)["weights"]` goes into the `load_state_dict` of a network of the run's configuration.

    Args:
        path: of the file.
        device: where its tensors go.
        holds: the key that tells what it is a checkpoint of.

    Raises:
        FileNotFoundError: there is none.
        ConfigError: if the file is no such checkpoint, or damaged.
    """
    try:
        _check_archive(Path(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign files; ours give none
            content = torch.load(path, map_location=device, weights_only=True)
        check_plain(content)
    except FileNotFoundError:
        raise
    except Exception as error:
        reason = reason_of(error)
        raise ConfigError(
            f"expected a checkpoint written by regexp, but it cannot be read ({reason}); "
            "it may be truncated or come from elsewhere",
            key=str(path),
        ) from error
    part = content.get(holds) if isinstance(content, dict) else None
    tensors = isinstance(part, dict) and all(isinstance(value, Tensor) for value in part.values())
    if not isinstance(part, dict) or (holds == "weights" and not tensors):
        raise ConfigError(f"expected a checkpoint written by regexp, with '{holds}'", key=str(path))
    return content


def _check_archive(path: Path) -> None:
    """Check the sums of a zip file's members, which torch does not, and that it hides no more.

    Raises:
        ValueError: it is damaged, or unpacks to more than itself.
        zipfile.BadZipFile: it is no zip file.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("it unpacks to more than the file holds")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it is damaged")


def check_plain(content: object) -> None:
    """Check that there is nothing in a checkpoint, or a part of one, but what `save` is given.

    Raises:
        ValueError: there is.
    """
    pending = [content]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending += [*part, *part.values()]
        elif isinstance(part, list | tuple):
            pending += part
        elif isinstance(part, Tensor):
            # a view may be many times larger than what it shows over and over again
            whole = part.layout == torch.strided and part.nbytes <= max(_storage(part), _REPEATED)
            if not whole or type(part) not in (Tensor, torch.nn.Parameter):
                raise ValueError("a tensor in it is no plain one")
        elif not isinstance(part, str | int | float | bool | None):
            raise ValueError(f"it holds a {type(part).__name__}")


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors, in hexadecimal."""
    hashed = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        hashed.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        hashed.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()
