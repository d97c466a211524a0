"""`python -m benchmarks.costs`: what every technique costs, in docs/costs.csv, as ratios to none.

For each model and technique two short jobs of four seeds are trained in turn, one without the
technique, and the ratio of their times (training, evaluation and all) is taken; the median over the
rounds is written. What does not apply to a model is left empty.
"""

from __future__ import annotations

import csv
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import torch  # noqa: E402
from hydra import compose, initialize_config_dir  # noqa: E402

from regexp.config.schema import conf_folder, register  # noqa: E402
from regexp.errors import NotApplicable  # noqa: E402
from regexp.stack.stack import Stack  # noqa: E402
from regexp.sweeps.ingredients import build_member  # noqa: E402
from regexp.sweeps.plan import plan  # noqa: E402
from regexp.sweeps.planned_run import PlannedRun  # noqa: E402
from regexp.training.loop import train  # noqa: E402

ROOT = Path(__file__).parents[1]
MODELS = {
    "mlp": ("dataset=digits", "model=mlp"),
    "cnn": ("dataset=digits", "model=cnn", "dataset.train_size=400"),
    "resnet_mlp": ("dataset=digits", "model=resnet_mlp", "dataset.train_size=600"),
    "lstm": ("dataset=series", "model=lstm"),
}
SEEDS, EPOCHS, ROUNDS = 4, 4, 3


def job(*overrides: str) -> Any:
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("config", [f"seeds={SEEDS}", f"trainer.epochs={EPOCHS}", *overrides])


def seconds(runs: Sequence[PlannedRun], trainer: Any) -> float:
    """Of training a job's runs once, without what comes before."""
    members = [build_member(run) for run in runs]
    stack = Stack(members, trainer.epochs, trainer.batch_size, precision=trainer.precision)
    began = time.perf_counter()
    train(stack, trainer.epochs, lambda run, epoch, metrics: None)
    return time.perf_counter() - began


def ratio(model: tuple[str, ...], technique: str) -> float | None:
    """The technique's time relative to none; None if it does not apply."""
    for before in ([], ["dropout"]):  # Monte Carlo dropout needs a stochastic layer
        plain = job(*model, f"regularizer=[{','.join(before)}]" if before else "regularizer=none")
        ours = job(*model, f"regularizer=[{','.join([*before, technique])}]")
        try:
            runs = plan(ours)
        except NotApplicable:
            continue
        others, trainer = plan(plain), ours.trainer
        seconds(runs, trainer)  # warm
        return statistics.median(
            seconds(runs, trainer) / seconds(others, trainer) for _ in range(ROUNDS)
        )
    return None


def main() -> None:
    register()
    torch.set_num_threads(1)
    names = sorted(path.stem for path in (conf_folder() / "regularizer").glob("*.yaml"))
    names.remove("none")
    with (ROOT / "docs" / "costs.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["technique", *MODELS])
        for name in names:
            ratios = [ratio(model, name) for model in MODELS.values()]
            row = [name, *("" if value is None else f"{value:.2f}" for value in ratios)]
            writer.writerow(row)
            print("  ".join(row), flush=True)


if __name__ == "__main__":
    main()
