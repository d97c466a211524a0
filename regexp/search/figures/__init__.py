"""The pictures of a search."""

from __future__ import annotations

from functools import partial

from regexp.compare.figures import Picture, Sketch, drawn
from regexp.compare.figures import style as s
from regexp.search.figures.parallel import parallel
from regexp.search.figures.progress import progress
from regexp.search.figures.switches import switches
from regexp.search.records import RECIPES, SearchRecord


def draw(record: SearchRecord) -> list[Picture]:
    """The pictures of a search; what cannot be drawn is left out and told of in the log."""
    return drawn(sketched(record))


def sketched(record: SearchRecord) -> list[Sketch]:
    """The pictures that a search allows: none where no recipe finished."""
    if all(one.score is None for one in record.trials[RECIPES]):
        return []
    measured = s.measured(record.metric)
    sketches = [
        Sketch(
            "search_progress", "The search against time",
            f"Each point is the {measured} of a trial where it ended, hollow where a rung ended "
            "it, and a tick at the edge where it is beyond. The lines are the best so far: of "
            "recipes, with the numbers of the trials that were better than all before, and of "
            "none, which had as many trials. Time is training that was recorded, runs of a stack "
            "one after another with their shares. Horizontal lines are scikit-learn's estimators, "
            "fitted on the same training rows. All are scores of the validation rows that chose, "
            "which flatter: what the recipe is worth is said by test rows alone.",
            partial(progress, record),
        ),
        Sketch(
            "search_numbers", "Numbers of the trials",
            "A line is a trial of a recipe, from its numbers to its score; trials with the same "
            "value lie side by side, the better ones above. The worse half ends at the bottom of "
            "the scores.",
            partial(parallel, record),
        ),
    ]  # fmt: skip
    if any(one.recipe.techniques for one in record.trials[RECIPES]):
        sketches.insert(1, Sketch(
            "search_techniques", "Techniques of the best quarter of trials",
            "The share of the best quarter of trials that has a technique, against that of all; "
            "the counts stand beside it, and those of the recipe are bold. The sampler tries again "
            "what did well, and a technique came with others: what each carries, `regexp explain` "
            "says.",
            partial(switches, record),
        ))  # fmt: skip
    return sketches
