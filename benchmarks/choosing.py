"""By what a search should choose among its finalists: `python -m benchmarks.choosing`.

Scores of finalists are drawn: as many recipes as configurations of none, whose true worths are
apart by little, and what a recipe adds to it. The best recipe is taken in place of the best none
where its mean over the seeds is ahead by so many standard errors of the paired difference.
"""

from __future__ import annotations

import numpy as np

from benchmarks.harness import make_parser

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


def main() -> None:
    """Print the table."""
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--searches", type=int, default=20_000)
    options = parser.parse_args()
    draws = np.random.default_rng(0)
    print("| recipes add | taken where ahead by | taken | gain | taken, and worse than none |")
    print("|---:|---|---:|---:|---:|")
    for mean in (-0.5, 0.0, 0.25, 0.5, 1.0):
        for line in rows(mean, 20 if options.smoke else options.searches, draws):
            print(line)


if __name__ == "__main__":
    main()
