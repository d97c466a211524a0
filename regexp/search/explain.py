"""`regexp explain` from its first plan to its last sentence: what carries a cocktail, and what not.

Three sets of runs, each of which exists after a command that was killed: the cocktail without each
of its ingredients, at the seeds of its own runs, compared with these; smaller and smaller cocktails
at the same seeds, of which validation rows alone choose; and the smallest against the whole, with
seeds that nothing was chosen by.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.statistics import Floats
from regexp.compare.verdict import LEAST
from regexp.config.values import plain
from regexp.errors import ConfigError, count, printable
from regexp.metrics.names import TUNING_STAGE, chosen_by
from regexp.search.choice import validation_scores
from regexp.search.cocktail_runs import planned
from regexp.search.explained import WITHOUT, sentences, shares_of, worth_of
from regexp.search.explanation import SMALLER, WHOLE, Explanation, leave_one_out, lines_of, write
from regexp.search.smaller import Elimination, Subset, eliminate
from regexp.sweeps.job import train
from regexp.sweeps.launched import alone, open_tracker
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.planned_run import PlannedRun, key_of
from regexp.sweeps.present import present
from regexp.sweeps.progress import say
from regexp.tracking import Terminated, interruptible

if TYPE_CHECKING:
    from regexp.compare.comparison import Comparison
    from regexp.tracking import RunRecord, Tracker


def explain(explanation: Explanation) -> int:
    """Train what is missing, and print what came of it.

    Returns:
        0, or 1 if a run failed or something could not be recorded.

    Raises:
        ConfigError: the cocktail does not fit the data that are here; nothing was written.
        TrackingError: the store of runs cannot be used.
        OSError: the experiment cannot be written; the runs are kept.
        KeyboardInterrupt: Ctrl-C, which has been told of.
    """
    apart, reasons = leave_one_out(explanation)
    for line in lines_of(explanation, reasons):
        say(printable(line))
    if explanation.config.dry_run:
        say("Nothing was written.")
        return 0
    key = key_of([explanation.whole], [])
    try:
        with (
            interruptible(),
            open_tracker(explanation.config) as tracker,
            alone(tracker, f"explain-{key}", "explain"),
        ):
            failed = _Explaining(explanation, tracker, key).run(apart)
    except (KeyboardInterrupt, Terminated):
        say("\nInterrupted. The same command again goes on from here.")
        raise
    return 1 if failed or not tracker.left.nothing else 0


class _Explaining:
    """The three sets of runs, recorded.

    Args:
        explanation: what is explained.
        tracker: of the store.
        key: of the cocktail's runs.
    """

    def __init__(self, explanation: Explanation, tracker: Tracker, key: str) -> None:
        self.explanation = explanation
        self.tracker = tracker
        self.key = key
        self.config = explanation.asked()
        self.failures: list[Outcome] = []

    def run(self, apart: dict[str, list[PlannedRun]]) -> bool:
        """Train, compare and tell; whether a run failed."""
        shares = self._shares(apart)
        if shares is not None:
            self._smaller(shares)
        for one in self.failures:
            say(f"{one.name} failed: {one.reason}")
        return bool(self.failures)

    def _sweep(self, what: str) -> RunRecord:
        title = f"explain {self.explanation.title}: {what}"
        command = f"explain {self.explanation.sweep_id}"
        settings = {"command": command, "compare": plain(self.config.compare)}
        return self.tracker.sweep(f"{self.key} explain {what}", title, settings)

    def _train(self, runs: Sequence[PlannedRun], parent: RunRecord, what: str) -> list[Outcome]:
        outcomes = train(runs, self.config, self.tracker, parent.id)
        before = sum(one.before for one in outcomes)
        self.failures += [one for one in outcomes if one.status != "FINISHED"]
        say(f"{what}: {count(len(runs), 'run')}" + f", {before} exist already" * bool(before))
        return outcomes

    def _shares(self, apart: dict[str, list[PlannedRun]]) -> Comparison | None:
        """What each ingredient carries."""
        began, cocktail = time.monotonic(), self.explanation.declared
        parent = self._sweep("ingredients")
        self._train(self.explanation.whole, parent, "the whole")
        if cocktail.none:
            none = planned(cocktail.none, self.explanation.here, "")
            self._train(none, parent, "none")
        for name, runs in apart.items():
            self._train(runs, parent, f"{WITHOUT}{name}")
        reported = present(self.tracker, parent, self.config)
        parent.wall_seconds(time.monotonic() - began)
        parent.finish("FAILED" if self.failures else "FINISHED")
        if reported is None:
            return None
        compared = reported.comparison
        say("\nWhat each ingredient carries:")
        [family] = compared.families
        for line in sentences(shares_of(family.rows, family.judge), family.judge):
            say(f"  {printable(line)}")
        return compared

    def _smaller(self, compared: Comparison) -> None:
        """The smallest cocktail that is not worse, and its worth."""
        explanation, began = self.explanation, time.monotonic()
        whole = explanation.cocktail.ingredients
        say("\nThe smallest cocktail that is not worse, by validation rows:")
        parent = self._sweep("smaller cocktails")
        found = self._eliminate(parent, compared)
        for number, (name, gain) in enumerate(found.dropped):
            size, error = gain.in_words(compared.metric.unit)
            say(f"  {name} goes{' as well' * (number > 0)}: {size} without it, standard error "
                f"{error}")  # fmt: skip
        if found.kept == whole:
            say(f"It is {'+'.join(whole)} itself: none of them can be left out without a loss of "
                "more than a standard error.")  # fmt: skip
        else:
            say(f"{'+'.join(found.kept) or 'none'} is left. Its worth, with fresh seeds:")
            self._worth(parent, found.kept)
            self._write(parent, found.kept)
        parent.wall_seconds(time.monotonic() - began)
        parent.finish("FAILED" if self.failures else "FINISHED")

    def _eliminate(self, parent: RunRecord, compared: Comparison) -> Elimination:
        """Leave out one technique after another."""
        whole, metric = self.explanation.cocktail.ingredients, compared.metric
        chosen = chosen_by(metric.name)
        sign = -1.0 if metric.lower_is_better else 1.0
        own = self._validation(whole, parent, chosen)
        if len(own) < LEAST or not np.isfinite(own).all():
            say(f"  none is looked for: it takes {chosen} of {LEAST} seeds or more")
            return Elimination(whole)
        asked = compared.matters
        margin = metric.matters(own.mean()) if asked is None else asked / metric.unit.factor

        def scores_of(subsets: Sequence[Subset]) -> list[Floats]:
            return [sign * self._validation(subset, parent, chosen) for subset in subsets]

        return eliminate(whole, sign * own, scores_of, margin)

    def _validation(self, kept: Subset, parent: RunRecord, metric: str) -> Floats:
        """The validation scores of some ingredients, by seed; NaN where there is none."""
        names = self.explanation.cocktail.ingredients
        out = ", ".join(name for name in names if name not in kept)
        nothing: Floats = np.full(len(self.explanation.cocktail.seeds), np.nan)
        try:
            runs = self.explanation.runs(kept, f"{WITHOUT}{out}" if out else WHOLE, TUNING_STAGE)
        except ConfigError:  # told before, of the technique that cannot be left out
            return nothing
        outcomes = self._train(runs, parent, f"  {'+'.join(kept) or 'none'}")
        scores = [validation_scores(one) or {} for one in outcomes]
        return np.array([one.get(metric, np.nan) for one in scores], dtype=float)

    def _worth(self, parent: RunRecord, kept: Subset) -> None:
        """The smaller against the whole, with fresh seeds."""
        explanation = self.explanation
        folder = explanation.here["paths"]["data"]
        for names, variant in ((explanation.cocktail.ingredients, WHOLE), (kept, SMALLER)):
            configs = explanation.declared.afresh(names, folder)
            runs = planned(configs, explanation.here, variant)
            self._train(runs, parent, f"{'+'.join(names) or 'none'} ({variant})")
        if (reported := present(self.tracker, parent, self.config)) is not None:
            [family] = reported.comparison.families
            say(f"\nWith fresh seeds {worth_of(family.rows, family.judge, SMALLER)}.")

    def _write(self, parent: RunRecord, kept: Subset) -> None:
        """The smaller as an experiment, and how to use it."""
        explanation = self.explanation
        path = write(explanation, kept)
        parent.text(path.read_text(encoding="utf-8"), path.name)
        seed = explanation.whole[0].config["dataset"].get("test_seed")
        tested = "" if seed is None else f" dataset.test_seed={seed}"
        say(f"The smaller is an experiment, in {path}; with the overrides of the data:")
        say(f"  regexp --config-dir {explanation.folder} experiment={path.stem}{tested}")
