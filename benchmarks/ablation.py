"""The ablation of `experiment=digits_mlp`, ours and as people write it: seconds of the same sweep.

The programs under `as_people_write/` train the same network on the same data with the same
techniques for as many epochs, and keep the same metrics and checkpoints in MLflow on SQLite. What
they take grows with the runs, so they may train a share of the seeds: from that, and from what one
run of one epoch takes to start, follows the whole. Ours is always the whole sweep, its table,
pictures and yardsticks included, which the others do not make.
"""

from __future__ import annotations

import itertools
import math
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median

from benchmarks.harness import Times, inside, interleaved, make_parser, ratios, timed

EQUAL = ("dataset.test_rest=false", "dataset.resampling=independent")
"""The others test as many rows as this gives, of splits like these."""

OURS = {
    "regexp": [],
    "regexp, two workers": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
}
REFERENCE = "regexp"
PLAIN = "benchmarks.as_people_write.plain"
LIGHTNING = "benchmarks.as_people_write.with_lightning"
THEIRS = {
    "torch + Hydra + MLflow": [PLAIN],
    "the same, careful": [PLAIN, "careful=true"],
    "Lightning + MLFlowLogger + Hydra": [LIGHTNING],
    "Lightning, careful": [LIGHTNING, "careful=true"],
}
EPOCHS, ACCURACY, TOLERANCE = "epochs", "test/accuracy", 0.05

QUERY = """
    select named.value, metric.key, metric.value from latest_metrics as metric join (
        select run_uuid, value from params where key = 'technique'
        union select run_uuid, value from tags where key = 'technique'
    ) as named using (run_uuid) where metric.key in (?, ?)
"""

Results = dict[str, dict[str, list[float]]]
"""Of every technique the epochs and test accuracies of its runs."""


@dataclass(frozen=True)
class Contest:
    """One sweep, and programs that run it.

    Attributes:
        places: folders to come, one a command.
        seeds: of every technique.
        share: how many of them the others train.
        techniques: none and others; empty for all that the experiment has.
        epochs: of each run; None for the experiment's number.
        words: of ours beside.
        run: a command in a folder.
        results: of every program, as its last command left them.
    """

    places: Iterator[Path]
    seeds: int = 6
    share: int = 1
    techniques: Sequence[str] = ()
    epochs: int | None = None
    words: Sequence[str] = ()
    run: Callable[[list[str], Path], Times] = timed
    results: dict[str, Results] = field(default_factory=dict)

    def ours(self, name: str) -> Times:
        """What regexp takes for the sweep."""
        words = [
            "-m",
            "experiment=digits_mlp",
            f"seeds={self.seeds}",
            *EQUAL,
            *OURS[name],
            *self.words,
        ]
        if self.techniques:
            words.append(f"regularizer={','.join(self.techniques)}")
        if self.epochs:
            words.append(f"trainer.epochs={self.epochs}")
        return self._run(name, "regexp", words, "mlruns/mlflow.db")

    def theirs(self, name: str) -> Times:
        """What another program takes for the sweep, from its share."""
        module, *careful = THEIRS[name]
        start = Times(0.0, 0.0)
        if self.share < self.seeds:
            start = self._run(name, module, [*careful, "epochs=1"], "mlflow.db")
        words = ["-m", *careful, f"seed={','.join(map(str, range(self.share)))}"]
        if self.techniques:
            words.append(f"technique={','.join(self.techniques)}")
        if self.epochs:
            words.append(f"epochs={self.epochs}")
        share = self._run(name, module, words, "mlflow.db")
        return scaled(start, share, self.seeds / self.share)

    def _run(self, name: str, module: str, words: list[str], store: str) -> Times:
        folder = next(self.places)
        folder.mkdir()
        times = self.run(["-m", module, *words], folder)
        self.results[name] = results(folder / store)
        return times


def scaled(start: Times, share: Times, factor: float) -> Times:
    """What so many times a share takes, of which `start` is there once."""
    return Times(
        start.wall + factor * (share.wall - start.wall),
        start.cpu + factor * (share.cpu - start.cpu),
    )


def results(database: Path) -> Results:
    """Of MLflow's store in a file of SQLite."""
    found: Results = {}
    with closing(sqlite3.connect(database)) as connection:
        for technique, key, value in connection.execute(QUERY, (EPOCHS, ACCURACY)):
            found.setdefault(technique, {EPOCHS: [], ACCURACY: []})[key].append(value)
    return found


def check(found: Results, expected: Results, name: str) -> None:
    """Check that a program does the work that ours does.

    Raises:
        SystemExit: a technique is missing, or its runs have another number of epochs, where none of
            them stops by itself, or another accuracy on average.
    """
    for technique, numbers in found.items():
        wanted = expected.get(technique, {EPOCHS: [], ACCURACY: []})
        stops = "early_stopping" in technique
        alike = stops or set(numbers[EPOCHS]) == set(wanted[EPOCHS])
        if not alike or not abs(average(numbers) - average(wanted)) <= TOLERANCE:
            raise SystemExit(
                f"{technique} of {name} does other work than regexp's: {numbers}, not {wanted}"
            )
    if missing := techniques(expected) - set(found):
        raise SystemExit(f"{name} did not train {', '.join(sorted(missing))}")


def techniques(found: Results) -> set[str]:
    """Those that were trained: scikit-learn's yardsticks have no epochs."""
    return {name for name, numbers in found.items() if numbers[EPOCHS]}


def average(numbers: dict[str, list[float]]) -> float:
    """The accuracy of a technique's runs; not a number if there are none."""
    return mean(numbers[ACCURACY]) if numbers[ACCURACY] else math.nan


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--share", type=int, default=1, help="seeds that the others train")
    parser.add_argument("--techniques", nargs="+", default=[], metavar="NAME", help="beside none")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="rows whose name has a word")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        places = (Path(name) / str(index) for index in itertools.count())
        techniques = ["none", *options.techniques] if options.techniques else []
        contest = Contest(places, options.seeds, options.share, techniques)
        if options.smoke:
            small = ["figures=false", "yardsticks=false"]
            contest = Contest(places, 1, 1, ["none"], 2, small, inside)
            options.rounds, options.only = 1, ["torch"]
        programs: dict[str, Callable[[], Times]] = {}
        for program in (*OURS, *THEIRS):
            words = options.only or [""]
            if program != REFERENCE and not any(word in program for word in words):
                continue
            if THEIRS.get(program, [""])[0] == LIGHTNING and not find_spec("lightning"):
                print(f"{program}: missing; pip install 'regexp[benchmark]'")
                continue
            run = contest.ours if program in OURS else contest.theirs
            programs[program] = partial(run, program)
        found = interleaved(programs, options.rounds)
    print(f"{'':<34}{'accuracy':>9}  seconds and their ratio to regexp's (quartiles)")
    for program, times in found.items():
        if not options.smoke:  # two epochs say nothing of accuracy
            check(contest.results[program], contest.results[REFERENCE], program)
        print(told(program, contest.results[program], times, found[REFERENCE]))


def told(name: str, results: Results, times: list[Times], references: list[Times]) -> str:
    """A line of the table."""
    parts = [f"{name:<34}{average(results['none']):9.3f}"]
    for kind in range(2):
        seconds = [one[kind] for one in times]
        low, middle, high = ratios(seconds, [one[kind] for one in references])
        parts.append(
            f"{Times._fields[kind]} {median(seconds):6.1f} s {middle:5.2f} ({low:.2f} - {high:.2f})"
        )
    return "  ".join(parts)


if __name__ == "__main__":
    main()
