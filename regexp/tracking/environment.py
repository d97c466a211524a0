"""What a run ran on: code, versions, processor, git state, user."""

import getpass
import hashlib
import logging
import os
import platform
import re
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil

from regexp.tracking import modules

_logger = logging.getLogger(__name__)

DIFF_LENGTH = 1_000_000
"""Characters of `git diff HEAD` that are kept; its checksum is of the whole."""

# Environment variables that change how numbers are computed, or on how many threads. Others of
# these families are left out: libraries set them when they are imported.
_VARIABLES = (
    "OMP_NUM_THREADS", "OMP_DYNAMIC", "OMP_THREAD_LIMIT", "KMP_DETERMINISTIC_REDUCTION",
    "MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
    "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA",
    "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "PYTHONHASHSEED",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Code, versions, processor and system, for the artifact `environment.json`."""
    return _environment() | {"own_code": modules.loaded_code()}


@lru_cache(maxsize=1)
def _environment() -> dict[str, object]:
    return {
        "code": code_version(),
        "git": git_state(),
        "arithmetic": arithmetic(),
        "kernels": kernels(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "python": platform.python_version(),
        "packages": packages(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


@lru_cache(maxsize=1)
def arithmetic() -> dict[str, str]:
    """What the bits of a run depend on beside its configuration, its data and the code."""
    import numpy
    import torch

    recorded = {
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "blas": blas(torch.__config__.show()),
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }
    if torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        recorded["gpus"] = ", ".join(torch.cuda.get_device_name(device) for device in devices)
        recorded["cuda"] = str(torch.version.cuda)
        recorded["cudnn"] = str(torch.backends.cudnn.version())
    return recorded


def kernels() -> dict[str, str]:
    """What computes layers and optimizers whose kernel was changed since runs were recorded."""
    from regexp.model.fused_lstm import KERNELS as LAYERS
    from regexp.optimizer import KERNELS as OPTIMIZERS

    return {**LAYERS, **OPTIMIZERS}


def blas(build: str) -> str:
    """The libraries that torch multiplies matrices with: "mkl 2024.2, oneDNN 3.7.1"."""
    name = re.search(r"BLAS_INFO=(\w+)", build)
    mkl = re.search(r"Math Kernel Library Version (\d[\w.]*)", build)
    onednn = re.search(r"(?:MKL-DNN|oneDNN) v(\d[\w.]*)", build)
    parts = [name[1] if name else "unknown"]
    parts[0] += f" {mkl[1]}" if mkl else ""
    return ", ".join([*parts, *([f"oneDNN {onednn[1]}"] if onednn else [])])


def _processor() -> str:
    """The processor's model; its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def packages() -> dict[str, str]:
    """Version of every installed distribution, by its name in lower case."""
    versions: dict[str, str] = {}
    for distribution in distributions():
        metadata = distribution.metadata  # read at every access
        if name := metadata["Name"]:  # what a broken installation left behind has none
            # the first on the path is the one that is imported
            versions.setdefault(name.lower().replace("_", "-"), metadata["Version"])
    return dict(sorted(versions.items()))


@lru_cache(maxsize=1)
def code_version() -> str:
    """Hash of the package's source, so that other code makes other runs."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parent.parent
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.c")]):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def git_state() -> dict[str, str]:
    """Commit and cleanliness of the code; {} without git.

    The checkout that holds this package counts; for an installed package, the one that holds the
    working directory, where a user's own classes are likely to live.

    Returns:
        `{"commit": ..., "dirty": "true"}`, and where tracked files were changed `diff`, the
        SHA-256 of `git diff HEAD`.
    """
    where = _checkout()
    commit = _git(where, "rev-parse", "HEAD", tell=True)
    if not commit:
        return {}
    state = {"commit": commit, "dirty": "true" if _git(where, "status", "--porcelain") else "false"}
    if diff := code_diff():
        state["diff"] = hashlib.sha256(diff.encode()).hexdigest()
    return state


@lru_cache(maxsize=1)
def code_diff() -> str:
    """`git diff HEAD` of that checkout; "" where nothing was changed or there is no git."""
    return _git(_checkout(), "diff", "HEAD", "--full-index", "--no-color", "--no-ext-diff")


def kept_diff() -> str:
    """As much of `code_diff` as is recorded."""
    diff = code_diff()
    if len(diff) <= DIFF_LENGTH:
        return diff
    return f"{diff[:DIFF_LENGTH]}\n[cut: {len(diff)} characters]\n"


@lru_cache(maxsize=1)
def common_tags() -> dict[str, str]:
    """Tags that are equal for all runs of a process."""
    git = git_state()
    tags = {f"git.{key}": value for key, value in git.items()}
    tags["mlflow.user"] = _user()
    tags["mlflow.source.type"] = "LOCAL"
    tags["mlflow.source.name"] = Path(sys.argv[0]).name or "regexp"
    if git:
        tags["mlflow.source.git.commit"] = git["commit"]
    return tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _checkout() -> Path:
    package = Path(__file__).resolve().parent
    installed = "site-packages" in package.parts  # perhaps below a checkout, and no part of it
    asked = _git(package, "ls-files", "--error-unmatch", "__init__.py", tell=not installed)
    return package if asked else Path.cwd()


def _git(folder: Path, *arguments: str, tell: bool = False) -> str:
    """Standard output of a git command, "" when it fails or there is no git.

    Args:
        tell: whether to say so where git refuses a checkout of another user.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        # a diff may hold bytes of any encoding
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if tell and (found := re.search(r"--add safe\.directory (.+)", done.stderr)):
        _say_whose(found[1])
    return done.stdout.strip() if done.returncode == 0 else ""


@lru_cache(maxsize=1)
def _say_whose(folder: str) -> None:
    _logger.warning(
        "the state of the code is not recorded, as git does not read what belongs to another user "
        "before it is told: git config --global --add safe.directory %s",
        folder,  # quoted by git
    )
