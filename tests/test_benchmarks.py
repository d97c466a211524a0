"""Benchmarks still run: small, and of their numbers only that there are some."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

from benchmarks import first_step, harness

BENCHMARKS = [
    path.stem
    for path in sorted((harness.ROOT / "benchmarks").glob("*.py"))
    if any(
        isinstance(node, ast.FunctionDef) and node.name == "main"
        for node in ast.parse(path.read_text()).body
    )
]


def test_benchmarks_are_found() -> None:
    assert {"throughput", "first_step", "verdicts"} <= set(BENCHMARKS)


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


def test_a_command_that_trains_nothing_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="trained no step:\nregexp: regularizer=l7"):
        first_step.seconds_to_first_step(["regularizer=l7"])
