"""What of validation rows foretells test rows: `python -m benchmarks.foretelling`.

Tables are made, with few rows to train on and to validate by, and many to test; some labels are
wrong, as rows of several classes overlap in tables that people have. On each a search draws recipes
and configurations of none before it has learnt of any, and trains them in full. How trials are
ordered by scores of the validation rows is correlated with how they are by the test rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.harness import make_parser, one_thread

TECHNIQUES = "weight_decay,l1,dropout,input_noise,mixup,label_smoothing,row_cutmix,swa,batch_norm"
OF_RIGHT_ROWS, AREA, LOSS = "final/val_balanced_accuracy", "final/val_roc_auc", "final/val_log_loss"
TRUTH = "test/balanced_accuracy"

ORDERS: Mapping[str, Mapping[str, int]] = {
    "balanced accuracy": {OF_RIGHT_ROWS: 1},
    "log loss": {LOSS: -1},
    "area under the ROC curve": {AREA: 1},
    "places by balanced accuracy and area, summed": {OF_RIGHT_ROWS: 1, AREA: 1},
    "places by all three, summed": {OF_RIGHT_ROWS: 1, AREA: 1, LOSS: -1},
}
"""What trials are ordered by: the metrics, and 1 where high values are good."""

Metrics = Mapping[str, float]


def make_table(path: Path, number: int) -> None:
    """Write one of the tables: two to five classes, up to .3 of whose labels are drawn anew."""
    import pandas as pd
    from sklearn.datasets import make_classification

    count = 2 + number % 4
    others = [0.4 / (count - 1)] * (count - 1)
    inputs, classes = make_classification(
        n_samples=3000,
        n_features=20,
        n_informative=8,
        n_classes=count,
        n_clusters_per_class=2,
        flip_y=(0.05, 0.15, 0.3)[number % 3],
        weights=[0.6, *others] if number % 2 else None,
        random_state=number,
    )
    frame = pd.DataFrame(inputs).add_prefix("x")
    frame["class"] = [f"c{one}" for one in classes]
    frame.to_csv(path, index=False)


def trials(path: Path, count: int, epochs: int) -> list[Metrics]:
    """What recipes of a table come to, and as many of none: all metrics of each that finished."""
    from regexp.commands.arguments import parse
    from regexp.config.searched import compose_search
    from regexp.search.arm import arms_of
    from regexp.search.engine import rounds
    from regexp.search.sampler import propose
    from regexp.search.taking_part import read_space
    from regexp.sweeps.outcome import Outcome
    from regexp.sweeps.planned_run import PlannedRun
    from regexp.sweeps.stacks import run_stack

    found: list[Metrics] = []

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        outcomes = []
        for job in jobs:
            results = run_stack(job, lambda run, epoch, metrics: None)
            found.extend(one.metrics for one in results if one.status == "FINISHED")
            outcomes.append([Outcome(run.name, one.status, one.reason, one.metrics)
                             for run, one in zip(job, results, strict=True)])  # fmt: skip
        return outcomes

    words = ["experiment=recipe_table", f"dataset.path={path}", "dataset.target=class",
             "dataset.test=0.8", "dataset.validation=0.06", f"trainer.epochs={epochs}",
             f"search.techniques=[{TECHNIQUES}]", "search.rungs.eta=null", "search.models=null",
             "search.budget=null", f"search.trials={count}", f"search.batch={count}"]  # fmt: skip
    arms = arms_of(read_space(compose_search(parse(words)[0])))
    rounds(arms, train, propose)
    return found


def foretold(found: Sequence[Metrics], by: Mapping[str, int]) -> float:
    """Spearman's correlation of an order with that by the truth."""
    from scipy.stats import rankdata, spearmanr

    places = [rankdata([sign * one[name] for one in found]) for name, sign in by.items()]
    return float(spearmanr(sum(places), [one[TRUTH] for one in found]).statistic)


def main() -> None:
    """Print the table."""
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--tables", type=int, default=24)
    options = parser.parse_args()
    one_thread()
    tables, count, epochs = (2, 4, 1) if options.smoke else (options.tables, 32, 50)
    found: dict[str, list[float]] = {name: [] for name in ORDERS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(tables):
            path = Path(folder, f"table_{number}.csv")
            make_table(path, number)
            tried = trials(path, count, epochs)
            for name, by in ORDERS.items():
                found[name].append(foretold(tried, by))
    print(f"| order by, of {tables} tables | correlation | standard error | best of all on |")
    print("|---|---:|---:|---:|")
    best = [max(of_table) for of_table in zip(*found.values(), strict=True)]
    for name, values in found.items():
        error = stdev(values) / len(values) ** 0.5
        ahead = sum(map(float.__eq__, values, best))
        print(f"| {name} | {fmean(values):.3f} | {error:.3f} | {ahead} |")


if __name__ == "__main__":
    main()
