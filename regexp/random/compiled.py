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
from collections.abc import Iterable
from pathlib import Path

import torch

_AVX2 = ("-mavx2", "-mfma")
_FLAGS = {"AVX2": _AVX2, "AVX512": _AVX2}
"""By what torch's own kernels take on this processor; longer vectors gain nothing."""

MOST_SECONDS = 20
"""That a compiler may take, which needs half of one."""


@functools.cache
def library(source: Path, *functions: str) -> ctypes.CDLL | None:
    """A C file's functions; None where there is no compiler that makes them.

    What was compiled is kept in the user's cache (`$XDG_CACHE_HOME/regexp`, or `~/.cache/regexp`).
    The compiler is `$CC`, or `cc`.
    """
    compiler = _compiler()
    if sys.byteorder != "little" or not compiler:
        return None
    flags = _FLAGS.get(torch.backends.cpu.get_cpu_capability(), ())
    # what is linked for fast mathematics would change what torch computes as well
    exact = ["-O3", "-fno-fast-math", "-ffp-contract=fast", *flags]
    command = [*compiler, *exact, "-shared", "-fPIC", "-x", "c", str(source), "-x", "none", "-lm"]
    made_of = repr((platform.system(), platform.machine(), compiler, exact)).encode()
    made_of += source.read_bytes()
    name = f"{source.stem}-{_digest(made_of)}"
    try:
        try:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "regexp"
            return _loaded(cache, name, command, functions)
        # there is no home, or nothing can be kept there
        except (OSError, RuntimeError, subprocess.CalledProcessError):
            with tempfile.TemporaryDirectory() as folder:
                return _loaded(Path(folder), name, command, functions)
    except subprocess.TimeoutExpired:
        _hanging.append(compiler)
    except (OSError, subprocess.SubprocessError, AttributeError):
        pass
    return None


_hanging: list[list[str]] = []
"""Compilers that took too long in this process."""


def _compiler() -> list[str]:
    """The words of its command; none if there is none."""
    try:
        words = shlex.split(os.environ.get("CC") or "cc")
    except ValueError:  # a quote that does not end
        return []
    return words if words and shutil.which(words[0]) and words not in _hanging else []


def _loaded(folder: Path, name: str, command: list[str], functions: Iterable[str]) -> ctypes.CDLL:
    """The library of a name, whole, which is compiled if it is not there.

    Other processes may compile it as well. The digest of what was made is a part of its own name:
    to load half of a file would end the process.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and not _is_own(folder.stat()):
        raise PermissionError(f"others can write into {folder}")
    kept = [one for one in folder.glob(f"{name}-*.so") if one.stem == _whole(name, one)]
    if not kept:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            made = Path(place) / "made.so"
            subprocess.run(
                [*command, "-o", str(made)],
                check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=MOST_SECONDS,
            )  # fmt: skip
            with made.open("rb") as file:
                os.fsync(file.fileno())
            kept = [folder / f"{_whole(name, made)}.so"]
            made.replace(kept[0])
    found = ctypes.CDLL(str(kept[0]))
    for function in functions:
        getattr(found, function)
    return found


def _is_own(folder: os.stat_result) -> bool:
    """Whether nobody but this user and root can put something into a folder."""
    return folder.st_uid in (0, os.getuid()) and not folder.st_mode & 0o022


def _whole(name: str, file: Path) -> str:
    """What a library is called, by its content."""
    return f"{name}-{_digest(file.read_bytes())}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
