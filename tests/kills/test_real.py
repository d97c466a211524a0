"""The moments of real.py, and what is read of a sweep that it disturbs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from regexp.config import plan_file
from regexp.training import checkpoint
from tests.kills import real


@pytest.mark.parametrize("seed", range(5))
def test_moments_are_spread_over_victims_and_over_the_sweep(seed: int) -> None:
    moments = real.draw(20, 2000, seed)
    assert moments == real.draw(20, 2000, seed)
    assert moments != real.draw(20, 2000, seed + 1)
    assert Counter(moment.victim for moment in moments) == dict.fromkeys(real.VICTIMS, 4)
    places = [moment.epochs for moment in moments]
    assert places == sorted(places)
    assert [(place - 1) // 90 for place in places] == list(range(20)), "one in each share"


@pytest.fixture
def sweep(tmp_path: Path) -> real.Sweep:
    """One whose first job has ended, whose second has trained, and whose others wait."""
    for number in range(len(real.TECHNIQUES)):
        plan = tmp_path / "mlruns" / "hydra" / "today" / "plans" / f"{number}.yaml"
        plan_file.write(plan, {"runs": [{"fingerprint": f"f{number}"}]})
    plan.with_name("0.json").touch()
    history = [{"epoch": torch.tensor([1, 2, 40])}, {"epoch": torch.tensor([1, 2])}]
    file = tmp_path / "mlruns" / "checkpoints" / "sweep" / "f1-a-b.pt"
    file.parent.mkdir(parents=True)
    checkpoint.save(file, {"training": {}, "history": history})
    nobody: Any = SimpleNamespace()
    return real.Sweep(tmp_path, nobody)


def test_the_epochs_of_all_jobs_are_counted(sweep: real.Sweep) -> None:
    assert sweep.epochs() == real.EPOCHS + 40


def test_what_was_told_since_a_kill_is_found_once(sweep: real.Sweep) -> None:
    log = sweep.folder / "1.txt"
    log.write_text("3 jobs of an earlier command on the way; none is given twice\n")
    before = sweep.sizes()
    died = (
        "[1/10] its process died (Slurm job 7_1: FAILED, exit code 137:0; "
        "its log: /somewhere/7_1_0_log.out); it is given again\n"
    )
    with log.open("a") as file:
        file.write(died)
    (sweep.folder / "2.txt").write_text("The store of runs does not answer (Connection refused).")
    assert sweep.told(before) == (
        "its process died (FAILED, exit code 137:0); it is given again; "
        "The store of runs does not answer (Connection refused)"
    )
    assert sweep.told(sweep.sizes()) == ""


def test_the_table_is_markdown() -> None:
    rows = [["1", "server", "12%", "nothing"]]
    assert real.table(rows).splitlines()[2] == "| 1 | server | 12% | nothing |"
