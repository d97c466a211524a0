"""Trials a minute of `regexp search`, and of the same search one run at a time.

`python -m benchmarks.search_speed`. Both search twelve techniques with their numbers, the learning
rate, the batch size and the schedule by Optuna's TPE, and tune none beside it. Ours draws a batch
and trains it as a stack, and records all that the command records. The others draw one after
another, and train by a loop of plain torch: rows by `index_select`, an evaluation each epoch. So
that the work is the same, they train some of the recipes of our round, whatever they have drawn.

With `--workers 2` it is the search as the command runs it on two cores, against the same loops,
which have one process: seconds are those of the clock then, and the machine has to be idle.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.synchronize import Event, Semaphore
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.harness import interleaved, make_parser, one_thread, ratios

if TYPE_CHECKING:
    from benchmarks.as_people_write.with_optuna import Trainer

WORDS = (
    "search.techniques=[weight_decay,l1,l2,dropout,input_noise,mixup,label_smoothing,max_norm,"
    "gradient_clipping,sam,ema,batch_norm]",  # those that the plain loop has
    "search.space.model.hidden=null",  # the network stays the default one
    "search.rungs.eta=null",  # every trial trains in full, as theirs do
)
SMALL = ("dataset=iris", "trainer.epochs=1", "search.batch=2")
OURS, PLAIN, RECORDED = "regexp search", "torch + Optuna", "torch + Optuna + MLflow"


class Clock:
    """Seconds that calls of a function have taken.

    Attributes:
        now: reads them: of the processor, or those of the clock on the wall.
        seconds: so far.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.seconds = now, 0.0

    def within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, measured."""

        def timed(*arguments: Any) -> Any:
            began = self.now()
            try:
                return function(*arguments)
            finally:
                self.seconds += self.now() - began

        return timed


class Ours:
    """A search of regexp, round by round, without its start and its end.

    Args:
        words: of the search.
        workers: processes that share a round; it has as many batches of each of the two arms.
    """

    def __init__(self, words: Sequence[str], workers: int) -> None:
        from regexp.commands.arguments import parse
        from regexp.config.searched import compose_search
        from regexp.search.arm import arms_of
        from regexp.search.taking_part import read_space

        self.words, self.workers = words, workers
        more = f"search.parallel={workers}"
        self.space = read_space(compose_search(parse([*WORDS, more, *words])[0]))
        self.arms = arms_of(self.space)
        self.config = self.arms[0].config
        self.config.search.trials = 0
        now = time.process_time if workers == 1 else time.perf_counter
        self.sampler, self.spent = Clock(now), Clock(now)

    @property
    def size(self) -> int:
        """Of a round: trials of each arm."""
        return int(self.config.search.batch) * self.workers

    @property
    def recipes(self) -> list[Any]:
        """Of the latest round: those of both arms."""
        return [trial.recipe for arm in self.arms for trial in arm.trials[-self.size :]]

    def round(self) -> float:
        """Train one more round; seconds of a trial."""
        before = self.spent.seconds
        with self.others() as go:
            self.config.search.trials += self.size
            go()
            self.spent.within(self.train)()
        return (self.spent.seconds - before) / len(self.recipes)

    def train(self, *, owned: bool = True) -> None:
        """What is missing of the trials; what is recorded has been sent when it returns.

        Args:
            owned: whether this process decides how the search ends, as of `Tracker.sweep`.
        """
        from regexp.search.engine import rounds
        from regexp.search.sampler import propose
        from regexp.search.shared import Shared
        from regexp.sweeps.launched import open_tracker

        with open_tracker(self.config) as tracker:
            parent = tracker.sweep("search", "search", {}, owned=owned)
            trained = Shared(self.config, tracker, parent.id)
            rounds(self.arms, trained, self.sampler.within(propose))

    @contextlib.contextmanager
    def others(self) -> Iterator[Callable[[], None]]:
        """The other workers of a round, who wait until they are told to go."""
        from regexp.search.workers import CONTEXT, helpers

        go, there = CONTEXT.Event(), CONTEXT.Semaphore(0)
        trials = self.config.search.trials
        with helpers(self.workers - 1, help_in_round, self.words, self.workers, trials, there, go):
            for _ in range(self.workers - 1):
                if not there.acquire(timeout=600):
                    raise RuntimeError("a worker did not start within ten minutes")
            yield go.set


def help_in_round(
    words: Sequence[str], workers: int, trials: int, there: Semaphore, go: Event
) -> None:
    """Take part in the round after so many trials, once told to.

    Args:
        words: as of `Ours`.
        workers: likewise.
        trials: of each arm before it.
        there: released when this process is ready.
        go: set when the round begins.
    """
    ours = Ours(words, workers)
    ours.config.search.trials = trials
    ours.train(owned=False)  # reads what came before
    there.release()
    go.wait()
    ours.config.search.trials += ours.size
    ours.train(owned=False)


def theirs(ours: Ours, trainer: Trainer, share: int) -> float:
    """Train so many recipes of our latest round; seconds of a trial."""
    recipes, now = ours.recipes, ours.spent.now
    chosen = recipes[:: max(len(recipes) // share, 1)][:share]
    began = now()
    for recipe in chosen:
        trainer.trial(recipe)
    return (now() - began) / len(chosen)


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=int, default=8, help="trials of each round that they train")
    parser.add_argument("--workers", type=int, default=1, help="processes of ours, by the clock")
    parser.add_argument("words", nargs="*", default=["dataset=galaxies"], help="of the search")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.words, options.rounds, options.share = SMALL, 1, 2
    one_thread()
    from benchmarks.as_people_write.with_optuna import Trainer

    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        ours = Ours([*options.words, f"paths.mlruns={folder}/ours"], options.workers)
        start = time.process_time() - began
        plain = Trainer(ours.space, uri=None)
        recorded = Trainer(ours.space, uri=f"sqlite:///{folder}/theirs.db")
        variants: dict[str, Callable[[], float]] = {
            OURS: ours.round,
            PLAIN: partial(theirs, ours, plain, options.share),
            RECORDED: partial(theirs, ours, recorded, options.share),
        }
        found = interleaved(variants, options.rounds)
    of = "of the processor" if options.workers == 1 else f"of the clock, ours by {options.workers}"
    print(f"before the first trial, ours: {start:.1f} s of the processor")
    for name, seconds in found.items():
        low, middle, high = ratios(seconds, found[OURS])
        print(
            f"{name:<26}{60 / median(seconds):8.1f} trials a minute {of}; "
            f"ours are {middle:.1f} times as many ({low:.1f} - {high:.1f})"
        )
    print(f"the sampler takes {ours.sampler.seconds / ours.spent.seconds:.1%} of our rounds")


if __name__ == "__main__":
    main()
