"""C code beside the Python that calls it, compiled where it is first needed.

It is for what torch's operations take many calls for, and has the bits that these have, which who
loads it tries. So a run is the same with and without: where no compiler is, it takes longer.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

_FLAGS = {
    "AVX512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
}
"""By the instructions that torch's own kernels take on this processor."""

_LANES = {"AVX512": 16}
"""How many numbers of float32 those take at a time, if not 8."""

MOST_SECONDS = 60
"""That a compiler may take."""


@functools.cache
def library(source: Path) -> ctypes.CDLL | None:
    """The functions of a C file; None where there is no compiler that makes them.

    What was compiled is kept in the user's cache (`$XDG_CACHE_HOME/regexp`, or `~/.cache/regexp`).
    The compiler is `$CC`, or `cc`.
    """
    compiler = shlex.split(os.environ.get("CC") or "cc")
    if sys.byteorder != "little" or not compiler or shutil.which(compiler[0]) is None:
        return None
    capability = torch.backends.cpu.get_cpu_capability()
    command = [
        *compiler, "-O3", "-shared", "-fPIC", "-ffp-contract=fast", *_FLAGS.get(capability, ()),
        f"-DLANES={_LANES.get(capability, 8)}", str(source), "-lm",
    ]  # fmt: skip
    digest = hashlib.sha256(repr(command).encode() + source.read_bytes()).hexdigest()[:16]
    try:
        with _folder() as folder:
            file = folder / f"{source.stem}-{digest}.so"
            if not file.exists():
                _compile(command, file)
            return ctypes.CDLL(str(file))
    except (OSError, subprocess.SubprocessError):
        return None


def _compile(command: list[str], file: Path) -> None:
    """Have a compiler write `file`, whole or not at all: other processes may do so as well."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / file.name
        subprocess.run(
            [*command, "-o", str(made)], check=True, capture_output=True, timeout=MOST_SECONDS
        )
        made.replace(file)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """The user's cache; where it cannot be written, a folder that is gone in the end."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regexp"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        writable = os.access(cache, os.W_OK)
    except (OSError, RuntimeError):  # there is no home
        writable = False
    if writable:
        yield cache
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
