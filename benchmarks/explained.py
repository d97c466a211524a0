"""How often `regexp explain` names what was planted: `python -m benchmarks.explained`.

Scores of cocktails are drawn, and judged by the code that judges real runs. A cocktail has three
techniques that are useful, one that is useless and one that is harmful; a run scores the sum of its
techniques' effects, a level of its seed that all cocktails share, and noise of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchmarks.harness import make_parser
from regexp.compare.baseline import Baseline
from regexp.compare.metric import Metric
from regexp.compare.statistics import Floats
from regexp.compare.table import FINISHED, tabulate
from regexp.metrics.names import ACCURACY, column
from regexp.search.explained import CARRIES, HARMS, USELESS, WITHOUT, shares_of
from regexp.search.smaller import Subset, eliminate

POINT = 0.01

EFFECTS = {"large": 1.0, "medium": 0.5, "small": 0.25, "useless": 0.0, "harmful": -1.0}
"""Points of accuracy."""

WHOLE: Subset = tuple(EFFECTS)
METRIC = Metric(ACCURACY)
MARGIN = METRIC.matters(0.0)


@dataclass
class Case:
    """A cocktail on a table that was drawn.

    Attributes:
        seeds: of each cocktail.
        spread: standard deviation over seeds of the difference of two cocktails, in points.
        draws: what scores come from.
    """

    seeds: int
    spread: float
    draws: np.random.Generator
    known: dict[Subset, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.levels = 0.8 + self.draws.normal(0, 2 * POINT, self.seeds)

    def scores_of(self, cocktails: Sequence[Subset]) -> list[Floats]:
        """Scores of cocktails, [seeds] each; of the same one the same."""
        for names in cocktails:
            if names not in self.known:
                noise = self.draws.normal(0, self.spread / 2**0.5, self.seeds)
                effect = sum(EFFECTS[name] for name in names)
                self.known[names] = self.levels + POINT * (effect + noise)
        return [self.known[names] for names in cocktails]

    def runs(self) -> pd.DataFrame:
        """The cocktail and those without one of its techniques, as a store gives its runs."""
        apart = {f"{WITHOUT}{out}": tuple(name for name in WHOLE if name != out) for out in WHOLE}
        parts = []
        for variant, names in {"whole": WHOLE, **apart}.items():
            [scores] = self.scores_of([names])
            of = {"technique": "+".join(names), "variant": variant, "dataset": "drawn"}
            of |= {"setting": "", "status": FINISHED}
            seeds = range(self.seeds)
            ids = [f"{variant} {seed}" for seed in seeds]
            parts.append(
                pd.DataFrame(
                    {**of, "start_time": 0, "seed": seeds, "run_id": ids, column(ACCURACY): scores}
                )
            )
        return pd.concat(parts, ignore_index=True)

    def words(self) -> dict[str, str]:
        """Technique -> what it is said to do."""
        rows, tested = tabulate(self.runs(), METRIC, Baseline("+".join(WHOLE), "whole"))
        [family] = tested.values()
        return {one.name: one.word for one in shares_of(rows, family.judge)}

    def kept(self) -> Subset:
        """What an elimination keeps."""
        [whole] = self.scores_of([WHOLE])
        return eliminate(WHOLE, whole, self.scores_of, MARGIN).kept


def shares(seeds: int, spread: float, cases: int, seed: int = 0) -> dict[str, float]:
    """Shares of cases, by what came of them.

    Args:
        seeds: of each cocktail.
        spread: see `Case`.
        cases: how many are drawn.
        seed: of the draws.
    """
    counts = dict.fromkeys(TITLES, 0)
    for draws in np.random.default_rng(seed).spawn(cases):
        case = Case(seeds, spread, draws)
        words, kept = case.words(), case.kept()
        counts["useless: no use"] += words["useless"] in USELESS
        counts["harmful: harms"] += words["harmful"] == HARMS
        counts["harms or probably"] += words["harmful"].endswith(HARMS)
        counts["large: carries"] += words["large"] == CARRIES
        counts["useless goes"] += "useless" not in kept
        counts["harmful goes"] += "harmful" not in kept
        counts["large stays"] += "large" in kept
        counts["medium stays"] += "medium" in kept
    return {title: number / cases for title, number in counts.items()}


TITLES = ("useless: no use", "harmful: harms", "harms or probably", "large: carries",
          "useless goes", "harmful goes", "large stays", "medium stays")  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--cases", type=int, default=200)
    options = parser.parse_args(arguments)
    sizes = [(10, 0.5)] if options.smoke else [(n, sd) for sd in (0.5, 1, 2) for n in (5, 10, 20)]
    print(f"| sd, points | seeds | {' | '.join(TITLES)} |")
    print("|---:" * (2 + len(TITLES)) + "|")
    for seeds, spread in sizes:
        found = shares(seeds, spread, 2 if options.smoke else options.cases)
        cells = [f"{100 * share:.0f}" for share in found.values()]
        print(f"| {spread:g} | {seeds} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
