"""What is said where the best recipe found is no technique at all."""

from __future__ import annotations

from collections.abc import Sequence

from regexp.errors import count
from regexp.search.recipe import Recipe

NEXT = (
    "Use it so, or let the same command look further: with a larger search.budget or "
    "search.trials it goes on from these trials, and with other search.techniques it mixes others."
)
"""What to do then."""


def none_is_best(found: Recipe, default: Recipe, finished: Sequence[Recipe]) -> str:
    """That no technique is the best recipe found, of how many; empty where it is another.

    Args:
        found: the recipe that was chosen.
        default: the configuration as it is.
        finished: all recipes that have a score, also one that a rung ended.
    """
    if found.techniques:
        return ""
    which = "none with the numbers that were tuned for it"
    if found == default:
        which = "the configuration as it is, without a technique"
    with_techniques = {one.key for one in finished if one.techniques}
    if not with_techniques:
        return f"The best recipe found is {which}. No recipe with a technique has finished."
    number = len(with_techniques)
    best, were = f"Of {count(number, 'recipe')} with techniques the best", "were"
    if number == 1:
        best, were = "The one with techniques", "was"
    return (
        f"The best recipe found is {which}. {best}, trained again with fresh seeds, {were} not "
        "ahead of it on validation rows."
    )
