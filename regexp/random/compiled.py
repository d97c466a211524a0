"""C code beside the Python that calls it, compiled where it is first needed.

It is for what torch's operations take many calls for, and has the bits that these have, which who
loads it tries. So a run is the same with and without: where no compiler is, it takes longer.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

_AVX2 = ("-mavx2", "-mfma")
_FLAGS = {"AVX2": _AVX2, "AVX512": _AVX2}
"""By what torch's own kernels take on this processor; longer vectors gain nothing."""

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
    flags = _FLAGS.get(torch.backends.cpu.get_cpu_capability(), ())
    command = [*compiler, "-O3", "-shared", "-fPIC", "-ffp-contract=fast", *flags]
    made_of = repr((platform.system(), platform.machine(), command)).encode() + source.read_bytes()
    name = f"{source.stem}-{hashlib.sha256(made_of).hexdigest()[:16]}.so"
    command += [str(source), "-lm"]
    try:
        try:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "regexp"
            return _loaded(cache / name, command)
        except (OSError, RuntimeError):  # there is no home, or what is there is of no use
            with tempfile.TemporaryDirectory() as folder:
                return _loaded(Path(folder) / name, command)
    except (OSError, subprocess.SubprocessError):
        return None


def _loaded(file: Path, command: list[str]) -> ctypes.CDLL:
    """A library, which is compiled if it is not there; other processes may do so as well."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            made = Path(folder) / file.name
            command = [*command, "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, timeout=MOST_SECONDS)
            made.replace(file)
    return ctypes.CDLL(str(file))
