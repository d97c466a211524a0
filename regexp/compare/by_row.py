"""The scores of runs by test row, and what techniques differ from their baseline by in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regexp.compare.question import Texts
from regexp.compare.row_scores import predictions, row_scores, scores_alone
from regexp.compare.statistics import Floats
from regexp.errors import ConfigError
from regexp.metrics.names import TEST_OUTPUTS
from regexp.metrics.outputs import RowOutputs, read

SAME = 1e-4
"""Scores and outputs of a row that differ by less than this share of its own and of a usual one are
the same: training that takes its sums in another order, with a technique that does nothing, comes
so close."""

RECORDED = 1e-4
"""So close, relatively, the mean of the scores by row must be to the metric that was recorded."""


@dataclass(frozen=True)
class Observed:
    """A run's test rows.

    Attributes:
        test: what the run gives for each.
        scores: of the metric, [rows].
        alone: those that tell whether a row's own has changed, see `row_scores.scores_alone`.
    """

    test: RowOutputs
    scores: Floats
    alone: Floats

    @cached_property
    def predicted(self) -> NDArray[Any]:
        """See `row_scores.predictions`."""
        return predictions(self.test)


@dataclass(frozen=True)
class ByRow:
    """What techniques differ from their baseline by, row by row.

    Attributes:
        differences: technique - baseline, [techniques, observations]; NaN at seeds that a technique
            lacks.
        seed, row: of the observations.
        changed: whether a technique changed the score of any row, [techniques].
        idle: whether the technique changed no prediction at all, [techniques].
        tested: predictions of each technique that have one of the baseline, [techniques].
    """

    differences: Floats
    seed: NDArray[np.int64]
    row: NDArray[np.int64]
    changed: NDArray[np.bool_]
    idle: NDArray[np.bool_]
    tested: NDArray[np.int64]

    @property
    def per_seed(self) -> float:
        """Test rows of a seed, in the mean."""
        return len(self.row) / len(np.unique(self.seed))

    @property
    def same_rows(self) -> bool:
        """Whether all seeds, of which there are several, test the same rows."""
        return len(np.unique(self.row)) == self.per_seed < len(self.row)


class RowReader:
    """Reads runs' test outputs, each once for its scores.

    Args:
        source: of the artifacts.
        metric: as recorded.
    """

    def __init__(self, source: Texts, metric: str) -> None:
        self._source = source
        self._metric = metric
        self._read: dict[str, tuple[Observed | None, float]] = {}  # with the mean of its scores

    def of(self, run_id: str, recorded: float) -> Observed | None:
        """A run's test rows; None where there are none, or the metric has no form by row.

        Args:
            recorded: the run's value of the metric: what was recorded as another thing under the
                same name, such as a loss of the user's own, is not taken apart.
        """
        if run_id not in self._read:
            found = self._observed(run_id)
            self._read[run_id] = found, math.nan if found is None else float(found.scores.mean())
        found, mean = self._read[run_id]
        return found if abs(mean - recorded) <= 1e-9 + RECORDED * abs(recorded) else None

    def same_rows(self, run_ids: Iterable[str]) -> bool:
        """Whether runs are known to test the same rows; False of less than two."""
        found: list[NDArray[np.int64]] = []
        for run_id in run_ids:
            test = self._outputs(run_id)
            if test is None:
                return False
            found.append(np.sort(test.rows))
            if not np.array_equal(found[0], found[-1]):
                return False
        return len(found) > 1

    def same_predictions(self, run_id: str, other_id: str) -> bool:
        """Whether two runs are known to predict the same for the same rows."""
        first, second = self._outputs(run_id), self._outputs(other_id)
        if first is None or second is None or not np.array_equal(first.rows, second.rows):
            return False
        return _same(predictions(first), predictions(second))

    def _observed(self, run_id: str) -> Observed | None:
        test = self._outputs(run_id)
        scores = None if test is None else row_scores(test, self._metric)
        if test is None or scores is None:
            return None
        return Observed(test, scores, scores_alone(test, self._metric, scores))

    def _outputs(self, run_id: str) -> RowOutputs | None:
        content = self._source.text(run_id, TEST_OUTPUTS)
        try:
            return None if content is None else read(content)
        except ConfigError:  # of another version: compared by its scores alone
            return None


Scored = Mapping[Any, tuple[str, float]]
"""Of some runs, by their seeds: (the run's id, its value of the metric)."""


def by_row(pairs: Iterable[tuple[Scored, Scored]], reader: RowReader) -> ByRow | None:
    """The differences of a family's techniques by row.

    Args:
        pairs: of each technique its runs and those of its baseline; finished ones with a finite
            score alone.
        reader: of the runs' test rows.

    Returns:
        The differences, NaN alone for a technique without runs. None where some run does not tell
        its scores by row, those of one seed test other rows, or a seed has a single row, which
        tells no spread.
    """
    found: list[dict[Any, tuple[Observed, Observed]]] = []
    rows: dict[Any, NDArray[np.int64]] = {}
    for technique, baseline in pairs:
        each = {}
        for seed in technique.keys() & baseline.keys():
            ours, theirs = reader.of(*technique[seed]), reader.of(*baseline[seed])
            if ours is None or theirs is None:
                return None
            for one in (ours, theirs):
                if not np.array_equal(rows.setdefault(seed, one.test.rows), one.test.rows):
                    return None
            each[seed] = ours, theirs
        found.append(each)
    if min(map(len, rows.values()), default=0) < 2:
        return None
    seeds = sorted(rows)
    sizes = [len(rows[seed]) for seed in seeds]
    starts = dict(zip(seeds, np.cumsum([0, *sizes[:-1]]), strict=True))
    differences = np.full((len(found), sum(sizes)), np.nan)
    for line, each in zip(differences, found, strict=True):
        for seed, (ours, theirs) in each.items():
            difference = ours.scores - theirs.scores
            here = slice(starts[seed], starts[seed] + len(difference))
            line[here] = np.where(np.isfinite(difference), difference, np.inf)
    return ByRow(
        differences=differences,
        seed=np.repeat(np.arange(len(seeds)), sizes),
        row=np.concatenate([rows[seed] for seed in seeds]),
        changed=np.array(
            [
                not each
                or not all(_close(ours.alone, theirs.alone) for ours, theirs in each.values())
                for each in found
            ],
            dtype=bool,
        ),
        idle=np.array(
            [
                bool(each)
                and all(_same(ours.predicted, theirs.predicted) for ours, theirs in each.values())
                for each in found
            ],
            dtype=bool,
        ),
        tested=np.array([sum(len(ours.scores) for ours, _ in each.values()) for each in found]),
    )


def idle(pairs: Iterable[tuple[Scored, Scored]], reader: RowReader) -> NDArray[np.bool_]:
    """Whether techniques are known to change no prediction, where there are no scores by row.

    Outputs are read of those alone that have the score of their baseline at every seed.

    Args:
        pairs: as of `by_row`.
        reader: of the runs' test rows.
    """
    found = []
    for technique, baseline in pairs:
        both = [(technique[seed], baseline[seed]) for seed in technique.keys() & baseline.keys()]
        tie = all(np.isclose(ours, theirs, rtol=SAME) for (_, ours), (_, theirs) in both)
        found.append(
            bool(both)
            and tie
            and all(reader.same_predictions(ours, theirs) for (ours, _), (theirs, _) in both)
        )
    return np.array(found, dtype=bool)


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether two runs predict the same for every row."""
    if first.dtype.kind != "f":
        return bool((first == second).all())
    return _close(first, second)


def _close(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether numbers of the same rows differ by rounding alone.

    Each is held against itself and the usual one: a row that is far off would hide all others.
    """
    if not np.isfinite(first).all() or not np.isfinite(second).all():
        return np.array_equal(first, second, equal_nan=True)
    size = np.abs(second)
    return bool((np.abs(first - second) <= SAME * (size + np.median(size))).all())
