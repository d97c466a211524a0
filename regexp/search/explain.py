"""`regexp explain` from its first plan to its last sentence: what carries a cocktail, and what not.

Three sets of runs, each of which exists after a command that was killed: the cocktail without each
of its ingredients, at the seeds of its own runs, compared with these; smaller and smaller cocktails
at the same seeds, of which validation rows alone choose; and the smallest against the whole, with
seeds that nothing was chosen by.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.formats import listed
from regexp.compare.statistics import Floats
from regexp.compare.verdict import LEAST
from regexp.config.schema import conf_folder
from regexp.config.values import plain
from regexp.errors import ConfigError, count, printable
from regexp.metrics.names import TUNING_STAGE, chosen_by
from regexp.search.choice import validation_scores
from regexp.search.cocktail_runs import planned
from regexp.search.explained import WITHOUT, sentences, shares_of, worth_of
from regexp.search.explanation import (
    SMALLER,
    WHOLE,
    Explanation,
    check_folder,
    leave_one_out,
    lines_of,
    write,
)
from regexp.search.recipe import SCHEDULER
from regexp.search.shared import Shared
from regexp.search.smaller import Elimination, Subset, eliminate
from regexp.search.workers import helpers, start_importing, workers_of
from regexp.sweeps import reuse
from regexp.sweeps.launched import alone, open_tracker
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.planned_run import PlannedRun, key_of
from regexp.sweeps.present import present
from regexp.sweeps.progress import say
from regexp.tracking import Terminated, interruptible, pasted

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from regexp.compare.comparison import Comparison
    from regexp.tracking import RunRecord, Tracker


def explain(explanation: Explanation) -> int:
    """Train what is missing, and print what came of it.

    Returns:
        0, or 1 if a run failed or something could not be recorded.

    Raises:
        ConfigError: the cocktail does not fit the data that are here, or the folder has what is not
            to be lost; nothing was written.
        TrackingError: the store of runs cannot be used.
        OSError: the experiment cannot be written; the runs are kept.
        KeyboardInterrupt: Ctrl-C, which has been told of.
    """
    check_folder(explanation)
    apart, reasons = leave_one_out(explanation)
    for line in lines_of(explanation, reasons):
        say(printable(line))
    if explanation.config.dry_run:
        say("Nothing was written.")
        return 0
    start_importing(workers_of(explanation.asked()))
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


def take_part(config: DictConfig, sweep_id: str, jobs: Sequence[Sequence[PlannedRun]]) -> None:
    """Train those of a sweep's jobs that no other process trains."""
    with open_tracker(config) as tracker:
        Shared(config, tracker, sweep_id)(jobs)


def _called(kept: Subset) -> str:
    """What a line says of a subset of the ingredients."""
    return f"  {'+'.join(kept) or 'none'}"


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
        if shares is not None and self.explanation.looks_for_smaller:
            self._smaller(shares)
        for one in self.failures:
            say(f"{one.name} failed: {one.reason}")
        return bool(self.failures)

    def _sweep(self, what: str) -> RunRecord:
        title = f"explain {self.explanation.title}: {what}"
        command = f"explain {self.explanation.sweep_id}"
        settings = {"command": command, "compare": plain(self.config.compare)}
        return self.tracker.sweep(f"{self.key} explain {what}", title, settings)

    def _train(
        self, jobs: Mapping[str, Sequence[PlannedRun]], parent: RunRecord
    ) -> dict[str, list[Outcome]]:
        """Train jobs that have no run in common, by several processes; what became of each."""
        asked = list(jobs.values())
        runs = [run for job in asked for run in job]
        found = reuse.search(self.tracker.tries, runs)
        earlier = reuse.choose(found, parent.id, runs, reuse=self.config.reuse)
        ended = {fingerprint for fingerprint, one in earlier.items() if one.ended}
        before = [sum(run.fingerprint in ended for run in job) for job in asked]
        left = sum(there < len(job) for there, job in zip(before, asked, strict=True))
        with helpers(min(workers_of(self.config), left) - 1, take_part, self.config, parent.id,
                     asked):  # fmt: skip
            outcomes = dict(
                zip(jobs, Shared(self.config, self.tracker, parent.id)(asked), strict=True)
            )
        for (what, ends), there in zip(outcomes.items(), before, strict=True):
            self.failures += [one for one in ends if one.status != "FINISHED"]
            say(f"{what}: {count(len(ends), 'run')}" + f", {there} exist already" * bool(there))
        return outcomes

    def _shares(self, apart: dict[str, list[PlannedRun]]) -> Comparison | None:
        """What each ingredient carries."""
        began, cocktail = time.monotonic(), self.explanation.declared
        parent = self._sweep("ingredients")
        self._train({"the whole": self.explanation.whole}, parent)
        self._train({f"{WITHOUT}{name}": runs for name, runs in apart.items()}, parent)
        if cocktail.none:  # last: of equal runs the name that they had first is told
            none = planned(cocktail.none, self.explanation.here, "")
            self._train({"none": none}, parent)
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
        if found is None:
            parent.finish("FAILED" if self.failures else "FINISHED")
            return
        for number, (name, gain) in enumerate(found.dropped):
            size, error = gain.in_words(compared.metric.unit)
            say(f"  {name} goes{' as well' * (number > 0)}: {size} without it, standard error "
                f"{error}")  # fmt: skip
        if found.unknown:
            say(f"  without {listed(found.unknown)} nothing is known: not all runs finished, or "
                "they could not be planned")  # fmt: skip
        if found.kept == whole and found.unknown == whole:
            say(f"Nothing smaller than {'+'.join(whole)} has scores to be held against it.")
        elif found.kept == whole:
            rest = "none of them" if not found.unknown else "none of the others"
            say(f"It is {'+'.join(whole)} itself: {rest} can be left out without a loss of "
                "more than a standard error.")  # fmt: skip
        else:
            say(f"{'+'.join(found.kept) or 'none'} is left. Its worth, with fresh seeds:")
            self._worth(parent, found.kept)
            self._write(parent, found.kept)
        parent.wall_seconds(time.monotonic() - began)
        parent.finish("FAILED" if self.failures else "FINISHED")

    def _eliminate(self, parent: RunRecord, compared: Comparison) -> Elimination | None:
        """Leave out one technique after another; None where too few seeds have a score."""
        whole, metric = self.explanation.cocktail.ingredients, compared.metric
        chosen = chosen_by(metric.name)
        sign = -1.0 if metric.lower_is_better else 1.0
        [own] = self._validation([whole], parent, chosen)
        if len(own) < LEAST or not np.isfinite(own).all():
            say(f"  none is looked for: it takes {chosen} of {LEAST} seeds or more")
            return None
        asked = compared.matters
        margin = metric.matters(own.mean()) if asked is None else asked / metric.unit.factor

        def scores_of(subsets: Sequence[Subset]) -> list[Floats]:
            return [sign * scores for scores in self._validation(subsets, parent, chosen)]

        return eliminate(whole, sign * own, scores_of, margin)

    def _validation(
        self, subsets: Sequence[Subset], parent: RunRecord, metric: str
    ) -> list[Floats]:
        """The validation scores of subsets of the ingredients, by seed; NaN where there is none."""
        names = self.explanation.cocktail.ingredients
        jobs: dict[str, list[PlannedRun]] = {}
        for kept in subsets:
            out = ", ".join(name for name in names if name not in kept)
            variant = f"{WITHOUT}{out}" if out else WHOLE
            with contextlib.suppress(ConfigError):  # told before, of what cannot be left out
                jobs[_called(kept)] = self.explanation.runs(kept, variant, TUNING_STAGE)
        outcomes = self._train(jobs, parent)
        missing = [Outcome("", "FAILED")] * len(self.explanation.cocktail.seeds)
        scores = [[validation_scores(one) or {} for one in outcomes.get(_called(kept), missing)]
                  for kept in subsets]  # fmt: skip
        return [np.array([one.get(metric, np.nan) for one in ends], dtype=float) for ends in scores]

    def _worth(self, parent: RunRecord, kept: Subset) -> None:
        """The smaller against the whole, with fresh seeds."""
        explanation = self.explanation
        folder = explanation.here["paths"]["data"]
        jobs = {}
        for names, variant in ((explanation.cocktail.ingredients, WHOLE), (kept, SMALLER)):
            configs = explanation.declared.afresh(names, folder)
            runs = planned(configs, explanation.here, variant)
            jobs[f"{'+'.join(names) or 'none'} ({variant})"] = runs
        self._train(jobs, parent)
        if (reported := present(self.tracker, parent, self.config)) is not None:
            [family] = reported.comparison.families
            say(f"\nWith fresh seeds {worth_of(family.rows, family.judge, SMALLER)}.")

    def _write(self, parent: RunRecord, kept: Subset) -> None:
        """The smaller as an experiment, and how to use it."""
        explanation = self.explanation
        path = write(explanation, kept)
        parent.text(path.read_text(encoding="utf-8"), path.name)
        seed = explanation.whole[0].config["dataset"].get("test_seed")
        tested = [] if seed is None else [f"dataset.test_seed={seed}"]
        others = "overrides of the data"
        named, folders = explanation.experiment, []
        if not explanation.recipe:
            left_out = ["experiment"] if named else []
            left_out.append("regularizer")
            if SCHEDULER in explanation.cocktail.ingredients and SCHEDULER not in kept:
                left_out.append("scheduler")
            others = f"sweep's other overrides, but {listed(left_out)}"
        say(f"The smaller is an experiment, in {path}; with the {others}:")
        if named and not (conf_folder() / "experiment" / f"{named}.yaml").is_file():
            folders = ["hydra.searchpath=[FOLDER]"]
        command = pasted.command(
            "--config-dir", str(explanation.folder), *folders, *explanation.data,
            f"experiment={path.stem}", *tested,
            uri=self.config.tracking.uri, folder=self.config.paths.mlruns,
            data=self.config.paths.data,
        )  # fmt: skip
        say(f"  {command}")
        if folders:
            say(f"  (FOLDER is the one that has experiment/{named}.yaml)")
