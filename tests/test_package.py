"""What is handed on: the wheel and the source archive, built and tried away from this folder."""

import filecmp
import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from regexp import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def outside(*command: str | Path, folder: Path) -> str:
    """The output of a command that cannot see this checkout: neither its folder nor its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both archives, built by the backend that pyproject.toml names."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    outside(sys.executable, "-m", "hatchling", "build", "-d", folder, folder=ROOT)
    return folder


@pytest.fixture(scope="module")
def sources(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, unpacked."""
    folder = tmp_path_factory.mktemp("sources")
    with tarfile.open(dist / f"regexp-{__version__}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / f"regexp-{__version__}"


def test_the_wheel_runs_in_a_new_environment(dist: Path, tmp_path: Path) -> None:
    """Its dependencies are taken from this environment: to install torch anew takes minutes."""
    environment = tmp_path / "environment"
    venv.create(environment)
    python = environment / "bin" / "python"
    [packages] = environment.glob("lib/python*/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("\n".join(shared))
    wheel = dist / f"regexp-{__version__}-py3-none-any.whl"
    install = ("install", "--quiet", "--no-deps", "--no-index", "--ignore-installed")
    outside(sys.executable, "-m", "pip", "--python", python, *install, wheel, folder=tmp_path)

    where = outside(python, "-c", "import regexp; print(regexp.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(packages)
    regexp = environment / "bin" / "regexp"
    assert outside(regexp, "--version", folder=tmp_path).startswith(f"regexp {__version__},")
    command = ("regularizer=l1", "dataset=iris", "trainer.epochs=1", "yardsticks=false")
    assert re.search(r"l1: test accuracy 0\.\d{3}", outside(regexp, *command, folder=tmp_path))


def test_the_source_archive_holds_what_is_under_version_control(sources: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is an unpacked archive itself")
    tracked = set(outside("git", "ls-files", folder=ROOT).splitlines())
    present = sorted(name for name in tracked if (ROOT / name).exists())
    _, different, missing = filecmp.cmpfiles(ROOT, sources, present, shallow=False)
    assert (different, missing) == ([], [])


def test_the_tests_of_the_source_archive_are_collected(sources: Path) -> None:
    """Those that read pages, benchmarks and settings beside the code; the others need it alone."""
    options = ("--collect-only", "-q", "--assert=plain", "-p", "no:cacheprovider")
    files = [*sorted(sources.glob("tests/test_*.py")), sources / "tests/prediction/test_page.py"]
    command = [sys.executable, "-B", "-m", "pytest", *options, *map(str, files)]
    collected = outside(*command, folder=sources)
    assert "tests/test_package.py::test_the_tests_of_the_source_archive_are_collected" in collected
