"""Benchmarks still run: small, and of their numbers only that there are some."""

import ast
import importlib
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import ablation, against, first_step, harness
from benchmarks.as_people_write.digits import NUMBERS

BENCHMARKS = [
    path.stem
    for path in sorted((harness.ROOT / "benchmarks").glob("*.py"))
    if any(
        isinstance(node, ast.FunctionDef) and node.name == "main"
        for node in ast.parse(path.read_text()).body
    )
]


@pytest.fixture
def _quick_stores(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New stores are copied, for MLflow needs seconds to make one."""

    def fill(engine: Any) -> None:
        with (
            closing(sqlite3.connect(empty_store)) as empty,
            closing(sqlite3.connect(engine.url.database)) as new,
        ):
            empty.backup(new)

    monkeypatch.setattr("mlflow.store.db.utils._initialize_tables", fill)


COCKTAIL = ("weight_decay", "dropout", "early_stopping")


def test_the_table_has_all_benchmarks() -> None:
    page = (harness.ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\|.*`python -m benchmarks(?:\.(\w+))?.*$", page, re.MULTILINE)
    assert sorted(name or "throughput" for name in commands) == sorted(BENCHMARKS)


@pytest.mark.usefixtures("_quick_stores")
@pytest.mark.parametrize("name", BENCHMARKS)
def test_runs_in_small(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, "--smoke"])
    importlib.import_module(f"benchmarks.{name}").main()
    assert re.search(r"\d", capsys.readouterr().out)
    assert not list(tmp_path.iterdir()), "it leaves something where it was started"


def test_a_command_that_trains_nothing_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_step, "CHILD", "import sys; print('refused', sys.argv[2])")
    with pytest.raises(RuntimeError, match=r"l7 trained no step:\nrefused regularizer=l7"):
        first_step.seconds_to_first_step(["regularizer=l7"])


def test_other_side_is_the_revision_itself(tmp_path: Path) -> None:
    if not (harness.ROOT / ".git").exists():
        pytest.skip("an unpacked archive has no revisions")
    tree = against.check_out("HEAD", tmp_path)
    command = ["git", "-C", str(harness.ROOT), "show", "HEAD:pyproject.toml"]
    committed = subprocess.run(command, capture_output=True, check=True).stdout
    assert (tree / "pyproject.toml").read_bytes() == committed
    with pytest.raises(SystemExit, match="no_such: no revision that git knows"):
        against.check_out("no_such", tmp_path)


def test_a_command_is_timed_with_its_children_and_fails_loudly(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    found = harness.timed(["-c", parent], tmp_path)
    assert found.cpu > 0.3
    with pytest.raises(harness.RefusedError, match="ended with 2:\nno such key"):
        harness.timed(["-c", "import sys; print('no such key'); sys.exit(2)"], tmp_path)


def test_words_are_left_out_where_a_side_does_not_know_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(command: list[str], folder: Path, *, tree: Path) -> harness.Times:
        assert tree == tmp_path
        if "new=true" in command:
            raise harness.RefusedError
        return harness.Times(float(len(command)), 0.0)

    monkeypatch.setattr(against, "timed", timed)
    places = (tmp_path / name for name in "abc")
    assert against.run(tmp_path, places, ["seeds=2"], ["new=true"]).wall == 3
    with pytest.raises(harness.RefusedError):
        against.run(tmp_path, places, ["new=true"], [])


def test_ratios_are_of_rounds() -> None:
    assert harness.ratios([2.0, 40.0, 6.0], [1.0, 10.0, 2.0]) == [2.5, 3.0, 3.5]
    assert harness.ratios([3.0], [2.0]) == [1.5, 1.5, 1.5]


def test_variants_take_turns() -> None:
    turns: list[str] = []
    variants = {name: partial(turns.append, name) for name in "ab"}
    assert harness.interleaved(variants, 2) == {"a": [None, None], "b": [None, None]}
    assert turns == ["a", "b", "a", "b"]


def test_a_share_is_scaled_but_for_its_start() -> None:
    start, share = harness.Times(2.0, 1.0), harness.Times(5.0, 3.0)
    assert ablation.scaled(start, share, 1) == share
    assert ablation.scaled(start, share, 6) == harness.Times(20.0, 13.0)


def test_programs_that_do_other_work_are_refused() -> None:
    def runs(epochs: list[float], accuracy: list[float]) -> dict[str, list[float]]:
        return {"epochs": epochs, "test/accuracy": accuracy}

    expected = {"none": runs([150.0, 150.0], [0.9, 0.94]), "majority": runs([], [0.1])}
    ablation.check({"none": runs([150.0], [0.95])}, expected, "alike")
    for epochs, accuracy in (([75.0], [0.92]), ([150.0], [0.5]), ([150.0], [])):
        with pytest.raises(SystemExit, match="none of lazy does other work"):
            ablation.check({"none": runs(epochs, accuracy)}, expected, "lazy")
    with pytest.raises(SystemExit, match="idle did not train none"):
        ablation.check({}, expected, "idle")


def test_programs_have_the_numbers_of_ours() -> None:
    def read(path: str) -> Any:
        return yaml.safe_load((harness.ROOT / path).read_text())

    theirs = read("benchmarks/as_people_write/conf/ablation.yaml")
    for technique, keys in NUMBERS.items():
        ours = read(f"conf/regularizer/{technique}.yaml")
        assert theirs["techniques"][technique] == {name: ours[key] for key, name in keys.items()}
    net = read("conf/regularizer/elastic_net.yaml")
    assert theirs["techniques"]["elastic_net"] == {
        "l1": net["strength"] * net["ratio"],
        "l2": net["strength"] * (1 - net["ratio"]) / 2,
    }
    assert set(theirs["techniques"]) == {*NUMBERS, "none", "elastic_net", "batch_norm"}

    experiment = read("conf/experiment/digits_mlp.yaml")
    assert theirs["lr"] == read("conf/optimizer/adam.yaml")["lr"]
    assert {key: theirs[key] for key in experiment["trainer"]} == experiment["trainer"]
    swept = experiment["hydra"]["sweeper"]["params"]["regularizer"]
    plain = swept.replace("[weight_decay,dropout,early_stopping]", "+".join(COCKTAIL))
    assert theirs["hydra"]["sweeper"]["params"]["technique"].split() == plain.split()
    assert theirs["hydra"]["sweeper"]["params"]["seed"] == f"range({ablation.Contest.seeds})"
