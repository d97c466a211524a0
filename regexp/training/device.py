"""The device of a job, and torch's settings on it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch

from regexp.errors import ConfigError

THREADS = 1024


@contextlib.contextmanager
def device_settings(trainer: Mapping[str, Any]) -> Iterator[torch.device]:
    """Threads, the device, and deterministic algorithms on it, for a while.

    Raises:
        ValueError: more threads than any machine has; to start them would end the process.
        ConfigError: a GPU that is not here.
    """
    if not 1 <= trainer["threads"] <= THREADS:  # of a recorded configuration, say
        raise ConfigError(key="trainer.threads", got=trainer["threads"], expected=f"1 to {THREADS}")
    device = torch.device(device_of(trainer["device"]))
    if device.type == "cuda" and not _is_here(device):
        raise ConfigError(
            f"the machine that is to train has {torch.cuda.device_count()} CUDA devices that torch "
            "can use",
            key="trainer.device",
            got=trainer["device"],
            cure="train where there is one, or give trainer.device=cpu",
        )
    _keep_freed_memory()
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(trainer["threads"])
    if device.type == "cuda":
        # cuBLAS asks for this before it promises equal bits
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    # cuDNN would round float32 to the 10 bits of TF32: a run alone and in a stack would then differ
    # by more than rounding.
    cudnn: Any = torch.backends.cudnn  # its parts have no types
    layers = cudnn.conv, cudnn.rnn
    precisions = [layer.fp32_precision for layer in layers]
    for layer in layers:
        layer.fp32_precision = "ieee"
    try:
        yield device
    finally:
        for layer, precision in zip(layers, precisions, strict=True):
            layer.fp32_precision = precision
        torch.set_num_threads(threads)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic)  # imports torch's compiler


@cache
def _keep_freed_memory() -> None:
    """Have glibc keep what a step frees for the next one, which asks for as much.

    It gives large blocks back to the system, which has to clear each page that it lends again: up
    to a quarter of the step of a convolutional network. Where there is another C library, nothing.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # the most that it takes
    library.mallopt(_M_TRIM_THRESHOLD, 512 * 2**20)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def device_of(name: str) -> str:
    """What `trainer.device` is on this machine: `cpu`, or `cuda:0` and the like."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda:0" if name == "cuda" else name


def device_name(device: torch.device) -> str:
    """The model of a GPU, or `cpu`; empty of a GPU that is not here."""
    if device.type != "cuda":
        return device.type
    return torch.cuda.get_device_name(device) if _is_here(device) else ""


def _is_here(device: torch.device) -> bool:
    return (device.index or 0) < torch.cuda.device_count()
