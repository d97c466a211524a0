"""What a run ran on: versions, git state, user."""

import getpass
import platform
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = (
    "regexp",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "hydra-core",
    "omegaconf",
    "mlflow",
)


@lru_cache(maxsize=1)
def environment() -> dict[str, object]:
    """Python, system and library versions, for the artifact `environment.json`."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "git": git_state(),
    }


@lru_cache(maxsize=1)
def git_state() -> dict[str, str]:
    """Commit and cleanliness of the code: `{"commit": ..., "dirty": "true"}`; {} without git.

    The checkout that holds this package counts; for an installed package, the one that holds the
    working directory, where a user's own classes are likely to live.
    """
    package = Path(__file__).resolve().parent
    where = package if _git(package, "ls-files", "--error-unmatch", "__init__.py") else Path.cwd()
    commit = _git(where, "rev-parse", "HEAD")
    if not commit:
        return {}
    return {"commit": commit, "dirty": "true" if _git(where, "status", "--porcelain") else "false"}


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


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    """Standard output of a git command, "" when it fails or there is no git."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
