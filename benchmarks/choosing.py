"""By what a search should choose, of how many finalists: `python -m benchmarks.choosing`.

Scores of finalists are drawn: as many recipes as configurations of none, whose true worths are
apart by little, and what a recipe adds to it. The best recipe is taken in place of the best none
where its mean over the seeds is ahead by so many standard errors of the paired difference.

Then whole searches are drawn, with time for so many trials, which is also that of their finalists:
what they choose is worth, in standard deviations of true worths.
"""

from __future__ import annotations

import numpy as np

from benchmarks.harness import make_parser
from regexp.search.seeds import finalist_runs, finalists_of, halvings

FINALISTS, SEEDS = 3, 5
SPREAD_OF_NONE, SPREAD_OF_RECIPES = 0.3, 0.5
"""Standard deviations of true worths, where a difference of two runs at one seed has 1."""

AHEAD = {"the best mean": 0.0, "half a standard error": 0.5, "a standard error": 1.0}
"""Standard errors by which a recipe must be ahead."""


def rows(mean: float, searches: int, draws: np.random.Generator) -> list[str]:
    """A line of each rule, where recipes are better than none by `mean` on average."""
    shape = searches, FINALISTS
    none = draws.normal(0, SPREAD_OF_NONE, shape)
    recipes = draws.normal(mean, SPREAD_OF_RECIPES, shape)
    worths = np.concatenate([none, recipes], axis=1)
    scores = worths[..., None] + draws.normal(0, 0.5**0.5, (*worths.shape, SEEDS))
    means = scores.mean(axis=2)
    search = np.arange(searches)
    best_none = means[:, :FINALISTS].argmax(axis=1)
    best_recipe = FINALISTS + means[:, FINALISTS:].argmax(axis=1)
    ahead = scores[search, best_recipe] - scores[search, best_none]
    leads, errors = ahead.mean(axis=1), ahead.std(axis=1, ddof=1) / SEEDS**0.5
    gains = worths[search, best_recipe] - worths[search, best_none]
    lines = []
    for rule, least in AHEAD.items():
        taken = leads > least * errors
        wrong = (taken & (gains < 0)).mean()
        gain = np.where(taken, gains, 0).mean()
        lines.append(f"| {mean:+.2f} | {rule} | {taken.mean():.0%} | {gain:+.3f} | {wrong:.0%} |")
    return lines


Rounds = list[tuple[int, int]]
"""How many finalists each round has, and how many seeds are new in it."""

BEFORE: Rounds = [(6, 2), (3, 3)]

TRIALS_A_RUN = 3
"""So many trials, most of which leave at a rung, train as long as one that trains in full."""


def halved(time: int) -> tuple[int, Rounds]:
    """How many trials and which rounds a search has whose time is enough for so many trials."""
    for trials in range(time, 0, -1):
        finalists = finalists_of(trials)
        if trials + TRIALS_A_RUN * finalist_runs(finalists)[0] <= time:
            return trials, [(number, len(seeds)) for number, seeds in halvings(finalists)]
    raise ValueError(f"{time} trials leave no time for finalists")


def worth(trials: int, rounds: Rounds, spread: float, draws: np.random.Generator) -> float:
    """The true worth of what one search chooses, in standard deviations of its trials'."""
    worths = draws.normal(0, spread, trials)
    left = np.argsort(-(worths + draws.normal(0, 1, trials)))
    sums = np.zeros(trials)
    for number, seeds in rounds:
        left = left[:number]
        sums[left] += seeds * worths[left] + draws.normal(0, seeds**0.5, len(left))
        left = left[np.argsort(-sums[left])]
    return float(worths[left[0]]) / spread


def main() -> None:
    """Print the tables."""
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--searches", type=int, default=20_000)
    options = parser.parse_args()
    draws = np.random.default_rng(0)
    print("| recipes add | taken where ahead by | taken | gain | taken, and worse than none |")
    print("|---:|---|---:|---:|---:|")
    for mean in (-0.5, 0.0, 0.25, 0.5, 1.0):
        for line in rows(mean, 20 if options.smoke else options.searches, draws):
            print(line)
    print("\n| spread of worths | time, in trials | 6 of 5 seeds | halved: finalists | worth |")
    print("|---:|---:|---:|---:|---:|")
    searches = 20 if options.smoke else options.searches // 5
    for spread in (0.25, 0.5, 1.0):
        for time in (100, 200, 450, 1000, 2000):
            trials, rounds = halved(time)
            before = time - TRIALS_A_RUN * sum(number * seeds for number, seeds in BEFORE)
            then, now = (
                float(np.mean([worth(*search, spread, draws) for _ in range(searches)]))
                for search in ((before, BEFORE), (trials, rounds))
            )
            print(f"| {spread} | {time:,} | {then:.2f} | {rounds[0][0]} | {now:.2f} |")


if __name__ == "__main__":
    main()
