"""What a run ran on; the oracles are git itself and the interpreter."""

import hashlib
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from regexp.tracking import environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, taken for the one that holds the package."""
    name = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    (tmp_path / "code.py").write_text("a = 1\n")
    for command in (("init", "-q"), ("add", "."), (*name, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(environment, "_checkout", lambda: tmp_path)
    cached = (environment.git_state, environment.code_diff)
    for function in cached:
        monkeypatch.setattr(environment, function.__name__, function.__wrapped__)
    return tmp_path


def test_versions_and_processor_are_those_of_this_process():
    found = environment.environment()
    assert found["python"] == sys.version.split()[0]
    assert environment.packages()["torch"] == metadata.version("torch")
    assert environment.packages()["scikit-learn"] == metadata.version("scikit-learn")
    assert list(environment.packages()) == sorted(environment.packages())
    assert environment.arithmetic()["capability"] == torch.backends.cpu.get_cpu_capability()


def test_a_clean_checkout_has_no_diff(checkout: Path):
    state = environment.git_state()
    assert state["dirty"] == "false"
    assert "diff" not in state
    assert environment.kept_diff() == ""


def test_a_change_is_kept_with_its_checksum(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    (checkout / "code.py").write_bytes(b"a = 2\nb = '\xff'\n")
    state = environment.git_state()
    diff = environment.code_diff()
    assert state["dirty"] == "true"
    assert state["diff"] == hashlib.sha256(diff.encode()).hexdigest()
    assert "-a = 1" in diff
    assert "+a = 2" in diff
    monkeypatch.setattr(environment, "DIFF_LENGTH", 20)
    assert environment.kept_diff() == f"{diff[:20]}\n[cut: {len(diff)} characters]\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give folders away")
def test_a_checkout_of_another_user_is_told(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(environment, "_say_whose", environment._say_whose.__wrapped__)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.delenv("SUDO_UID", raising=False)
    os.chown(checkout, 65534, 65534)
    os.chown(checkout / ".git", 65534, 65534)
    assert environment.git_state() == {}
    assert f"safe.directory {checkout}" in caplog.text


def test_no_git_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "_checkout", lambda: tmp_path)
    assert environment.git_state.__wrapped__() == {}
    assert environment.code_diff.__wrapped__() == ""


def test_the_libraries_of_matrix_products_are_read_off_the_build():
    build = (
        "  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605\n"
        "  - Intel(R) MKL-DNN v3.7.1 (Git Hash 8d)\n  - Build settings: BLAS_INFO=mkl, X=1"
    )
    assert environment.blas(build) == "mkl 2024.2, oneDNN 3.7.1"
    assert environment.blas("BLAS_INFO=open") == "open"
    assert environment.blas("") == "unknown"
