"""What of a user's code stands behind a target; the oracles are the files that the test writes."""

import hashlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from regexp.errors import ConfigError
from regexp.tracking import environment, modules, process
from regexp.tracking.modules import code_of

FILES = {
    "mine_a.py": "import json, torch\nimport mine_b\nclass Net(mine_b.Base): ...\n",
    "mine_b.py": "class Base: ...\ndef late():\n    from mine_pack.sub import deep\n",
    "mine_pack/__init__.py": "",
    "mine_pack/sub/__init__.py": "from . import other\nfrom ..top import x\n",
    "mine_pack/sub/deep.py": "raise RuntimeError('it is read, not run')\n",
    "mine_pack/sub/other.py": "import pandas\n",
    "mine_pack/top.py": "x = 1\n",
    "mine_pack/unused.py": "y = 1\n",
    "mine_alone.py": "class Net: ...\n",
    "mine_again.py": "from mine_alone import Net\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("mine_")]:
        del sys.modules[name]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_a_target_stands_for_its_module_and_all_that_this_imports(folder: Path) -> None:
    importlib.import_module("mine_a")
    reached = ["mine_a", "mine_b", "mine_pack", "mine_pack.sub", "mine_pack.sub.deep",
               "mine_pack.sub.other", "mine_pack.top"]  # fmt: skip
    files = [folder / f"{name.replace('.', '/')}.py" for name in reached]
    files = [file if file.exists() else file.with_suffix("") / "__init__.py" for file in files]
    wanted = {name: digest(file) for name, file in zip(reached, files, strict=True)}
    assert code_of(["mine_a.Net"]) == wanted | {"pandas": metadata.version("pandas")}
    importlib.import_module("mine_pack.unused")
    importlib.import_module("mine_pack.sub")
    assert code_of(["mine_a.Net"]).keys() == wanted.keys() | {"pandas"}, "loaded or not"


def test_a_module_that_is_called_as_one_of_python_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What PYTHONPATH names is found before the standard library."""
    import profile

    assert code_of(["profile.Profile"]) == {}
    (tmp_path / "profile.py").write_text("import json\nclass Net: ...\n")
    (tmp_path / "mine_x.py").write_text("import profile\nclass Net(profile.Net): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, profile.__name__)
    mine = digest(tmp_path / "profile.py")
    importlib.import_module("profile")
    assert code_of(["profile.Net"]) == {"profile": mine}
    importlib.import_module("mine_x")
    assert code_of(["mine_x.Net"]) == {"mine_x": digest(tmp_path / "mine_x.py"), "profile": mine}
    for name in ("profile", "mine_x"):
        del sys.modules[name]


def test_an_installed_package_without_a_file_has_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    (site / "mine_space").mkdir(parents=True)
    (site / "mine_space" / "nets.py").write_text("class Net: ...\n")
    about = site / "mine_dist-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine-dist\nVersion: 1.5\n")
    (about / "RECORD").write_text("mine_space/nets.py,,\n")
    monkeypatch.syspath_prepend(site)
    modules._distributions.cache_clear()
    modules._versions.cache_clear()
    importlib.import_module("mine_space.nets")
    try:
        assert code_of(["mine_space.nets.Net"]) == {"mine-dist": "1.5"}
    finally:
        modules._distributions.cache_clear()
        modules._versions.cache_clear()
        for name in ("mine_space.nets", "mine_space"):
            del sys.modules[name]


def test_where_a_class_is_defined_counts_as_well_as_where_it_is_named(folder: Path) -> None:
    importlib.import_module("mine_again")
    assert code_of(["mine_again.Net"]).keys() == {"mine_again", "mine_alone"}


def test_what_the_project_and_torch_bring_is_told_elsewhere() -> None:
    assert code_of(["regexp.model.mlp.MLP", "torch.optim.Adam"]) == {}
    importlib.import_module("sklearn.preprocessing")
    found = code_of(["sklearn.preprocessing.StandardScaler"])
    assert found == {"scikit-learn": metadata.version("scikit-learn")}


def test_an_edit_counts_when_it_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook the class that trains is the one that was loaded, whatever the file says."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("mine_alone")
    before = code_of(["mine_alone.Net"])
    (folder / "mine_alone.py").write_text("class Net: p = 0.123\n")
    assert code_of(["mine_alone.Net"]) == before
    importlib.reload(module)
    assert code_of(["mine_alone.Net"]) == {"mine_alone": digest(folder / "mine_alone.py")} != before


def test_what_was_edited_between_its_import_and_the_first_look_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of the file would stand for code that does not run."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = folder / "mine_alone.py"
    module = importlib.import_module("mine_alone")
    os.utime(file, (1, 1))  # saved as it was
    assert code_of(["mine_alone.Net"]) == {"mine_alone": digest(file)}
    module = importlib.reload(module)
    file.write_text("class Net: p = 0.123\n")
    with pytest.raises(ConfigError, match=r"mine_alone was edited .*importlib\.reload\(mine_alone"):
        code_of(["mine_alone.Net"])
    importlib.reload(module)
    assert code_of(["mine_alone.Net"]) == {"mine_alone": digest(file)}


CELL = """
import functools
import json
import mine_alone
from mine_pack.top import x

SIZES = (64, 64, 32)
UNUSED = 1

def helper(z):
    return scale * z if z in {"a", "b", "c"} else SIZES

scale = 2.0

@functools.cache
def cached(z):
    return z + 1

@functools.wraps(helper)
def wrapper(*z, limit=3):
    return helper(*z)

half = functools.partial(helper, z=0.5)

def loss(outputs):
    import mine_again
    return wrapper(outputs), cached(1), mine_alone.Net

class Base:
    strength = {"low": 0.1}

    @staticmethod
    def least():
        return 1

class Net(Base):
    def __init__(self, p=0.5):
        self.p = lambda: loss(p)

    @property
    def twice(self):
        return 2 * self.p()
"""


@pytest.fixture
def cells(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Runs cells one after another as a notebook does, and tells what stands behind a target."""
    module = type(sys)("mine_cells")
    monkeypatch.setitem(sys.modules, "mine_cells", module)

    def run(*sources: str, target: str = "Net") -> dict[str, str]:
        for source in sources:
            exec(source, module.__dict__)
        return code_of([f"mine_cells.{target}"])

    return run


def test_code_without_a_file_is_told_by_what_it_does(
    cells: Callable[..., dict[str, str]], folder: Path
) -> None:
    first = cells(CELL)
    assert first.keys() == {"mine_cells.Net", "mine_alone", "mine_again"}
    assert first["mine_again"] == digest(folder / "mine_again.py")
    assert cells(f"# the same cell, further down{CELL}") == first
    assert cells("UNUSED = 2\nother = SIZES") == first
    assert cells("from regexp.regularizer.l1 import L1\nseed = 3") == first


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("scale = 2.0", "scale = 3.0"),
        ("(64, 64, 32)", "(64, 32, 32)"),
        ("scale * z", "scale / z"),
        ('"a", "b", "c"', '"a", "b", "d"'),
        ("return z + 1", "return z + 2"),
        ("limit=3", "limit=4"),
        ("p=0.5", "p=0.25"),
        ("return 1", "return 11"),
        ("2 * self.p()", "4 * self.p()"),
        ("lambda: loss(p)", "lambda: loss(-p)"),
        ('"low": 0.1', '"low": 0.2'),
        ("class Net(Base)", "class Net"),
    ],
)
def test_an_edit_of_a_cell_counts(
    cells: Callable[..., dict[str, str]], before: str, after: str
) -> None:
    assert CELL.count(before) == 1
    first = cells(CELL)["mine_cells.Net"]
    assert cells(CELL.replace(before, after))["mine_cells.Net"] != first
    assert cells(CELL)["mine_cells.Net"] == first


def test_objects_that_are_called_are_told_by_what_they_hold(
    cells: Callable[..., dict[str, str]],
) -> None:
    first = cells(CELL, target="half")
    assert first.keys() == {"mine_cells.half"}
    assert cells(CELL.replace("z=0.5", "z=0.6"), target="half") != first
    assert cells(CELL.replace("scale * z", "scale - z"), target="half") != first
    assert cells(CELL, target="half") == first


def test_values_that_are_no_code_count_by_their_content_in_this_process_alone(
    cells: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    array = "import numpy as np\nweights = np.array([1.0, {}])\ndef f(): return weights"
    first = cells(array.format(2.0), target="f")
    assert cells(array.format(2.0), target="f") == first
    assert cells(array.format(3.0), target="f") != first
    cells(array.format(2.0))
    monkeypatch.setattr(process, "tags", lambda: {"process": "another"})
    assert cells(target="f") != first


def test_the_script_that_runs_is_told_by_what_a_run_calls(tmp_path: Path) -> None:
    """Another list of seeds in it makes no other run; the same holds in every process."""
    script = tmp_path / "script.py"
    told = []
    for seeds, kept, letter in ((5, 2, "b"), (10, 2, "b"), (10, 3, "b"), (10, 2, "c")):
        script.write_text(
            f"class Net:\n    def f(self, z): return {kept} if z in {{'a', '{letter}'}} else z\n"
            "from regexp.tracking.modules import code_of\n"
            f"seeds = {seeds}\nprint(code_of(['__main__.Net']))"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        told.append(subprocess.check_output([sys.executable, script], env=environment, text=True))
    assert "'__main__.Net'" in told[0]
    assert told[0] == told[1]
    assert len(set(told)) == 3


def test_ones_own_modules_are_told_from_installed_ones(folder: Path) -> None:
    importlib.import_module("mine_alone")
    found = environment.environment()["own_code"]
    assert found["mine_alone"] == digest(folder / "mine_alone.py")
    assert not {"torch", "json", "regexp", "regexp.tracking.environment"} & found.keys()
