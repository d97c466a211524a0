"""Sweeps whose runs are asked for predictions, and the rows that were tested, as they were raw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.metrics.outputs import RowOutputs, read
from tests.sandbox import Sandbox

QUICK = ("trainer.epochs=2", "trainer.batch_size=32", "yardsticks=false")


def write_table(path: Path, rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """A CSV of numbers with gaps, of categories and codes, and a class; as pandas reads it."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "width": rng.normal(50, 9, rows).round(3),
            "share": rng.uniform(0, 100, rows).round(1),
            "colour": rng.choice(["red", "green", "blue"], rows),
            "code": rng.choice(["01", "1", "22"], rows),
        }
    )
    frame["kind"] = np.where(frame["width"] + 9 * (frame["colour"] == "red") > 52, "big", "small")
    frame.loc[::11, "width"] = np.nan
    frame.loc[::17, "colour"] = np.nan
    frame["share"] = [f"{share}%" for share in frame["share"]]
    frame.to_csv(path, index=False)
    return pd.read_csv(path, dtype={"code": str})


def train(sandbox: Sandbox, *arguments: str) -> pd.DataFrame:
    """Train a sweep; its runs, one a row."""
    assert sandbox.run("-m", *QUICK, *arguments) == 0
    runs: pd.DataFrame = sandbox.children()
    return runs


def recorded(sandbox: Sandbox, run_id: str) -> RowOutputs:
    """What training wrote of the test rows."""
    return read(sandbox.test_outputs(run_id))


def same_bytes(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether two arrays are equal to the bit, zeros with their signs."""
    return (first.dtype, first.shape, first.tobytes()) == (
        second.dtype, second.shape, second.tobytes(),
    )  # fmt: skip


def ids(runs: pd.DataFrame) -> Sequence[str]:
    """The ids of runs of `train`."""
    return [str(run) for run in runs["run_id"]]


def one_of_each(runs: pd.DataFrame) -> Sequence[str]:
    """The ids of the last run of each stack: all of the stack is computed for it anyway."""
    jobs = runs.sort_values("seed").groupby(["technique", "setting"], dropna=False)
    return ids(jobs.tail(1))
