"""What of a user's code stands behind a target; the oracles are the files that the test writes."""

import hashlib
import importlib
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from regexp.tracking import environment, process
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


def test_a_class_without_a_file_is_told_by_its_source_or_by_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = type(sys)("mine_cell")
    exec("class Net: ...", module.__dict__)
    monkeypatch.setitem(sys.modules, "mine_cell", module)
    first = code_of(["mine_cell.Net"])
    assert first.keys() == {"mine_cell.Net"}
    monkeypatch.setattr(process, "tags", lambda: {"process": "another"})
    assert code_of(["mine_cell.Net"]) != first


def test_ones_own_modules_are_told_from_installed_ones(folder: Path) -> None:
    importlib.import_module("mine_alone")
    found = environment.environment()["own_code"]
    assert found["mine_alone"] == digest(folder / "mine_alone.py")
    assert not {"torch", "json", "regexp", "regexp.tracking.environment"} & found.keys()
