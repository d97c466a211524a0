"""Trials a minute of `regexp search`, and of the same search one run at a time.

`python -m benchmarks.search_speed`. Both search twelve techniques with their numbers, the learning
rate, the batch size and the schedule by Optuna's TPE, and tune none beside it. Ours draws a batch
and trains it as a stack, and records all that the command records. The others draw one after
another, and train by a loop of plain torch: rows by `index_select`, an evaluation each epoch. So
that the work is the same, they train some of the recipes of our round, whatever they have drawn.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
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
    """Seconds of the processor that calls of a function have taken."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, measured."""

        def timed(*arguments: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.process_time() - began

        return timed


class Ours:
    """A search of regexp, round by round, without its start and its end."""

    def __init__(self, words: Sequence[str]) -> None:
        from regexp.commands.arguments import parse
        from regexp.config.searched import compose_search
        from regexp.search.arm import arms_of
        from regexp.search.taking_part import read_space

        self.space = read_space(compose_search(parse([*WORDS, *words])[0]))
        self.arms = arms_of(self.space)
        self.config = self.arms[0].config
        self.config.search.trials = 0
        self.sampler, self.spent = Clock(), 0.0

    @property
    def recipes(self) -> list[Any]:
        """Of the latest round: those of both arms."""
        size = self.config.search.batch
        return [trial.recipe for arm in self.arms for trial in arm.trials[-size:]]

    def round(self) -> float:
        """Train one more round; seconds of a trial."""
        from regexp.search.engine import rounds
        from regexp.search.sampler import propose
        from regexp.search.shared import Shared
        from regexp.sweeps.launched import open_tracker

        self.config.search.trials += self.config.search.batch
        with open_tracker(self.config) as tracker:
            parent = tracker.sweep("search", "search", {})
            began = time.process_time()
            trained = Shared(self.config, tracker, parent.id)
            rounds(self.arms, trained, self.sampler.within(propose))
        spent = time.process_time() - began  # what it recorded has been sent
        self.spent += spent
        return spent / len(self.recipes)


def theirs(ours: Ours, trainer: Trainer, share: int) -> float:
    """Train so many recipes of our latest round; seconds of a trial."""
    recipes = ours.recipes
    chosen = recipes[:: max(len(recipes) // share, 1)][:share]
    began = time.process_time()
    for recipe in chosen:
        trainer.trial(recipe)
    return (time.process_time() - began) / len(chosen)


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=int, default=8, help="trials of each round that they train")
    parser.add_argument("words", nargs="*", default=["dataset=galaxies"], help="of the search")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.words, options.rounds, options.share = SMALL, 1, 2
    one_thread()
    from benchmarks.as_people_write.with_optuna import Trainer

    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        ours = Ours([*options.words, f"paths.mlruns={folder}/ours"])
        start = time.process_time() - began
        plain = Trainer(ours.space, uri=None)
        recorded = Trainer(ours.space, uri=f"sqlite:///{folder}/theirs.db")
        variants: dict[str, Callable[[], float]] = {
            OURS: ours.round,
            PLAIN: partial(theirs, ours, plain, options.share),
            RECORDED: partial(theirs, ours, recorded, options.share),
        }
        found = interleaved(variants, options.rounds)
    print(f"before the first trial, ours: {start:.1f} s of the processor")
    for name, seconds in found.items():
        low, middle, high = ratios(seconds, found[OURS])
        print(
            f"{name:<26}{60 / median(seconds):8.1f} trials a minute of the processor; "
            f"ours are {middle:.1f} times as many ({low:.1f} - {high:.1f})"
        )
    print(f"the sampler takes {ours.sampler.seconds / ours.spent:.1%} of our rounds")


if __name__ == "__main__":
    main()
