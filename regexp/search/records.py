"""What a search came to, as data: its page and pictures are made from it, at once or later."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

from regexp.config.search_space import Dimension
from regexp.search.recipe import Recipe
from regexp.sweeps.tuning import Numbers

RECIPES, NONE = "recipes", "none"
"""The names of both arms."""


@dataclass(frozen=True)
class Tried:
    """A trial, as it was recorded.

    Attributes:
        recipe: what it is.
        score: on the validation rows, where it ended; None if it did not finish.
        rank: its place in its arm, from 0; those that did not finish share the last.
        seconds: of training that it took.
        whole: whether it trained for all its epochs; one that a rung ended did not.
    """

    recipe: Recipe
    score: float | None
    rank: float
    seconds: float
    whole: bool = True


@dataclass(frozen=True)
class Finalist:
    """One of the best trials of an arm, trained again.

    Attributes:
        recipe: what it is.
        scores: on the validation rows, one a seed; None of a run that did not finish, or whose rows
            leave it undefined.
    """

    recipe: Recipe
    scores: Sequence[float | None]

    @property
    def finished(self) -> bool:
        """Whether all its runs have a score."""
        return None not in self.scores

    @property
    def numbers(self) -> list[float]:
        """The scores, NaN of a run that has none."""
        return [math.nan if score is None else score for score in self.scores]


@dataclass(frozen=True)
class Improvement:
    """A trial that was better than all before it.

    Attributes:
        number: of the trial in its arm, from 1.
        seconds: of the arm's training until it had ended.
        score: of it.
        recipe: what it is.
    """

    number: int
    seconds: float
    score: float
    recipe: Recipe


@dataclass(frozen=True)
class Chosen:
    """The recipe that a search ended with, or the numbers that it found for `none`.

    Attributes:
        recipe: what it is.
        explained: technique -> what it is, in a sentence.
        usual: technique -> the numbers of its YAML, of those that were searched.
    """

    recipe: Recipe
    explained: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[str, Numbers] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchRecord:
    """What a search tried and found.

    Attributes:
        title: of the search: its command.
        metric: of the validation rows, by which it chose.
        lower_is_better: which way is better of it.
        shared: the ranges of what every recipe has.
        trials: of each arm, oldest first.
        recipe: that was found.
        tuned: `none`, as it was tuned.
        batch: recipes of a batch.
        finalists: of each arm, trained again with the same fresh seeds.
        left_out: techniques that took no part, and why.
        yardsticks: the same score of estimators that were fitted on the trials' training rows.
        verdict: the id of the sweep that says what the recipe is worth.
        text: the recipe as an experiment.
    """

    title: str
    metric: str
    lower_is_better: bool
    shared: Sequence[Dimension]
    trials: Mapping[str, Sequence[Tried]]
    recipe: Chosen
    tuned: Chosen
    batch: int = 1
    finalists: Mapping[str, Sequence[Finalist]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    yardsticks: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    text: str = ""

    def as_json(self) -> str:
        """As an artifact has it; `from_json` reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> SearchRecord:
        """What was written.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        content: dict[str, Any] = json.loads(text)
        content["shared"] = [
            Dimension(**one | {"choices": tuple(one["choices"])}) for one in content["shared"]
        ]
        content["trials"] = {
            arm: [Tried(**one | {"recipe": Recipe(**one["recipe"])}) for one in trials]
            for arm, trials in content["trials"].items()
        }
        content["finalists"] = {
            arm: [Finalist(Recipe(**one["recipe"]), one["scores"]) for one in finalists]
            for arm, finalists in content.get("finalists", {}).items()
        }
        for name in ("recipe", "tuned"):
            one = content[name]
            content[name] = Chosen(**one | {"recipe": Recipe(**one["recipe"])})
        return cls(**content)

    def seconds(self, arm: str) -> list[float]:
        """The seconds of training that an arm had recorded when each of its trials had ended.

        Runs of a stack have their shares of its time, one after another.
        """
        return list(accumulate(trial.seconds for trial in self.trials[arm]))

    def improvements(self, arm: str) -> list[Improvement]:
        """The trials of an arm whose score was better than all before them, oldest first."""
        found: list[Improvement] = []
        least, sign = math.inf, 1 if self.lower_is_better else -1
        for number, (trial, seconds) in enumerate(
            zip(self.trials[arm], self.seconds(arm), strict=True), start=1
        ):
            if trial.score is not None and trial.whole and sign * trial.score < least:
                least = sign * trial.score
                found.append(Improvement(number, seconds, trial.score, trial.recipe))
        return found
