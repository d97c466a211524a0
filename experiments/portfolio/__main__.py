"""How `experiment=portfolio` was made: `python -m experiments.portfolio paths.data=FOLDER`.

On each of some datasets recipes are tried, none of them a dataset of the study `recipes`; the best
of each, and no technique, are candidates. All of them are trained on all of the datasets, and a
greedy choice has the few of which one is good on each, all of it by validation rows. What has been
trained is not trained again.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

DATASETS = (
    "iris",
    "wine_quality",
    "wine_quality dataset.train_size=200",
    "galaxies dataset.train_size=1500",
    "galaxies dataset.train_size=200",
    "mnist1d dataset.train_size=1000",
)
"""Choices of the group, some with overrides: tables with few rows and with more."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.portfolio",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=64, help="on each dataset")
    parser.add_argument("--candidates", type=int, default=4, help="of each dataset")
    parser.add_argument("--seeds", type=int, default=3, help="with which candidates are trained")
    parser.add_argument("--size", type=int, default=8, help="of the portfolio, at most")
    parser.add_argument("--datasets", nargs="+", default=DATASETS, metavar="WORDS")
    parser.add_argument("--experiment", type=Path, default=Path("conf/experiment/portfolio.yaml"))
    parser.add_argument("--folder", type=Path, default=Path("experiments/portfolio"))
    parser.add_argument("overrides", nargs="*", help="of all runs: paths.data=FOLDER")
    options = parser.parse_intermixed_args(arguments)
    one_thread()
    from experiments.portfolio.chosen import as_entry, greedy
    from experiments.portfolio.page import as_experiment, page
    from experiments.portfolio.tried import Tried
    from regexp.errors import ConfigError
    from regexp.search.recipe import Recipe

    try:
        tried = [Tried(name, options.trials, options.overrides) for name in options.datasets]
    except ConfigError as error:
        parser.exit(2, f"{error}\n")
    candidates: list[Recipe] = []
    for one in tried:
        for recipe in [*one.best(options.candidates)]:
            candidates += [recipe] * (recipe not in candidates)
    entries = [as_entry(recipe) for recipe in candidates]
    scores = [one.scores(entries, range(options.seeds)) for one in tried]
    chosen = greedy(scores, options.size)
    command = _command(options, [one for one in options.overrides if not one.startswith("paths.")])
    options.experiment.write_text(
        as_experiment([entries[at] for at in chosen], options.datasets, command), encoding="utf-8"
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    text = page(options.datasets, [candidates[at] for at in chosen],
                [[row[at] for at in chosen] for row in scores], scores, command)  # fmt: skip
    (options.folder / "README.md").write_text(text, encoding="utf-8")


def _command(options: argparse.Namespace, overrides: Sequence[str]) -> str:
    numbers = {name: getattr(options, name) for name in ("trials", "candidates", "seeds", "size")}
    given = [word for name, number in numbers.items() for word in (f"--{name}", str(number))]
    words = ["python", "-m", "experiments.portfolio", "--datasets", *options.datasets, *given]
    words += overrides
    return shlex.join(words)


if __name__ == "__main__":
    main()
