"""How commands grow with the runs of a sweep: `python -m benchmarks.growth`.

A store is filled with finished runs through the tracker, and at each size the command that would
train them is timed as a user starts it, in a new process: as a dry run, and to find that nothing is
left to do and compare what there is. Told is the seconds of the processor, and the exponent with
which they grow between sizes: 1 is linear, 2 quadratic.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness import Times, inside, make_parser, timed

SIZES = (500, 1000, 2000, 4000)
TECHNIQUES = ("none", "l1", "l2", "dropout", "label_smoothing")
AT_ONCE = 100
"""Runs that are said to have trained as one stack."""

SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=1", "yardsticks=false")
KINDS = {"dry run": ["dry_run=true"], "start and skip": ["figures=false"]}
METRICS = {
    **{f"{split}/{name}": 0.5 for split in ("test", "val") for name in ("loss", "accuracy", "f1")},
    **{f"timing/{index}": 1.0 for index in range(10)},
}


def words(runs: int) -> list[str]:
    """The sweep of so many runs, in the words after `regexp`."""
    seeds = runs // len(TECHNIQUES)
    return ["-m", f"regularizer={','.join(TECHNIQUES)}", f"seeds={seeds}", *SMALL]


def fill(folder: Path, runs: int) -> None:
    """Record the runs of a sweep as finished, but for those that the store has already."""
    from regexp.commands.arguments import parse
    from regexp.config.jobs import compose
    from regexp.sweeps.execute import settings_of
    from regexp.sweeps.plan import plan_all
    from regexp.sweeps.planned_run import key_of
    from regexp.sweeps.recording import Recorder, labels_of
    from regexp.sweeps.reuse import arithmetic_of, choose, search
    from regexp.tracking import Tracker

    sweep = compose(parse([*words(runs), f"paths.mlruns={folder}", *KINDS["start and skip"]])[0])
    planned, _ = plan_all(sweep.jobs)
    everything = [run for job in planned for run in job]
    arithmetic = arithmetic_of(everything[0].config["trainer"])
    with Tracker(None, sweep.config.tracking.experiment, folder) as tracker:
        parent = tracker.sweep(key_of(planned, sweep.command), sweep.name, settings_of(sweep))
        known = choose(search(tracker.tries, everything), parent.id, everything, reuse=True)
        labels = {known[run.fingerprint].id: labels_of(run, "") for run in everything
                  if run.fingerprint in known}  # fmt: skip
        tracker.reuse(parent.id, labels)
        recorder = Recorder(tracker, parent.id, "", arithmetic, {})
        for job in planned:
            new = [run for run in job if run.fingerprint not in known]
            for first in range(0, len(new), AT_ONCE):
                stack = new[first : first + AT_ONCE]
                for run, record in zip(
                    stack, recorder.start(stack, range(len(stack))), strict=True
                ):
                    assert record is not None
                    # seeds differ, so that there is a spread to compare
                    record.summary({k: v + run.seed % 7 / 100 for k, v in METRICS.items()})
                    record.finish()
        parent.finish()


def exponents(sizes: Sequence[int], seconds: Sequence[float]) -> list[float]:
    """Of the growth from each size to the next."""
    return [
        math.log(seconds[at + 1] / seconds[at]) / math.log(sizes[at + 1] / sizes[at])
        for at in range(len(sizes) - 1)
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args(arguments)
    time: Callable[..., Times] = timed
    if options.smoke:
        options.sizes, time = [5, 10], inside
    os.environ["REGEXP_DATA"] = os.environ.get("REGEXP_DATA") or tempfile.gettempdir()
    found: dict[str, list[Times]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in options.sizes:
            fill(folder / "mlruns", size)
            for kind, more in KINDS.items():
                command = ["-m", "regexp", *words(size), f"paths.mlruns={folder / 'mlruns'}", *more]
                found[kind].append(time(command, folder))
                wall, cpu = found[kind][-1]
                print(f"{size:6} runs, {kind:<14} {wall:6.1f} s, {cpu:6.1f} s of the processor")
    for kind, times in found.items():
        told = ", ".join(f"{one:.2f}" for one in exponents(options.sizes, [t.cpu for t in times]))
        print(f"{kind}: grows with the exponent {told}")


if __name__ == "__main__":
    main()
