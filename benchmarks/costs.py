"""`python -m benchmarks.costs`: what techniques cost as ratios to none, regexp/search/costs.csv.

For each model and technique two short jobs of four seeds are trained in turn, one without the
technique, and the ratio of the processor's times (training, evaluation and all, of every epoch but
the first, in which the step is recorded) is taken; the median over the rounds is written. What does
not apply to a model is left empty.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import make_parser, one_thread

one_thread()

import torch  # noqa: E402
from hydra import compose, initialize_config_dir  # noqa: E402

from regexp.config.schema import conf_folder, register  # noqa: E402
from regexp.errors import NotApplicable  # noqa: E402
from regexp.search.costs import TABLE  # noqa: E402
from regexp.stack.stack import Stack  # noqa: E402
from regexp.sweeps.ingredients import build_member  # noqa: E402
from regexp.sweeps.plan import plan  # noqa: E402
from regexp.sweeps.planned_run import PlannedRun  # noqa: E402
from regexp.training.loop import train  # noqa: E402

MODELS = {
    "mlp": ("dataset=digits", "model=mlp"),
    "cnn": ("dataset=digits", "model=cnn", "dataset.train_size=400"),
    "resnet_mlp": ("dataset=digits", "model=resnet_mlp", "dataset.train_size=600"),
    "lstm": ("dataset=series", "model=lstm"),
}
SEEDS, EPOCHS, ROUNDS = 4, 5, 3


def job(epochs: int, *overrides: str) -> Any:
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("config", [f"seeds={SEEDS}", f"trainer.epochs={epochs}", *overrides])


def seconds(runs: Sequence[PlannedRun], trainer: Any) -> float:
    """Of the processor, for training a job's runs once, from the end of their first epoch."""
    members = [build_member(run) for run in runs]
    stack = Stack(members, trainer.epochs, trainer.batch_size, precision=trainer.precision)
    first: list[float] = []

    def report(run: int, epoch: int, metrics: Mapping[str, float]) -> None:
        if epoch == 1:
            first.append(time.process_time())

    train(stack, trainer.epochs, report)
    return time.process_time() - first[-1]


def ratio(model: tuple[str, ...], technique: str, epochs: int, rounds: int) -> float | None:
    """The technique's time relative to none; None if it does not apply."""
    for before in ([], ["dropout"]):  # Monte Carlo dropout needs a stochastic layer
        words = f"regularizer=[{','.join(before)}]" if before else "regularizer=none"
        plain = job(epochs, *model, words)
        ours = job(epochs, *model, f"regularizer=[{','.join([*before, technique])}]")
        try:
            runs = plan(ours)
        except NotApplicable:
            continue
        others, trainer = plan(plain), ours.trainer
        seconds(runs, trainer)  # warm
        return statistics.median(
            seconds(runs, trainer) / seconds(others, trainer) for _ in range(rounds)
        )
    return None


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--only", nargs="+", help="techniques to measure; other rows stay")
    options = parser.parse_args(arguments)
    names = sorted(path.stem for path in (conf_folder() / "regularizer").glob("*.yaml"))
    names.remove("none")
    models, epochs, rounds = list(MODELS), EPOCHS, ROUNDS
    if options.smoke:
        names, models, epochs, rounds = ["l1", "mc_dropout"], ["mlp"], 2, 1
    register()
    torch.set_num_threads(1)
    rows = {}
    if options.only:
        with options.output.open(newline="") as file:
            rows = {row[0]: row for row in list(csv.reader(file))[1:] if row[0] in names}
    for name in options.only or names:
        costs = [ratio(MODELS[model], name, epochs, rounds) for model in models]
        rows[name] = [name, *("" if cost is None else f"{cost:.2f}" for cost in costs)]
        print("  ".join(rows[name]), flush=True)
    if not options.smoke:
        with options.output.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([["technique", *models], *(rows[name] for name in sorted(rows))])


if __name__ == "__main__":
    main()
