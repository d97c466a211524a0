"""A sweep with `seeds: auto`: rounds of seeds, and after each a look at what is still open.

What goes on is a function of the runs that are recorded, of the seeds up to the look alone: a sweep
that was broken off takes the same course when it is started again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from regexp.config.jobs import Sweep
from regexp.config.values import AUTO, seeds_at_looks
from regexp.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from regexp.compare.baseline import Key
    from regexp.compare.comparison import Comparison, Source
    from regexp.compare.looks import Spending, State
    from regexp.compare.question import Question
    from regexp.sweeps.planned_run import PlannedRun
    from regexp.tracking import RunRecord

Point = tuple[int, str]
"""A job's number, and the numbers of its grid's point: what is run with every seed."""


def looks_of(sweep: Sweep) -> list[int]:
    """How many seeds a sweep has at each look; empty of one with seeds that are given.

    Raises:
        ConfigError: only some jobs are to stop when they are decided, or only the sweeper knows
            them.
    """
    configs = [job.config for job in sweep.jobs] or [sweep.config]
    asked = {(config.seeds == AUTO, config.seeds_max) for config in configs}
    if not any(auto for auto, _ in asked):
        return []
    if not sweep.jobs:
        raise ConfigError(
            f"seeds={AUTO}: the sweeper chooses its jobs one after another, so that they cannot "
            "have their seeds in turn; give a number of seeds"
        )
    if len(asked) > 1:
        raise ConfigError(
            f"seeds={AUTO}: the sweep varies its seeds, but all of it is looked at together; give "
            "one value of seeds and of seeds_max"
        )
    return seeds_at_looks(configs[0].seeds_max)


def least_and_most(
    planned: Sequence[Sequence[PlannedRun]], looks: Sequence[int]
) -> tuple[int, int]:
    """How many different runs such a sweep has if all is decided at its first look, and if none
    ever is."""
    runs = {run.fingerprint: run.seed for job in planned for run in job}
    return sum(seed < looks[0] for seed in runs.values()), len(runs)


def of_round(
    planned: Sequence[Sequence[PlannedRun]],
    seeds: range,
    closed: Collection[Point],
) -> list[list[PlannedRun]]:
    """The runs of each job in a round: of its seeds, and of the points that are open."""
    return [
        [run for run in runs if run.seed in seeds and (number, run.variant) not in closed]
        for number, runs in enumerate(planned)
    ]


@dataclass(frozen=True)
class Seen:
    """What was seen at a look.

    Attributes:
        closed: points that are run no more.
        lines: what became of techniques, for people.
        spending: what the look spends.
    """

    closed: set[Point]
    lines: list[str]
    spending: Spending


def look(
    source: Source,
    sweep_id: str,
    question: Question,
    planned: Sequence[Sequence[PlannedRun]],
    seeds: int,
) -> Seen:
    """Compare what there is of the first seeds, and see what is open.

    Args:
        source: of the runs.
        sweep_id: of the sweep.
        question: that it is asked.
        planned: the runs of each job in the round that has just ended.
        seeds: how many seeds count.

    Raises:
        ConfigError: none of them has a score.
    """
    from regexp.compare.baseline import KEYS
    from regexp.compare.comparison import compare
    from regexp.compare.looks import standings_of
    from regexp.compare.question import Question

    first = FirstSeeds(source, seeds)
    try:
        compared = compare(first, [sweep_id], question)
    except ConfigError:  # such as a metric that no run came to have: as at the sweep's end
        compared = compare(first, [sweep_id], Question())
    keys = {
        fingerprint: _key(key)
        for fingerprint, *key in compared.runs[["fingerprint", *KEYS]].itertuples(index=False)
    }
    points = {
        (number, run.variant): keys.get(run.fingerprint)
        for number, runs in enumerate(planned)
        for run in runs
    }
    # What was closed before has no run in the round, and stays closed.
    standings = {
        key: word for key, word in standings_of(compared).items() if key in points.values()
    }
    going = {key[:2] for key, word in standings.items() if word == "open"}
    closed = {
        point
        for point, key in points.items()
        if key is None or key[:2] not in going or standings[key] not in ("open", "beside")
    }
    return Seen(closed, _lines(compared, standings, seeds), compared.spending)


def keep(parent: RunRecord, spending: Spending, told: Sequence[str]) -> None:
    """Keep with a sweep a look, and what was told of all so far."""
    from regexp.compare.looks import FILE

    if (kept := spending.kept) is not None:
        parent.text(replace(kept, told=told).as_json(), FILE)


class FirstSeeds:
    """A source of runs that knows those of the first seeds alone."""

    def __init__(self, source: Source, seeds: int) -> None:
        self.server = source.server
        self._source = source
        self._seeds = seeds

    def runs(self, sweep_id: str) -> pd.DataFrame:
        """One row a run."""
        runs = self._source.runs(sweep_id)
        return runs[runs["seed"] < self._seeds].reset_index(drop=True)

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        """As the source's."""
        return self._source.histories(run_ids, name)

    def text(self, run_id: str, name: str) -> bytes | None:
        """As the source's."""
        return self._source.text(run_id, name)


def _key(parts: Sequence[str]) -> Key:
    dataset, setting, technique, variant = parts
    return dataset, setting, technique, variant


def _lines(compared: Comparison, standings: Mapping[Key, State], seeds: int) -> list[str]:
    """What became of the techniques of each dataset and setting, a line each."""
    from regexp.compare.baseline import KEYS

    lines = []
    for family in compared.families:
        words: dict[str, list[str]] = {}
        for *key, label, difference in family.rows[[*KEYS, "label", "difference"]].itertuples(
            index=False
        ):
            word: str | None = standings.get(_key(key))
            if word is None:
                continue
            if word == "decided":
                better = (difference < 0) == compared.metric.lower_is_better
                word = "decided, better" if better else "decided, worse"
            words.setdefault(word, []).append(label)
        if not words:
            continue
        told = [f"{', '.join(words[word])} {say}" for word, say in _TOLD.items() if word in words]
        told.append(f"{len(words['open'])} open" if "open" in words else "none open")
        where = f" ({family.name})" if len(compared.families) > 1 else ""
        lines.append(f"At {seeds} seeds{where}: {'; '.join(told)}.")
    return lines


_TOLD = {
    "decided, better": "better",
    "decided, worse": "worse",
    "hopeless": "given up",
    "unknown": "without a test",
}
